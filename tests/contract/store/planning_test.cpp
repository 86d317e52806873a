#include "tests/contract/store/store_contract.hpp"

namespace provisioner {
namespace {

TEST_P(StoreContract, APlanMovesCursorLedgerAndQueueTogether) {
  given_workspace();
  const PlanCommit fires = firing_plan(30);
  must(await(store().commit_plan(given_leader(), fires, later())));
  EXPECT_EQ(shop_cursor().cursor, *fires.new_cursor);
  const auto ledger = must(await(store().occurrences({})));
  ASSERT_EQ(ledger.size(), 1u);
  EXPECT_EQ(ledger[0].run, fires.run->id);
  EXPECT_EQ(ledger[0].outcome, Outcome::kFired);
  EXPECT_EQ(ledger[0].reason, "because");
  const Run queued = run(fires.run->id);
  EXPECT_EQ(queued.status, RunStatus::kQueued);
  EXPECT_EQ(queued.scheduled_for, fires.new_cursor);
  EXPECT_EQ(queued.trigger, Trigger::kSchedule);
}

TEST_P(StoreContract, AViewHasAllThatADecisionRestsOn) {
  given_workspace("network");
  given_workspace("stray");
  const Workspace present = given_workspace();
  EXPECT_TRUE(shop_view().recent.empty());

  const ClaimedRun first = given_running();
  must(await(store().finish_attempt(first.fence, {.status = RunStatus::kSucceeded}, now_)));
  const ClaimedRun second = given_running();
  const Run third = given_queued();
  given_queued("stray");
  const WorkspaceView view = shop_view({WorkspaceName("network"), WorkspaceName("nowhere")});
  EXPECT_EQ(view.workspace, shop());
  EXPECT_EQ(view.cursor.workspace, present.name);
  EXPECT_EQ(view.cursor.cursor, now_);
  ASSERT_EQ(view.unfinished.size(), 2u);
  EXPECT_EQ(view.unfinished[0].id, third.id);
  EXPECT_EQ(view.unfinished[1].id, second.run.id);
  ASSERT_EQ(view.recent.size(), 3u);
  EXPECT_EQ(view.recent[2].id, first.run.id);
  ASSERT_EQ(view.neighbours.size(), 1u);
  EXPECT_EQ(view.neighbours[0].name.value, "network");
  EXPECT_EQ(must(await(store().view({.workspace = present.name, .recent_runs = 1}))).recent.size(),
            1u);
  EXPECT_EQ(outcome(await(store().view({.workspace = WorkspaceName("nowhere")}))), "not_found");
}

TEST_P(StoreContract, I3_TheSamePlanTwiceStartsOneRun) {
  given_workspace();
  const LeaderFence fence = given_leader();
  const PlanCommit fires = firing_plan(30);
  PlanCommit again = fires;
  again.run = new_run();
  must(await(store().commit_plan(fence, fires, later())));
  EXPECT_EQ(outcome(await(store().commit_plan(fence, again, later()))), "version_conflict");
  EXPECT_EQ(must(await(store().runs({}))).size(), 1u);
  EXPECT_EQ(must(await(store().occurrences({}))).size(), 1u);
}

TEST_P(StoreContract, I3_ACursorNeverMovesBackAndNeverPastNow) {
  given_workspace();
  const LeaderFence fence = given_leader();
  must(await(store().commit_plan(fence, plan(30), later())));
  const Instant reached = shop_cursor().cursor;
  for (const int minutes : {-10, 0}) {
    EXPECT_EQ(outcome(await(store().commit_plan(fence, plan(minutes), later()))),
              "version_conflict")
        << minutes;
  }
  EXPECT_EQ(outcome(await(store().commit_plan(fence, plan(10), reached))), "invalid");
  EXPECT_EQ(shop_cursor().cursor, reached);
}

TEST_P(StoreContract, APlanThatDidNotSeeTheNewestOrderIsRefused) {
  given_workspace();
  const LeaderFence fence = given_leader();
  PlanCommit fires = firing_plan(30);
  fires.workspace_version = shop().version;
  fires.newest_run = RunId();
  const Run ordered = given_queued();
  EXPECT_EQ(outcome(await(store().commit_plan(fence, fires, later()))), "version_conflict");
  EXPECT_EQ(run(ordered.id).status, RunStatus::kQueued);
  EXPECT_TRUE(must(await(store().occurrences({}))).empty());

  fires.newest_run = ordered.id;
  const ClaimedRun begun = claim().value();
  EXPECT_EQ(outcome(await(store().commit_plan(fence, fires, later()))), "version_conflict");
  must(await(store().finish_attempt(begun.fence, {.status = RunStatus::kSucceeded}, later())));
  EXPECT_EQ(outcome(await(store().commit_plan(fence, fires, later()))), "version_conflict");

  fires.workspace_version = shop().version;
  EXPECT_EQ(outcome(await(store().commit_plan(fence, fires, later()))), "ok");
}

TEST_P(StoreContract, I3_AnOccurrenceOfTheLedgerFailsTheWholePlan) {
  given_workspace();
  const LeaderFence fence = given_leader();
  must(await(store().commit_plan(fence, firing_plan(30), later())));
  PlanCommit doubled = firing_plan(10);
  doubled.occurrences.push_back(occurrence(now_ + std::chrono::minutes(30), Outcome::kFired));
  EXPECT_EQ(outcome(await(store().commit_plan(fence, doubled, later()))), "conflict");

  PlanCommit twice_in_one = firing_plan(10);
  twice_in_one.occurrences.push_back(twice_in_one.occurrences[0]);
  EXPECT_EQ(outcome(await(store().commit_plan(fence, twice_in_one, later()))), "conflict");

  EXPECT_EQ(shop_cursor().cursor, now_ + std::chrono::minutes(30));
  EXPECT_EQ(must(await(store().occurrences({}))).size(), 1u);
  EXPECT_EQ(must(await(store().runs({}))).size(), 1u);
}

TEST_P(StoreContract, I3_NothingIsRecordedInsideARangeThatWasCollapsed) {
  given_workspace();
  const LeaderFence fence = given_leader();
  PlanCommit range = plan(600, Outcome::kSuperseded);
  range.occurrences[0].at = now_ + std::chrono::minutes(1);
  range.occurrences[0].schedule = "*";
  range.occurrences[0].count = 1200;
  must(await(store().commit_plan(fence, range, later())));
  PlanCommit inside = plan(1);
  inside.occurrences = {occurrence(now_ + std::chrono::minutes(100))};
  EXPECT_EQ(outcome(await(store().commit_plan(fence, inside, later()))), "conflict");
  const auto ledger = must(await(store().occurrences({})));
  ASSERT_EQ(ledger.size(), 1u);
  EXPECT_EQ(ledger[0].count, 1200);
}

TEST_P(StoreContract, APlanOfAnOlderDefinitionIsRefused) {
  Workspace w = given_workspace();
  const LeaderFence fence = given_leader();
  const PlanCommit edited_meanwhile = firing_plan(1);
  Publication edited = publication(kShop);
  edited.schedule_hash = "hourly";
  must(await(store().publish(edited, now_)));
  EXPECT_EQ(outcome(await(store().commit_plan(fence, edited_meanwhile, later()))),
            "version_conflict");

  const PlanCommit held_meanwhile = firing_plan(1);
  w = shop();
  w.held = true;
  must(await(store().update_workspace(w, now_)));
  EXPECT_EQ(outcome(await(store().commit_plan(fence, held_meanwhile, later()))),
            "version_conflict");
  EXPECT_TRUE(must(await(store().runs({}))).empty());
}

TEST_P(StoreContract, APlannedRunSupersedesTheQueuedOne) {
  given_workspace();
  const Run older = given_queued();
  const PlanCommit fires = firing_plan(1);
  must(await(store().commit_plan(given_leader(), fires, later())));
  EXPECT_EQ(run(older.id).status, RunStatus::kCancelled);
  EXPECT_EQ(run(older.id).error, "superseded by run " + fires.run->id.value);
  EXPECT_TRUE(run(older.id).finished_at);
  EXPECT_EQ(run(fires.run->id).status, RunStatus::kQueued);
}

TEST_P(StoreContract, ADecisionConsumesTheTtlItSaw) {
  Workspace w = given_workspace();
  w.ttl_expires_at = now_ + std::chrono::hours(1);
  w.retry_at = now_;
  w = must(await(store().update_workspace(w, now_)));
  const LeaderFence fence = given_leader();
  PlanCommit expired{.workspace = w.name,
                     .config_version = w.config_version,
                     .run = new_run(kShop, Operation::kDestroy),
                     .clear_ttl = now_,
                     .clear_retry = true};
  EXPECT_EQ(outcome(await(store().commit_plan(fence, expired, now_))), "version_conflict");
  EXPECT_TRUE(must(await(store().runs({}))).empty());
  expired.clear_ttl = w.ttl_expires_at;
  EXPECT_EQ(outcome(await(store().commit_plan(fence, expired, now_))), "ok");
  EXPECT_FALSE(shop().ttl_expires_at);
  EXPECT_FALSE(shop().retry_at);
}

TEST_P(StoreContract, TheLedgerIsReadNewestFirstAndByTime) {
  given_workspace();
  given_workspace("other");
  const LeaderFence fence = given_leader();
  PlanCommit range = plan(10, Outcome::kSuperseded);
  range.occurrences[0].at = now_ + std::chrono::minutes(1);
  range.occurrences[0].count = 10;
  must(await(store().commit_plan(fence, range, later())));
  for (int i = 0; i < 3; ++i) must(await(store().commit_plan(fence, plan(10), later())));
  const auto minutes = [&](OccurrenceFilter filter) {
    std::vector<std::int64_t> at;
    for (const auto& o : must(await(store().occurrences(std::move(filter))))) {
      at.push_back(std::chrono::duration_cast<std::chrono::minutes>(o.at - now_).count());
    }
    return at;
  };
  using Minutes = std::vector<std::int64_t>;
  EXPECT_EQ(minutes({}), (Minutes{40, 30, 20, 1}));
  EXPECT_EQ(minutes({.limit = 2}), (Minutes{40, 30}));
  EXPECT_EQ(minutes({.workspace = WorkspaceName("other")}), Minutes{});
  // A range counts where any of it lies.
  EXPECT_EQ(minutes({.workspace = WorkspaceName(kShop),
                     .from = now_ + std::chrono::minutes(5),
                     .to = now_ + std::chrono::minutes(30)}),
            (Minutes{30, 20, 1}));
  EXPECT_EQ(minutes({.from = now_ + std::chrono::minutes(20)}), (Minutes{40, 30, 20}));
}

TEST_P(StoreContract, APlanForAnUnknownWorkspaceIsNotFound) {
  EXPECT_EQ(
      outcome(await(store().commit_plan(given_leader(), {.workspace = WorkspaceName("x")}, now_))),
      "not_found");
}

}  // namespace
}  // namespace provisioner
