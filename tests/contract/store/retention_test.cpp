#include "tests/contract/store/store_contract.hpp"

namespace provisioner {
namespace {

constexpr auto kDay = std::chrono::hours(24);

TEST_P(StoreContract, OldRunsGoWithTheirLogsAndTheLedger) {
  given_workspace();
  must(await(store().commit_plan(given_leader(), firing_plan(1), later())));
  const ClaimedRun old = claim().value();
  must(await(store().append_log(old.fence, 0, "log")));
  must(await(store().finish_attempt(old.fence, {.status = RunStatus::kSucceeded}, now_)));
  const RetentionPolicy policy;
  const PruneReport early = must(await(store().prune(policy, now_ + 90 * kDay)));
  EXPECT_EQ(early.runs, 0);
  EXPECT_EQ(outcome(await(store().run(old.run.id))), "ok");

  const PruneReport report = must(await(store().prune(policy, now_ + 91 * kDay)));
  EXPECT_EQ(report.runs, 1);
  EXPECT_EQ(report.occurrences, 1);
  EXPECT_EQ(outcome(await(store().run(old.run.id))), "not_found");
  EXPECT_TRUE(must(await(store().log(old.run.id, Attempt(1), 0, 100))).empty());
  EXPECT_TRUE(must(await(store().attempts(old.run.id))).empty());
  EXPECT_TRUE(must(await(store().occurrences({}))).empty());
  EXPECT_EQ(shop().status, WorkspaceStatus::kDeployed);
}

TEST_P(StoreContract, I4_ARunThatHasNotEndedIsNeverPruned) {
  given_workspace();
  given_workspace("other");
  const ClaimedRun running = given_running();
  const Run queued = given_queued("other");
  EXPECT_EQ(must(await(store().prune({}, now_ + 1000 * kDay))).runs, 0);
  EXPECT_EQ(run(running.run.id).status, RunStatus::kRunning);
  EXPECT_EQ(run(queued.id).status, RunStatus::kQueued);
  EXPECT_EQ(outcome(await(store().heartbeat(running.fence, now_))), "ok");
}

TEST_P(StoreContract, OldStateVersionsGoButTheNewestFiftyStay) {
  given_workspace();
  for (std::int64_t serial = 1; serial <= 60; ++serial) {
    must(await(store().push_state(slot(), meta(serial), body(serial), "", now_)));
  }
  EXPECT_EQ(must(await(store().prune({}, now_ + 30 * kDay))).state_versions, 0);
  EXPECT_EQ(must(await(store().prune({}, now_ + 31 * kDay))).state_versions, 10);
  const auto kept = must(await(store().state_versions(slot())));
  ASSERT_EQ(kept.size(), 50u);
  EXPECT_EQ(kept.front().number, 60);
  EXPECT_EQ(kept.back().number, 11);
}

TEST_P(StoreContract, I5_TheCurrentStateIsNeverPruned) {
  given_workspace();
  const ClaimedRun first = given_running();
  given_state(first.fence, 1);
  Interruption dead = interruption(first.fence);
  for (std::int64_t serial = 2; serial < 5; ++serial) {
    dead.recovered.push_back({meta(serial, "another"), body(serial)});
  }
  must(await(store().interrupt_attempt(std::nullopt, dead, now_)));
  // The three newest versions are divergent; the current one is the oldest of all.
  must(await(store().prune({.least_state_versions = 1}, now_ + 1000 * kDay)));
  EXPECT_EQ(must(await(store().current_state(slot())))->meta, meta(1));
  EXPECT_EQ(must(await(store().state_body(slot(), 1))), body(1));
  EXPECT_EQ(must(await(store().state_versions(slot()))).size(), 2u);
}

TEST_P(StoreContract, InstancesThatWereNotSeenForLongGoButDrainedOnesAndTheirReportsStay) {
  Instance gone{.id = InstanceId("gone"), .incarnation = Incarnation("a"), .last_seen = now_};
  Instance drained{.id = InstanceId("drained"), .incarnation = Incarnation("b"), .last_seen = now_};
  must(await(store().enter_instance(gone)));
  must(await(store().enter_instance(drained)));
  must(await(store().set_draining(drained.id, true)));
  report("gone", "v1");
  must(await(store().prune({}, now_ + 90 * kDay)));
  EXPECT_EQ(must(await(store().instances())).size(), 2u);
  must(await(store().prune({}, now_ + 91 * kDay)));
  const auto left = must(await(store().instances()));
  ASSERT_EQ(left.size(), 1u);
  EXPECT_EQ(left[0].id, drained.id);
  EXPECT_EQ(must(await(store().reports())).size(), 1u) << "its folders are no news when it is back";
}

TEST_P(StoreContract, BundlesGoWhenNothingNamesThemAnyMore) {
  given_workspace(kShop, "v1");
  given_workspace("other", "v2");
  const ClaimedRun running = given_running();  // deploys v1
  must(await(store().finish_attempt(running.fence, {.status = RunStatus::kSucceeded}, now_)));
  given_workspace(kShop, "v3");              // v1 is what a destroy needs
  const Run queued = given_queued("other");  // of v1, too
  for (const char* content : {"v4", "v5"}) {
    must(await(store().put_bundle(definition(content).bundle, "content")));
  }
  const auto has = [&](const char* content) {
    return outcome(await(store().bundle(definition(content).bundle))) == "ok";
  };
  must(await(store().prune({}, now_)));
  EXPECT_TRUE(has("v5")) << "it may be about to be published";
  must(await(store().publish(publication("other", "v4"), now_)));  // v2 is free now
  const Instant day_later = now_ + kDay;
  must(await(store().prune({}, day_later)));
  EXPECT_FALSE(has("v5"));
  EXPECT_TRUE(has("v2")) << "seen free for the first time";
  EXPECT_EQ(must(await(store().prune({}, day_later + kDay))).bundles, 1);
  EXPECT_FALSE(has("v2"));
  for (const char* content : {"v1", "v3", "v4"}) EXPECT_TRUE(has(content)) << content;
}

}  // namespace
}  // namespace provisioner
