// A run whose attempt failed for a passing reason is tried again: one run, several attempts.
#include "tests/contract/store/store_contract.hpp"

namespace provisioner {
namespace {

using namespace std::chrono_literals;

constexpr const char* kError = "plan: connection refused";

TEST_P(StoreContract, AFailedAttemptWithAnOfferPutsItsRunBackIntoTheQueue) {
  const Run waiting = given_waiting();
  EXPECT_EQ(waiting.status, RunStatus::kQueued);
  EXPECT_EQ(waiting.attempt, Attempt(1));
  EXPECT_EQ(waiting.retries, 1);
  EXPECT_EQ(waiting.not_before, now_ + 2s);
  EXPECT_EQ(waiting.error, kError);
  EXPECT_FALSE(waiting.finished_at);
  EXPECT_TRUE(waits_for_retry(waiting));
  EXPECT_EQ(shop().status, WorkspaceStatus::kDeployFailed);
  EXPECT_EQ(shop().last_deploy_error, kError);
  EXPECT_EQ(shop().retry_at, now_ + 2s);
  const auto attempts = must(await(store().attempts(waiting.id)));
  ASSERT_EQ(attempts.size(), 1u);
  EXPECT_EQ(attempts[0].status, RunStatus::kFailed);
  EXPECT_EQ(attempts[0].error, kError);
}

TEST_P(StoreContract, ARetryIsClaimedWhenItIsTimeAndNotBefore) {
  const Run waiting = given_waiting();
  EXPECT_FALSE(claim_at(now_ + 2s - 1us));
  const ClaimedRun again = claim_at(now_ + 2s).value();
  EXPECT_EQ(again.run.id, waiting.id);
  EXPECT_EQ(again.run.attempt, Attempt(2));
  EXPECT_EQ(again.run.retries, 1);
  EXPECT_EQ(again.run.error, "");
  EXPECT_FALSE(again.run.not_before);
  EXPECT_EQ(again.run.started_at, now_) << "of the first attempt";
  EXPECT_EQ(again.run, run(waiting.id));
  EXPECT_EQ(shop().status, WorkspaceStatus::kDeploying);
  EXPECT_FALSE(shop().retry_at);

  must(await(store().finish_attempt(again.fence, {.status = RunStatus::kSucceeded}, now_ + 9s)));
  EXPECT_EQ(run(waiting.id).status, RunStatus::kSucceeded);
  EXPECT_EQ(run(waiting.id).retries, 1);
  EXPECT_EQ(shop().status, WorkspaceStatus::kDeployed);
  EXPECT_EQ(shop().last_deploy_error, "");
  EXPECT_EQ(must(await(store().attempts(waiting.id))).size(), 2u);
  EXPECT_EQ(must(await(store().runs({}))).size(), 1u);
}

TEST_P(StoreContract, EachAttemptHasItsOwnLogAndAFailedOneEndsWithTheAnnouncement) {
  given_workspace();
  const ClaimedRun running = given_running();
  must(await(store().append_log(running.fence, 0, "one\n")));
  const LogEnd end{.offset = 0, .text = "one\ntwo\n"};
  for (int tries = 0; tries < 2; ++tries) {
    must(await(store().finish_attempt(running.fence, passing_failure(), now_, end)));
  }
  const ClaimedRun again = claim_at(now_ + 2s).value();
  must(await(store().append_log(again.fence, 0, "three\n")));
  std::string whole;
  for (const auto& chunk : must(await(store().log(running.run.id, Attempt(0), 0, 1000)))) {
    if (chunk.offset == 0) whole += "[" + std::to_string(chunk.attempt.value) + "]";
    whole += chunk.text;
  }
  EXPECT_EQ(whole, "[1]one\ntwo\ntrying again in 2s\n[2]three\n") << "a repeated call adds nothing";
}

TEST_P(StoreContract, ARetryCountsInTheRunOnce) {
  given_workspace();
  const ClaimedRun running = given_running();
  for (int tries = 0; tries < 3; ++tries) {
    must(await(store().finish_attempt(running.fence, passing_failure(), now_)));
  }
  EXPECT_EQ(run(running.run.id).retries, 1) << "lost replies";
}

TEST_P(StoreContract, WithoutAnOfferOfARetryTheRunHasFailed) {
  const Run waiting = given_waiting();
  const ClaimedRun again = claim_at(now_ + 2s).value();
  AttemptResult last = passing_failure();
  last.retry.reset();
  must(await(store().finish_attempt(again.fence, last, now_ + 3s)));
  EXPECT_EQ(run(waiting.id).status, RunStatus::kFailed);
  EXPECT_EQ(run(waiting.id).error, kError);
  EXPECT_EQ(run(waiting.id).finished_at, now_ + 3s);
  EXPECT_EQ(shop().status, WorkspaceStatus::kDeployFailed);
  EXPECT_FALSE(shop().retry_at);
}

TEST_P(StoreContract, OnlyAFailureIsTriedAgain) {
  for (const RunStatus status :
       {RunStatus::kSucceeded, RunStatus::kTimedOut, RunStatus::kCancelled}) {
    given_workspace();
    const ClaimedRun running = given_running();
    AttemptResult result = passing_failure();
    result.status = status;
    must(await(store().finish_attempt(running.fence, result, now_)));
    EXPECT_EQ(run(running.run.id).status, status);
  }
}

TEST_P(StoreContract, RetriesOfADestroyComeBeforeThoseOfHoursAndDoNotCountAsThem) {
  const Run waiting = given_waiting(Operation::kDestroy);
  EXPECT_EQ(shop().status, WorkspaceStatus::kDestroyFailed);
  EXPECT_EQ(shop().last_destroy_error, kError);
  EXPECT_EQ(shop().retry_at, now_ + 2s);
  EXPECT_EQ(shop().failed_destroys, 0);
  const ClaimedRun again = claim_at(now_ + 2s).value();
  AttemptResult last = passing_failure();
  last.retry.reset();
  must(await(store().finish_attempt(again.fence, last, now_ + 3s)));
  EXPECT_EQ(shop().failed_destroys, 1);
  EXPECT_EQ(shop().retry_at, now_ + 3s + 15min);
  EXPECT_EQ(run(waiting.id).status, RunStatus::kFailed);
}

TEST_P(StoreContract, RetriesOfAPlanLeaveTheWorkspaceAlone) {
  given_workspace();
  const ClaimedRun running = given_running(kShop, Operation::kPlan);
  const Workspace before = shop();
  must(await(store().finish_attempt(running.fence, passing_failure(), now_)));
  EXPECT_EQ(run(running.run.id).status, RunStatus::kQueued);
  EXPECT_EQ(shop().status, before.status);
  EXPECT_FALSE(shop().retry_at);
}

TEST_P(StoreContract, ACancelEndsTheWaitForARetryAtOnce) {
  const Run waiting = given_waiting();
  const Run cancelled = must(await(store().request_cancel(waiting.id, now_ + 1s)));
  EXPECT_EQ(cancelled.status, RunStatus::kCancelled);
  EXPECT_EQ(cancelled.finished_at, now_ + 1s);
  EXPECT_NE(cancelled.error.find(kError), std::string::npos);
  EXPECT_EQ(run(waiting.id), cancelled);
  EXPECT_EQ(shop().status, WorkspaceStatus::kDeployFailed);
  EXPECT_FALSE(shop().retry_at);
  EXPECT_FALSE(claim_at(now_ + 1h));
}

TEST_P(StoreContract, ACancelledRunIsNotTriedAgain) {
  given_workspace();
  const ClaimedRun running = given_running();
  must(await(store().request_cancel(running.run.id, now_)));
  must(await(store().finish_attempt(running.fence, passing_failure(), now_)));
  EXPECT_EQ(run(running.run.id).status, RunStatus::kFailed);
  EXPECT_FALSE(claim_at(now_ + 1h));
}

TEST_P(StoreContract, ANewerRunOfTheSlotWinsOverARetry) {
  given_workspace();
  const ClaimedRun running = given_running();
  const Run newer = given_queued(kShop, Operation::kDestroy);
  must(await(store().finish_attempt(running.fence, passing_failure(), now_)));
  EXPECT_EQ(run(running.run.id).status, RunStatus::kFailed);
  EXPECT_EQ(claim_at(now_ + 1h)->run.id, newer.id);
}

TEST_P(StoreContract, ANewerRunOfTheSlotEndsTheWaitForARetry) {
  const Run waiting = given_waiting();
  const Run newer = given_queued(kShop, Operation::kDestroy);
  const Run ended = run(waiting.id);
  EXPECT_EQ(ended.status, RunStatus::kFailed);
  EXPECT_EQ(ended.error,
            std::string(kError) + "; not tried again: superseded by run " + newer.id.value);
  EXPECT_FALSE(shop().retry_at);
  EXPECT_EQ(claim_at(now_ + 1h)->run.id, newer.id);
}

TEST_P(StoreContract, TheScheduleWinsOverAWaitingRetry) {
  const Run waiting = given_waiting();
  const LeaderFence leader = given_leader();
  must(await(store().commit_plan(leader, firing_plan(10), later())));
  EXPECT_EQ(run(waiting.id).status, RunStatus::kFailed);
  EXPECT_EQ(claim_at(later())->run.trigger, Trigger::kSchedule);
}

TEST_P(StoreContract, AHoldEndsTheWaitForARetry) {
  for (const Trigger trigger : {Trigger::kSchedule, Trigger::kManual}) {
    const Run waiting = given_waiting(Operation::kDeploy, trigger);
    Workspace held = shop();
    held.held = true;
    held.hold_reason = "an audit";
    must(await(store().update_workspace(held, now_ + 1s)));
    EXPECT_EQ(run(waiting.id).status, RunStatus::kFailed);
    EXPECT_EQ(run(waiting.id).error,
              std::string(kError) + "; not tried again: the workspace is held");
    EXPECT_EQ(run(waiting.id).finished_at, now_ + 1s);
    EXPECT_TRUE(shop().held);
    EXPECT_EQ(shop().status, WorkspaceStatus::kDeployFailed);
    EXPECT_FALSE(shop().retry_at);
    EXPECT_FALSE(claim_at(now_ + 1h));
    Workspace released = shop();
    released.held = false;
    must(await(store().update_workspace(released, now_ + 2s)));
    EXPECT_FALSE(claim_at(now_ + 1h)) << "a release by itself deploys nothing";
  }
}

TEST_P(StoreContract, DisablingEndsTheWaitForARetryWhetherByHandOrInTheFile) {
  const Run by_hand = given_waiting();
  Workspace disabled = shop();
  disabled.enabled = false;
  must(await(store().update_workspace(disabled, now_)));
  EXPECT_EQ(run(by_hand.id).status, RunStatus::kFailed);
  Workspace enabled = shop();
  enabled.enabled = true;
  must(await(store().update_workspace(enabled, now_)));

  const Run in_the_file = given_waiting();
  Publication published = publication(kShop);
  published.enabled = false;
  must(await(store().publish(published, now_)));
  EXPECT_EQ(run(in_the_file.id).status, RunStatus::kFailed);
  EXPECT_FALSE(shop().enabled);
  EXPECT_FALSE(shop().retry_at);
}

TEST_P(StoreContract, OtherChangesOfTheWorkspaceLeaveAWaitingRetryAlone) {
  const Run waiting = given_waiting();
  Workspace row = shop();
  row.ttl_expires_at = now_ + 1h;
  must(await(store().update_workspace(row, now_)));
  given_workspace(kShop, "v2");
  EXPECT_EQ(run(waiting.id), waiting);
  EXPECT_EQ(shop().retry_at, now_ + 2s);
}

TEST_P(StoreContract, AHeldWorkspaceIsNotTriedAgainUnlessAPersonOrderedIt) {
  for (const Trigger trigger : {Trigger::kSchedule, Trigger::kManual}) {
    given_workspace();
    NewRun wanted = new_run();
    wanted.trigger = trigger;
    must(await(store().enqueue(wanted, WhenBusy::kSupersede)));
    const ClaimedRun running = claim().value();
    Workspace held = shop();
    held.held = true;
    must(await(store().update_workspace(held, now_)));
    must(await(store().finish_attempt(running.fence, passing_failure(), now_)));
    EXPECT_EQ(run(running.run.id).status,
              trigger == Trigger::kManual ? RunStatus::kQueued : RunStatus::kFailed);
    Workspace released = shop();
    released.held = false;
    must(await(store().update_workspace(released, now_)));
  }
}

TEST_P(StoreContract, ABusySlotSaysWhenItsRunIsTriedAgain) {
  const Run waiting = given_waiting();
  const auto refused = await(store().enqueue(new_run(), WhenBusy::kRefuse));
  ASSERT_EQ(outcome(refused), "conflict");
  EXPECT_NE(refused.error().message.find("tried again at " + format_rfc3339(now_ + 2s)),
            std::string::npos)
      << refused.error().message;
  EXPECT_EQ(run(waiting.id).status, RunStatus::kQueued);
}

TEST_P(StoreContract, AnInterruptedRetryIsResumedAndItsRetriesAreNoInterruptions) {
  const Run waiting = given_waiting();
  const ClaimedRun again = claim_at(now_ + 2s).value();
  EXPECT_EQ(interrupt(again.fence).run_status, RunStatus::kQueued);
  EXPECT_EQ(run(waiting.id).retries, 1);
  EXPECT_FALSE(waits_for_retry(run(waiting.id)));
  EXPECT_EQ(claim_at(now_ + 2s)->run.attempt, Attempt(3));
}

TEST_P(StoreContract, AClaimPassesOverWhatItsCallerLeavesForLater) {
  const Run waiting = given_waiting();
  given_workspace("other");
  const Run other = given_queued("other");
  EXPECT_EQ(claim_at(now_ + 1h, {waiting.id})->run.id, other.id);
  EXPECT_FALSE(claim_at(now_ + 1h, {RunId("another"), waiting.id}));
  EXPECT_EQ(claim_at(now_ + 1h, {RunId("another")})->run.id, waiting.id);
}

}  // namespace
}  // namespace provisioner
