#include "model/transitions.hpp"
#include "tests/contract/store/store_contract.hpp"

namespace provisioner {
namespace {

TEST_P(StoreContract, I4_AnInterruptedRunIsResumedInItsPlace) {
  given_workspace();
  given_workspace("later");
  const ClaimedRun first = given_running();
  given_state(first.fence, 1);
  const Run younger = given_queued("later");
  const InterruptionOutcome ended = interrupt(first.fence);
  EXPECT_EQ(ended.run_status, RunStatus::kQueued);
  EXPECT_NE(ended.sentence.find("its guard is dead"), std::string::npos) << ended.sentence;
  EXPECT_EQ(run(first.run.id).status, RunStatus::kQueued);
  EXPECT_FALSE(must(await(store().state_lock(slot()))))
      << "the next attempt never meets a dead one's lock";

  const ClaimedRun second = claim().value();
  EXPECT_EQ(second.run.id, first.run.id);
  EXPECT_EQ(second.run.attempt, Attempt(2));
  EXPECT_EQ(second.run.started_at, first.run.started_at);
  EXPECT_EQ(second.base_state, 1);
  EXPECT_EQ(claim().value().run.id, younger.id);
  const auto rows = must(await(store().attempts(first.run.id)));
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0].status, RunStatus::kInterrupted);
  EXPECT_EQ(rows[0].error, "its guard is dead");
  EXPECT_EQ(rows[1].status, RunStatus::kRunning);
}

TEST_P(StoreContract, AHeartbeatSinceTheObservationWins) {
  given_workspace();
  const ClaimedRun running = given_running();
  must(await(store().heartbeat(running.fence, now_)));
  const auto interrupt_at = [&](std::int64_t seq) {
    return outcome(
        await(store().interrupt_attempt(std::nullopt, interruption(running.fence, seq), now_)));
  };
  EXPECT_EQ(interrupt_at(0), "conflict");
  EXPECT_EQ(run(running.run.id).status, RunStatus::kRunning);
  EXPECT_EQ(interrupt_at(1), "ok");
  EXPECT_EQ(interrupt_at(1), "conflict") << "it has ended already";
  Interruption unknown = interruption(running.fence);
  unknown.attempt = Attempt(9);
  EXPECT_EQ(outcome(await(store().interrupt_attempt(std::nullopt, unknown, now_))), "not_found");
}

TEST_P(StoreContract, I1_ARegistrationSinceTheObservationWins) {
  given_workspace();
  const ClaimedRun running = given_running();
  must(await(store().register_attempt(running.fence, process())));
  EXPECT_EQ(
      outcome(await(store().interrupt_attempt(std::nullopt, interruption(running.fence, 0), now_))),
      "conflict");
  EXPECT_EQ(must(await(store().attempts(running.run.id)))[0].heartbeat_seq, 1);
}

TEST_P(StoreContract, ARunnerThatReportsItsInterruptionIsResumedToo) {
  given_workspace();
  const ClaimedRun running = given_running();
  const AttemptResult result{.status = RunStatus::kInterrupted, .error = "tofu was killed"};
  ASSERT_EQ(outcome(await(store().finish_attempt(running.fence, result, now_))), "ok");
  EXPECT_EQ(run(running.run.id).status, RunStatus::kQueued);
  EXPECT_EQ(outcome(await(store().finish_attempt(running.fence, result, now_))), "ok");
  EXPECT_EQ(claim().value().run.attempt, Attempt(2));
  EXPECT_EQ(must(await(store().attempts(running.run.id)))[0].error, "tofu was killed");
}

TEST_P(StoreContract, ACancelledRunIsNotResumed) {
  given_workspace();
  const ClaimedRun running = given_running();
  must(await(store().request_cancel(running.run.id, now_)));
  EXPECT_EQ(interrupt(running.fence).run_status, RunStatus::kCancelled);
  EXPECT_EQ(run(running.run.id).status, RunStatus::kCancelled);
  EXPECT_EQ(shop().status, WorkspaceStatus::kDeployFailed);
  EXPECT_FALSE(claim());
}

TEST_P(StoreContract, ARunThatWaitsToBeResumedCanBeCancelled) {
  given_workspace();
  const ClaimedRun running = given_running(kShop, Operation::kDestroy);
  interrupt(running.fence);
  EXPECT_EQ(must(await(store().request_cancel(running.run.id, now_))).status,
            RunStatus::kCancelled);
  EXPECT_EQ(shop().status, WorkspaceStatus::kDestroyFailed) << "resources may be half gone";
  EXPECT_FALSE(shop().retry_at);
}

TEST_P(StoreContract, I4_ARunThatLosesEveryAttemptEndsInterrupted) {
  given_workspace();
  given_queued();
  InterruptionOutcome last;
  RunId id;
  for (std::int64_t i = 0; i < kMostAttempts; ++i) {
    const ClaimedRun next = claim().value();
    id = next.run.id;
    last = interrupt(next.fence);
  }
  EXPECT_EQ(last.run_status, RunStatus::kInterrupted);
  EXPECT_EQ(run(id).status, RunStatus::kInterrupted);
  EXPECT_TRUE(run(id).finished_at);
  EXPECT_EQ(shop().status, WorkspaceStatus::kDeployFailed);
  EXPECT_FALSE(claim());
}

TEST_P(StoreContract, I1_ANewerQueuedRunWinsOverAnInterruptedOne) {
  given_workspace();
  const ClaimedRun running = given_running();
  const Run newer = given_queued(kShop, Operation::kDestroy);
  const InterruptionOutcome ended = interrupt(running.fence);
  EXPECT_EQ(ended.run_status, RunStatus::kInterrupted);
  EXPECT_NE(ended.sentence.find("superseded by run " + newer.id.value), std::string::npos);
  EXPECT_EQ(run(running.run.id).error, ended.sentence);
  EXPECT_EQ(shop().status, WorkspaceStatus::kDeployFailed);
  EXPECT_EQ(claim().value().run.id, newer.id);
}

TEST_P(StoreContract, I1_ARunQueuedAfterTheInterruptionSupersedesTheOneThatWaits) {
  given_workspace();
  const ClaimedRun running = given_running();
  interrupt(running.fence);
  const Run newer = given_queued(kShop, Operation::kDestroy);
  EXPECT_EQ(run(running.run.id).status, RunStatus::kInterrupted);
  EXPECT_EQ(run(running.run.id).error, "superseded by run " + newer.id.value);
  EXPECT_EQ(shop().status, WorkspaceStatus::kDeployFailed);
  EXPECT_EQ(claim().value().run.id, newer.id);
}

TEST_P(StoreContract, AHoldReasonHoldsTheWorkspaceInsteadOfResuming) {
  given_workspace();
  const ClaimedRun running = given_running();
  const std::int64_t version = shop().config_version;
  Interruption lost = interruption(running.fence);
  lost.hold_reason = "the spool of host-2 cannot be reached";
  const InterruptionOutcome ended =
      must(await(store().interrupt_attempt(given_leader(), lost, now_)));
  EXPECT_EQ(ended.run_status, RunStatus::kInterrupted);
  EXPECT_TRUE(shop().held);
  EXPECT_FALSE(shop().hold_until);
  EXPECT_EQ(shop().hold_reason, lost.hold_reason);
  EXPECT_GT(shop().config_version, version) << "plans that did not see the hold are refused";
  EXPECT_EQ(shop().status, WorkspaceStatus::kDeployFailed);
  EXPECT_FALSE(claim());
}

TEST_P(StoreContract, I5_ARecoveredStateOfTheAttemptBecomesCurrent) {
  given_workspace();
  const ClaimedRun running = given_running();
  given_state(running.fence, 3);
  Interruption dead = interruption(running.fence);
  // The spool: what was handed over already, then two that were not.
  for (const std::int64_t serial : {3, 5, 9})
    dead.recovered.push_back({meta(serial), body(serial)});
  EXPECT_EQ(must(await(store().interrupt_attempt(std::nullopt, dead, now_))).run_status,
            RunStatus::kQueued);
  EXPECT_FALSE(shop().held);
  const StateVersion current = must(await(store().current_state(slot()))).value();
  EXPECT_EQ(current.meta, meta(9));
  EXPECT_EQ(current.run, running.run.id);
  EXPECT_EQ(current.attempt, Attempt(1));
  EXPECT_EQ(must(await(store().state_body(slot(), current.number))), body(9));
  EXPECT_EQ(must(await(store().state_versions(slot()))).size(), 3u);
  EXPECT_EQ(claim().value().base_state, current.number);
}

TEST_P(StoreContract, I5_AStateThatDivergedIsKeptAndAPersonIsAsked) {
  given_workspace();
  const ClaimedRun first = given_running();
  given_state(first.fence, 1);
  Interruption dead = interruption(first.fence);
  dead.recovered.push_back({meta(7, "another-lineage"), body(7)});
  const InterruptionOutcome ended =
      must(await(store().interrupt_attempt(std::nullopt, dead, now_)));
  EXPECT_EQ(ended.run_status, RunStatus::kInterrupted);
  EXPECT_TRUE(shop().held);
  EXPECT_NE(shop().hold_reason.find("divergent version 2"), std::string::npos)
      << shop().hold_reason;
  EXPECT_EQ(must(await(store().current_state(slot())))->number, 1);
  const auto versions = must(await(store().state_versions(slot())));
  ASSERT_EQ(versions.size(), 2u);
  EXPECT_TRUE(versions[0].divergent);
  EXPECT_EQ(versions[0].number, 2);
  EXPECT_EQ(must(await(store().state_body(slot(), 2))), body(7));
}

TEST_P(StoreContract, I5_AStateOfAnAttemptThatSomebodyPushedOverDiverges) {
  given_workspace();
  const ClaimedRun running = given_running();
  must(await(store().push_state(slot(), meta(2), body(2), "uid:0 (push)", now_)));
  Interruption dead = interruption(running.fence);
  dead.recovered.push_back({meta(5), body(5)});
  must(await(store().interrupt_attempt(std::nullopt, dead, now_)));
  EXPECT_EQ(must(await(store().current_state(slot())))->written_by, "uid:0 (push)");
  EXPECT_TRUE(shop().held);
}

}  // namespace
}  // namespace provisioner
