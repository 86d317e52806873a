// What events make of a workspace and its runs; a job's run leaves its workspace as it is. Pure;
// the store applies them in its transactions, so every implementation moves in the same way.
#pragma once

#include "base/time.hpp"
#include "model/run.hpp"
#include "model/tofu_state.hpp"
#include "model/workspace.hpp"

namespace provisioner {

// An attempt of `run` was claimed: the workspace is deploying or destroying. From the first deploy
// attempt on, `deployed` is the definition that a later destroy uses.
Workspace after_claim(Workspace workspace, const Run& run, Instant now);

// An attempt of `run` ended with `result`, not interrupted.
Workspace after_finish(Workspace workspace, const Run& run, const AttemptResult& result,
                       Instant now);

// An attempt of `run` failed with `error`, and another one begins at `retry_at`: it is not one of
// the failures in a row that destroy_retry_delay() counts.
Workspace after_failed_attempt(Workspace workspace, const Run& run, const std::string& error,
                               Instant retry_at);

// How long a failed destroy waits for its next try: 15 minutes, doubling, at most 6 hours.
// `failures` counts the failures in a row, 1 for the first.
Duration destroy_retry_delay(std::int64_t failures);

// What becomes of a run whose attempt was interrupted.
struct AfterInterruption {
  RunStatus status = RunStatus::kQueued;  // kQueued: resume; else final
  std::string reason;
};

// A cancelled run ends cancelled. A run that lost `kMostAttempts` attempts (those that failed and
// were tried again do not count) is ended as interrupted,
// so that a poisonous workspace cannot occupy the dispatcher for ever. What a script or a command
// did is not known: one whose processes may have begun is not resumed, as deploys are.
inline constexpr std::int64_t kMostAttempts = 5;
AfterInterruption after_interruption(const Run& run, bool began);

// A person replaced the state. One that says resources exist makes a workspace that had none a
// deployed one, from its present definition: a destroy then knows what to do, and nothing deploys
// it anew.
Workspace after_push(Workspace workspace, const StateMeta& pushed, Instant now);

// The workspace when the run will not be resumed: the operation failed for the time being.
Workspace after_abandoned_run(Workspace workspace, const Run& run, const std::string& error,
                              Instant now);

}  // namespace provisioner
