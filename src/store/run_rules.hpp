// What every store checks and decides about runs and attempts, once it has read the rows.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "store/run_rows.hpp"

namespace provisioner {

// --- runs

// The row that `wanted` becomes.
Run as_queued(const NewRun& wanted);

Error no_such_run(const RunId& id);
Error unknown_bundle(const NewRun& run);
Error run_exists(const RunId& id);
Error slot_is_busy(const Run& with);
Error not_queued(const Run& present);

// `queued` ended, where it waits for a retry and the workspace became held or disabled.
std::optional<Run> after_suspension(const std::optional<Run>& queued, const Workspace& before,
                                    const Workspace& after, Instant now);

// A waiting run that `by` replaces. One that waits to be resumed has left resources half done.
Run after_superseded(Run waiting, const RunId& by, Instant now);

// The run with the flag, which ends it when it waits. kConflict when it has ended.
Result<Run> after_cancel_request(Run present, Instant now);

// What `ended`, which waited, leaves behind: nothing when it never began, unless it failed.
Workspace after_waiting_run(const Workspace& before, const Run& ended, Instant now);

// --- attempts

// What is stored of a claim id, and found by: who reads the table cannot speak for a runner.
std::string hash_of(const ClaimId& claim);

// `run` in the attempt that the request begins.
Run as_claimed(Run run, const ClaimRequest& request, Term term);

// The answer to a claim id whose attempt is over.
Error claim_has_ended(const AttemptRow& row);

// kFenced unless `found` was claimed by the fence and runs (I1).
Status check_attempt_fence(const std::optional<StoredAttempt>& found, const AttemptFence& fence);

// kConflict when another process is registered. The same one may come again: a reply may be lost.
Status check_registration(const AttemptRow& row, const ProcessIdentity& process);

// Before anything is read: kInvalid unless it is an end.
Status check_result(const AttemptResult& result);

// Whether this end was reported before, and the reply lost.
bool has_ended_so(const std::optional<StoredAttempt>& found, const AttemptFence& fence,
                  const AttemptResult& result);

// kNotFound; kConflict when it has ended, or its heartbeat moved on since it was observed.
Status check_interruption(const std::optional<StoredAttempt>& found, const Interruption& observed);

// What an attempt that was not interrupted makes of its run: it has ended, or, where the result
// offers a retry, is queued again. A newer run of the slot, a cancel, a hold and a disabled
// workspace win over the offer; but a hold does not stop what a person ordered in spite of it.
struct AfterFinishedAttempt {
  Run run;
  Workspace workspace;
  std::string_view log;  // to be appended to the attempt's; a part of the result
};
AfterFinishedAttempt after_finished_attempt(const Run& run, const Workspace& before,
                                            const std::optional<RunId>& newer,
                                            const AttemptResult& result, Instant now);

// What an interrupted attempt makes of its run: resumed or ended, and the workspace held when
// `hold` says why a person must look. `newer` is the run that waits for the slot, if there is one;
// `began`: its processes may have.
struct AfterInterruptedAttempt {
  Run run;
  Workspace workspace;
  bool outdates_plans = false;
  InterruptionOutcome outcome;
};
AfterInterruptedAttempt after_interrupted_attempt(const Run& run, const Workspace& before,
                                                  const std::optional<RunId>& newer, bool began,
                                                  const std::string& reason,
                                                  const std::string& hold, Instant now);

// --- logs

// kInvalid when a chunk at `offset` would leave a gap after `end`, where the log ends.
Status check_log_offset(const AttemptFence& fence, std::int64_t offset, std::int64_t end);

// Takes off what a reader at (attempt, offset) has read. False when nothing is left.
bool cut_read_part(LogChunk& chunk, Attempt attempt, std::int64_t offset);

}  // namespace provisioner
