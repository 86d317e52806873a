#include "model/transitions.hpp"

#include <gtest/gtest.h>

namespace provisioner {
namespace {

using namespace std::chrono_literals;

const Instant kNow = *parse_rfc3339("2026-11-23T08:00:00Z");

Run run_of(Operation operation) {
  Run run;
  run.id = RunId("run-1");
  run.operation = operation;
  run.mode = "busy";
  run.definition = {"{}", BundleHash("b1"), "i1"};
  run.attempt = Attempt(1);
  return run;
}

TEST(Transitions, ADeployRecordsWhatItDeploysBeforeItBegins) {
  const auto claimed = after_claim({}, run_of(Operation::kDeploy), kNow);
  EXPECT_EQ(claimed.status, WorkspaceStatus::kDeploying);
  // A destroy after a crash in the middle needs to know what was being built.
  EXPECT_EQ(claimed.deployed->bundle, BundleHash("b1"));
  EXPECT_EQ(claimed.deployed_mode, "busy");
}

TEST(Transitions, SuccessMovesTheWorkspaceAndClearsTheError) {
  Workspace workspace;
  workspace.last_deploy_error = "boom";
  AttemptResult result{.status = RunStatus::kSucceeded, .ttl_expires_at = kNow + 1h};
  const auto deployed = after_finish(workspace, run_of(Operation::kDeploy), result, kNow);
  EXPECT_EQ(deployed.status, WorkspaceStatus::kDeployed);
  EXPECT_EQ(deployed.mode, "busy");
  EXPECT_EQ(deployed.last_deployed, kNow);
  EXPECT_EQ(deployed.last_deploy_error, "");
  EXPECT_EQ(deployed.ttl_expires_at, kNow + 1h);

  const auto destroyed = after_finish(deployed, run_of(Operation::kDestroy),
                                      {.status = RunStatus::kSucceeded}, kNow + 2h);
  EXPECT_EQ(destroyed.status, WorkspaceStatus::kDestroyed);
  EXPECT_EQ(destroyed.ttl_expires_at, std::nullopt);  // a stale ttl must not destroy a fresh one
  EXPECT_EQ(destroyed.deployed, std::nullopt);
}

TEST(Transitions, AFailedDestroyIsTriedAgainAfterFifteenMinutesDoublingToSixHours) {
  Workspace workspace;
  const Duration expected[] = {15min, 30min, 60min, 120min, 240min, 360min, 360min};
  for (const auto delay : expected) {
    workspace = after_finish(workspace, run_of(Operation::kDestroy),
                             {.status = RunStatus::kFailed, .error = "no"}, kNow);
    EXPECT_EQ(workspace.status, WorkspaceStatus::kDestroyFailed);
    EXPECT_EQ(*workspace.retry_at - kNow, delay);
  }
  workspace = after_claim(workspace, run_of(Operation::kDeploy), kNow);
  EXPECT_EQ(workspace.retry_at, std::nullopt);
  EXPECT_EQ(workspace.failed_destroys, 0);
}

TEST(Transitions, ACancelledDestroyIsNotTriedAgainByItself) {
  const auto workspace =
      after_finish({}, run_of(Operation::kDestroy),
                   {.status = RunStatus::kCancelled, .error = "cancelled"}, kNow);
  EXPECT_EQ(workspace.status, WorkspaceStatus::kDestroyFailed);
  EXPECT_EQ(workspace.retry_at, std::nullopt);
}

TEST(Transitions, APushedStateWithResourcesMakesTheWorkspaceADeployedOne) {
  Workspace workspace;
  workspace.current = {"{}", BundleHash("b1"), "i1"};
  const auto pushed = after_push(workspace, {.resources = 2}, kNow);
  EXPECT_EQ(pushed.status, WorkspaceStatus::kDeployed);
  EXPECT_EQ(pushed.deployed, workspace.current);
  EXPECT_EQ(after_push(workspace, {.resources = 0}, kNow), workspace);
  workspace.status = WorkspaceStatus::kDestroyFailed;
  EXPECT_EQ(after_push(workspace, {.resources = 2}, kNow), workspace);
}

TEST(Transitions, APlanChangesNothing) {
  Workspace workspace;
  workspace.status = WorkspaceStatus::kDeployed;
  EXPECT_EQ(after_claim(workspace, run_of(Operation::kPlan), kNow), workspace);
  EXPECT_EQ(after_finish(workspace, run_of(Operation::kPlan), {.status = RunStatus::kFailed}, kNow),
            workspace);
}

TEST(Transitions, AnInterruptedRunIsResumedUnlessItWasCancelledOrIsPoisonous) {
  auto run = run_of(Operation::kDeploy);
  EXPECT_EQ(after_interruption(run, true).status, RunStatus::kQueued);
  run.cancel_requested = true;
  EXPECT_EQ(after_interruption(run, true).status, RunStatus::kCancelled);
  run.cancel_requested = false;
  run.attempt = Attempt(kMostAttempts);
  EXPECT_EQ(after_interruption(run, true).status, RunStatus::kInterrupted);
}

}  // namespace
}  // namespace provisioner
