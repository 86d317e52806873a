#include <boost/asio/co_spawn.hpp>
#include <set>

#include "tests/contract/store/store_contract.hpp"

namespace provisioner {
namespace {

TEST_P(StoreContract, AQueuedRunIsWhatWasAskedFor) {
  given_workspace();
  NewRun wanted = new_run(kShop, Operation::kDestroy);
  wanted.mode = "busy";
  wanted.scheduled_for = now_ + std::chrono::hours(1);
  wanted.not_before = now_ + std::chrono::hours(2);
  wanted.waiting_for = "db";
  wanted.upgrade = true;
  wanted.confirmed = true;
  const Run queued = must(await(store().enqueue(wanted, WhenBusy::kRefuse)));
  EXPECT_EQ(queued, run(wanted.id));
  EXPECT_EQ(queued.operation, Operation::kDestroy);
  EXPECT_EQ(queued.mode, "busy");
  EXPECT_EQ(queued.scheduled_for, wanted.scheduled_for);
  EXPECT_EQ(queued.not_before, wanted.not_before);
  EXPECT_EQ(queued.waiting_for, "db");
  EXPECT_EQ(queued.definition, wanted.definition);
  EXPECT_EQ(queued.requested_by, "uid:0");
  EXPECT_TRUE(queued.upgrade);
  EXPECT_TRUE(queued.confirmed);
  EXPECT_EQ(queued.attempt, Attempt(0));
  EXPECT_FALSE(queued.started_at);
  EXPECT_EQ(shop().status, WorkspaceStatus::kPending);
}

TEST_P(StoreContract, ARunKeepsTheCorrelationIdOfItsRequestAndHasOneOfItsOwnWithout) {
  given_workspace();
  NewRun wanted = new_run();
  wanted.correlation_id = CorrelationId("4bf92f3577b34da6a3ce929d0e0e4736");
  EXPECT_EQ(must(await(store().enqueue(wanted, WhenBusy::kRefuse))).correlation_id,
            wanted.correlation_id);
  const ClaimedRun claimed = claim().value();
  EXPECT_EQ(claimed.run.correlation_id, wanted.correlation_id);
  EXPECT_EQ(must(await(store().running_attempts()))[0].correlation_id, wanted.correlation_id);
  must(await(store().finish_attempt(claimed.fence, {.status = RunStatus::kSucceeded}, now_)));
  EXPECT_EQ(run(wanted.id).correlation_id, wanted.correlation_id);

  const NewRun unasked = new_run();
  const Run queued = must(await(store().enqueue(unasked, WhenBusy::kRefuse)));
  EXPECT_EQ(queued.correlation_id, correlation_of(unasked.id));
  EXPECT_EQ(queued, run(unasked.id));
}

TEST_P(StoreContract, ARunNeedsItsWorkspaceItsBundleAndAnIdOfItsOwn) {
  EXPECT_EQ(outcome(await(store().enqueue(new_run("nothing"), WhenBusy::kRefuse))), "not_found");
  given_workspace();
  NewRun without_content = new_run();
  without_content.definition = definition("v9");
  EXPECT_EQ(outcome(await(store().enqueue(without_content, WhenBusy::kRefuse))), "invalid");
  const NewRun first = new_run();
  must(await(store().enqueue(first, WhenBusy::kSupersede)));
  EXPECT_EQ(outcome(await(store().enqueue(first, WhenBusy::kSupersede))), "conflict");
  EXPECT_EQ(outcome(await(store().run(RunId("nothing")))), "not_found");
}

TEST_P(StoreContract, ABusySlotRefusesAndNamesTheRun) {
  given_workspace();
  const Run queued = given_queued();
  const auto refused = await(store().enqueue(new_run(), WhenBusy::kRefuse));
  ASSERT_EQ(outcome(refused), "conflict");
  EXPECT_NE(refused.error().message.find(queued.id.value), std::string::npos);
  const ClaimedRun running = claim().value();
  const auto refused_again = await(store().enqueue(new_run(), WhenBusy::kRefuse));
  ASSERT_EQ(outcome(refused_again), "conflict");
  EXPECT_NE(refused_again.error().message.find("running"), std::string::npos);
  given_workspace("other");
  EXPECT_EQ(outcome(await(store().enqueue(new_run("other"), WhenBusy::kRefuse))), "ok");
}

TEST_P(StoreContract, ANewerRunSupersedesTheQueuedOneAndWaitsForTheActiveOne) {
  given_workspace();
  const ClaimedRun running = given_running();
  const Run older = given_queued();
  const Run newer = given_queued();
  EXPECT_EQ(run(older.id).status, RunStatus::kCancelled);
  EXPECT_EQ(run(older.id).error, "superseded by run " + newer.id.value);
  EXPECT_EQ(run(newer.id).status, RunStatus::kQueued);
  EXPECT_FALSE(claim()) << "I1: the slot is taken";
  must(await(store().finish_attempt(running.fence, {.status = RunStatus::kSucceeded}, now_)));
  EXPECT_EQ(claim().value().run.id, newer.id);
}

TEST_P(StoreContract, TheSameIdempotencyKeyIsTheSameRun) {
  given_workspace();
  NewRun wanted = new_run();
  wanted.idempotency_key = "click-1";
  const Run first = must(await(store().enqueue(wanted, WhenBusy::kRefuse)));
  wanted.id = random_.run_id(now_);
  EXPECT_EQ(must(await(store().enqueue(wanted, WhenBusy::kRefuse))).id, first.id);
  EXPECT_EQ(must(await(store().enqueue(wanted, WhenBusy::kSupersede))).id, first.id);
  EXPECT_EQ(must(await(store().runs({}))).size(), 1u);
}

TEST_P(StoreContract, TheOldestClaimableRunIsClaimedFirst) {
  for (const char* name : {"a", "b", "c"}) given_workspace(name);
  NewRun later_run = new_run("a");
  later_run.not_before = now_ + std::chrono::minutes(1);
  must(await(store().enqueue(later_run, WhenBusy::kRefuse)));
  NewRun waiting = new_run("b");
  waiting.waiting_for = "a";
  must(await(store().enqueue(waiting, WhenBusy::kRefuse)));
  const Run free = given_queued("c");
  EXPECT_EQ(claim().value().run.id, free.id);
  EXPECT_FALSE(claim());
  now_ += std::chrono::minutes(1);
  EXPECT_EQ(claim().value().run.id, later_run.id);
  const LeaderFence fence = given_leader();
  must(await(store().set_waiting(fence, waiting.id, "")));
  EXPECT_EQ(claim().value().run.id, waiting.id);
  EXPECT_EQ(outcome(await(store().set_waiting(fence, waiting.id, "a"))), "conflict");
  EXPECT_EQ(outcome(await(store().set_waiting(fence, RunId("x"), "a"))), "not_found");
}

TEST_P(StoreContract, CancellingAQueuedRunEndsItAtOnce) {
  given_workspace();
  const Run queued = given_queued();
  const Run cancelled = must(await(store().request_cancel(queued.id, now_)));
  EXPECT_EQ(cancelled.status, RunStatus::kCancelled);
  EXPECT_EQ(cancelled.finished_at, now_);
  EXPECT_EQ(shop().status, WorkspaceStatus::kPending);
  EXPECT_FALSE(claim());
  EXPECT_EQ(outcome(await(store().request_cancel(queued.id, now_))), "conflict");
  EXPECT_EQ(outcome(await(store().request_cancel(RunId("x"), now_))), "not_found");
}

TEST_P(StoreContract, CancellingARunningRunSetsTheFlagThatItsHeartbeatSees) {
  given_workspace();
  const ClaimedRun running = given_running();
  EXPECT_FALSE(must(await(store().heartbeat(running.fence, now_))).cancel_requested);
  const Run flagged = must(await(store().request_cancel(running.run.id, now_)));
  EXPECT_EQ(flagged.status, RunStatus::kRunning);
  EXPECT_TRUE(flagged.cancel_requested);
  EXPECT_TRUE(must(await(store().heartbeat(running.fence, now_))).cancel_requested);
}

TEST_P(StoreContract, RunsComeNewestFirstInPages) {
  std::vector<RunId> ids;
  for (const char* name : {"a", "b", "c", "d", "e"}) {
    given_workspace(name);
    ids.insert(ids.begin(), given_queued(name).id);
  }
  const auto page = [&](RunFilter filter) {
    std::vector<RunId> page_ids;
    for (const auto& r : must(await(store().runs(std::move(filter))))) page_ids.push_back(r.id);
    return page_ids;
  };
  EXPECT_EQ(page({}), ids);
  EXPECT_EQ(page({.limit = 2}), (std::vector{ids[0], ids[1]}));
  EXPECT_EQ(page({.before = ids[1], .limit = 2}), (std::vector{ids[2], ids[3]}));
  EXPECT_EQ(page({.before = ids[4]}), std::vector<RunId>{});
  must(await(store().request_cancel(ids[1], now_)));
  const ClaimedRun running = claim().value();
  EXPECT_EQ(page({.statuses = {RunStatus::kCancelled}}), std::vector{ids[1]});
  EXPECT_EQ(page({.statuses = {RunStatus::kCancelled, RunStatus::kRunning}}),
            (std::vector{ids[1], running.run.id}));
  EXPECT_EQ(page({.statuses = {RunStatus::kQueued}, .before = ids[2], .limit = 1}),
            std::vector{ids[3]});
  EXPECT_EQ(page({.workspace = WorkspaceName("b"), .statuses = {RunStatus::kQueued}}),
            std::vector{ids[3]});
  EXPECT_EQ(page({.workspace = WorkspaceName("b"), .statuses = {RunStatus::kFailed}}),
            std::vector<RunId>{});
}

TEST_P(StoreContract, AThousandCallsAtOnceAllCommit) {
  constexpr int kWorkspaces = 1000;
  given_workspace();
  int published = 0;
  for (int i = 0; i < kWorkspaces; ++i) {
    boost::asio::co_spawn(loop_, store().publish(publication("w" + std::to_string(i)), now_),
                          [&](std::exception_ptr, const Result<Workspace>&) { ++published; });
  }
  ASSERT_TRUE(turn_until([&] { return published == kWorkspaces; }));
  int answered = 0;
  int committed = 0;
  std::set<std::string> problems;
  for (int i = 0; i < kWorkspaces; ++i) {
    boost::asio::co_spawn(loop_,
                          store().enqueue(new_run("w" + std::to_string(i)), WhenBusy::kRefuse),
                          [&](std::exception_ptr thrown, Result<Run> queued) {
                            ++answered;
                            if (thrown || !queued) {
                              problems.insert(thrown ? "exception" : queued.error().message);
                            } else {
                              ++committed;
                            }
                          });
  }
  ASSERT_TRUE(turn_until([&] { return answered == kWorkspaces; }));
  EXPECT_EQ(committed, kWorkspaces);
  EXPECT_TRUE(problems.empty()) << *problems.begin();
  reopen();
  EXPECT_EQ(must(await(store().runs({.limit = 2 * kWorkspaces}))).size(), 1u * kWorkspaces);
}

TEST_P(StoreContract, AmongCallsAtOnceARefusalHurtsNobodyElse) {
  given_workspace();
  constexpr int kCalls = 20;
  int answered = 0;
  std::map<std::string, int> outcomes;
  for (int i = 0; i < kCalls; ++i) {
    boost::asio::co_spawn(
        loop_, store().enqueue(new_run(i % 2 == 0 ? kShop : "nothing"), WhenBusy::kRefuse),
        [&](std::exception_ptr, Result<Run> queued) {
          ++answered;
          ++outcomes[outcome(queued)];
        });
  }
  ASSERT_TRUE(turn_until([&] { return answered == kCalls; }));
  EXPECT_EQ(outcomes, (std::map<std::string, int>{{"ok", 1}, {"conflict", 9}, {"not_found", 10}}));
  EXPECT_EQ(must(await(store().runs({}))).size(), 1u);
}

}  // namespace
}  // namespace provisioner
