// How attempts end: reported by their runner, or found dead.
#include "model/transitions.hpp"
#include "store/run_rules.hpp"
#include "store/sqlite/attempt_rows.hpp"
#include "store/sqlite/attempts.hpp"
#include "store/sqlite/jobs.hpp"
#include "store/sqlite/leadership.hpp"
#include "store/sqlite/runs.hpp"
#include "store/sqlite/states.hpp"
#include "store/sqlite/workspaces.hpp"

namespace provisioner::sqlite {
namespace {

// Ends the row and releases its state lock in the same transaction, so that the next attempt never
// meets the lock of a dead one.
void end_attempt(Transaction& tx, const AttemptRow& row, RunStatus status, const std::string& error,
                 Instant now) {
  tx.sql(
        "UPDATE run_attempts SET status = ?, finished_at = ?, error = ? WHERE run = ? AND attempt "
        "= "
        "?")
      .run(to_string(status), now, error, row.run, row.attempt);
  release_lock_of(tx, row.workspace, row.run, row.attempt);
}

// What does not follow on what is stored keeps no attempt from ending.
void append_end(Transaction& tx, const AttemptFence& fence, std::int64_t offset,
                const std::string& text) {
  if (text.empty()) return;
  [[maybe_unused]] const Status left_out = append_log(tx, fence, offset, text);
}

// Moves run and workspace after an attempt that was interrupted.
Result<InterruptionOutcome> resume_or_end(Transaction& tx, const AttemptRow& row,
                                          const std::string& reason, const std::string& hold,
                                          Instant now) {
  const Result<Run> present = run(tx, row.run);
  if (!present) return std::unexpected(present.error());
  const Result<Workspace> before = workspace(tx, row.workspace);
  if (!before) return std::unexpected(before.error());
  const auto queued = queued_run(tx, row.workspace, row.job);
  const auto newer = queued ? std::optional(queued->id) : std::nullopt;
  AfterInterruptedAttempt after = after_interrupted_attempt(
      *present, *before, newer, row.process.has_value(), reason, hold, now);
  if (after.outdates_plans) outdate_plans(tx, row.workspace);
  save_run(tx, after.run);
  follow_run(tx, after.run, now);
  if (!newer) note_event(tx, after.run, after.workspace, now);
  save_workspace(tx, *before, std::move(after.workspace), now);
  return std::move(after.outcome);
}

}  // namespace

Status finish_attempt(Transaction& tx, const AttemptFence& fence, const AttemptResult& result,
                      Instant now, const LogEnd& log) {
  if (auto ends = check_result(result); !ends) return ends;
  const auto found = find_attempt(tx, fence.run, fence.attempt);
  if (auto still = check_attempt_fence(found, fence); !still) {
    if (has_ended_so(found, fence, result)) return {};  // the first reply was lost
    return still;
  }
  const AttemptRow& row = found->row;
  append_end(tx, fence, log.offset, log.text);
  if (result.lock_file && row.job.empty()) set_lock_file(tx, row.workspace, *result.lock_file);
  if (result.status == RunStatus::kInterrupted) {
    end_attempt(tx, row, result.status, result.error, now);
    const auto outcome =
        resume_or_end(tx, row, result.error.empty() ? "by its runner" : result.error, "", now);
    if (!outcome) return std::unexpected(outcome.error());
    return {};
  }

  const Result<Run> present = run(tx, fence.run);
  if (!present) return std::unexpected(present.error());
  const Result<Workspace> before = workspace(tx, row.workspace);
  if (!before) return std::unexpected(before.error());
  const auto queued = queued_run(tx, row.workspace, row.job);
  const auto newer = queued ? std::optional(queued->id) : std::nullopt;
  AfterFinishedAttempt after = after_finished_attempt(*present, *before, newer, result, now);
  append_end(tx, fence, log.offset + static_cast<std::int64_t>(log.text.size()),
             std::string(after.log));
  end_attempt(tx, row, result.status, result.error, now);
  save_run(tx, after.run);
  follow_run(tx, after.run, now);
  note_event(tx, after.run, after.workspace, now);
  save_workspace(tx, *before, std::move(after.workspace), now);
  return {};
}

Result<InterruptionOutcome> interrupt_attempt(Transaction& tx,
                                              const std::optional<LeaderFence>& fence,
                                              const Interruption& interruption, Instant now) {
  const Interruption& i = interruption;
  if (fence) {
    if (auto leads = check_leader(tx, *fence); !leads) return std::unexpected(leads.error());
  }
  const auto found = find_attempt(tx, i.run, i.attempt);
  if (auto fits = check_interruption(found, i); !fits) return std::unexpected(fits.error());
  // Recovered states belong to the attempt, so they come before its end.
  std::string hold = i.hold_reason;
  for (const RecoveredState& recovered : i.recovered) {
    const auto diverged =
        recover_state(tx, {found->row.workspace, found->row.job.value}, found->base_state,
                      {.run = i.run, .attempt = i.attempt, .claim = {}}, recovered, now);
    if (diverged.empty()) continue;
    if (!hold.empty()) hold += "; ";
    hold += diverged;
  }
  end_attempt(tx, found->row, RunStatus::kInterrupted, i.reason, now);
  return resume_or_end(tx, found->row, i.reason, hold, now);
}

}  // namespace provisioner::sqlite
