#include "model/transitions.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace provisioner {
namespace {

// A failed or stopped operation leaves resources behind in an unknown state.
Workspace after_failure(Workspace workspace, const Run& run, const std::string& error,
                        Instant now) {
  if (!run.job.empty()) return workspace;
  if (run.operation == Operation::kDeploy) {
    workspace.status = WorkspaceStatus::kDeployFailed;
    workspace.last_deploy_error = error;
    workspace.retry_at.reset();
  } else if (run.operation == Operation::kDestroy) {
    workspace.status = WorkspaceStatus::kDestroyFailed;
    workspace.last_destroy_error = error;
    workspace.failed_destroys += 1;
    workspace.retry_at = now + destroy_retry_delay(workspace.failed_destroys);
  }
  return workspace;
}

}  // namespace

Workspace after_claim(Workspace workspace, const Run& run, Instant) {
  if (!run.job.empty()) return workspace;
  if (run.operation == Operation::kDeploy) {
    workspace.status = WorkspaceStatus::kDeploying;
    workspace.deployed = run.definition;
    workspace.deployed_mode = run.mode;
    workspace.retry_at.reset();
    workspace.failed_destroys = 0;
  } else if (run.operation == Operation::kDestroy) {
    workspace.status = WorkspaceStatus::kDestroying;
    workspace.retry_at.reset();
  }
  return workspace;
}

Workspace after_finish(Workspace workspace, const Run& run, const AttemptResult& result,
                       Instant now) {
  if (run.operation == Operation::kPlan || !run.job.empty()) return workspace;
  if (result.needs_confirmation) {
    workspace.status = WorkspaceStatus::kNeedsConfirmation;
    return workspace;
  }
  if (result.status == RunStatus::kCancelled && run.operation == Operation::kDestroy) {
    // Somebody stopped it on purpose: it is not tried again by itself.
    workspace = after_failure(std::move(workspace), run, result.error, now);
    workspace.retry_at.reset();
    return workspace;
  }
  if (result.status != RunStatus::kSucceeded) {
    return after_failure(std::move(workspace), run, result.error, now);
  }
  if (run.operation == Operation::kDeploy) {
    workspace.status = WorkspaceStatus::kDeployed;
    workspace.mode = run.mode;
    workspace.last_deployed = now;
    workspace.last_deploy_error.clear();
    workspace.ttl_expires_at = result.ttl_expires_at;
  } else {
    workspace.status = WorkspaceStatus::kDestroyed;
    workspace.last_destroyed = now;
    workspace.last_destroy_error.clear();
    workspace.last_deploy_error.clear();
    workspace.failed_destroys = 0;
    workspace.ttl_expires_at.reset();
    workspace.deployed.reset();
    workspace.deployed_mode.clear();
  }
  return workspace;
}

Workspace after_failed_attempt(Workspace workspace, const Run& run, const std::string& error,
                               Instant retry_at) {
  if (!run.job.empty()) return workspace;
  if (run.operation != Operation::kDeploy && run.operation != Operation::kDestroy) return workspace;
  if (run.operation == Operation::kDeploy) {
    workspace.status = WorkspaceStatus::kDeployFailed;
    workspace.last_deploy_error = error;
  } else {
    workspace.status = WorkspaceStatus::kDestroyFailed;
    workspace.last_destroy_error = error;
  }
  workspace.retry_at = retry_at;
  return workspace;
}

Duration destroy_retry_delay(std::int64_t failures) {
  constexpr Duration kFirst = std::chrono::minutes(15);
  constexpr Duration kLongest = std::chrono::hours(6);
  // 15 min << 5 is already past six hours.
  return std::min<Duration>(kFirst * (1LL << std::clamp<std::int64_t>(failures - 1, 0, 5)),
                            kLongest);
}

AfterInterruption after_interruption(const Run& run, bool began) {
  if (run.cancel_requested) return {RunStatus::kCancelled, "cancelled while it was interrupted"};
  if (run.operation == Operation::kJob && began) {
    return {RunStatus::kInterrupted, "a job that had begun is not begun a second time"};
  }
  const std::int64_t lost = run.attempt.value - run.retries;
  if (lost >= kMostAttempts) {
    return {
        RunStatus::kInterrupted,
        fmt::format("{} attempts were interrupted, the last one included: look at the log, then "
                    "run it again by hand",
                    lost)};
  }
  return {RunStatus::kQueued, "resumed with a new attempt"};
}

Workspace after_push(Workspace workspace, const StateMeta& pushed, Instant now) {
  if (pushed.resources == 0 || may_have_resources(workspace)) return workspace;
  workspace.status = WorkspaceStatus::kDeployed;
  workspace.deployed = workspace.current;
  workspace.last_deployed = now;
  return workspace;
}

Workspace after_abandoned_run(Workspace workspace, const Run& run, const std::string& error,
                              Instant now) {
  return after_failure(std::move(workspace), run, error, now);
}

}  // namespace provisioner
