// How attempts end: reported by their runner, or found dead.
#include <fmt/format.h>

#include "model/transitions.hpp"
#include "store/sqlite/attempt_rows.hpp"
#include "store/sqlite/attempts.hpp"
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

struct Hold {
  std::string reason;  // "" = resume
};

// Moves run and workspace after an attempt that was interrupted.
Result<InterruptionOutcome> resume_or_end(Transaction& tx, const AttemptRow& row,
                                          const std::string& reason, const Hold& hold,
                                          Instant now) {
  Result<Run> present = run(tx, row.run);
  if (!present) return std::unexpected(present.error());
  const Result<Workspace> before = workspace(tx, row.workspace);
  if (!before) return std::unexpected(before.error());
  Run& r = *present;
  Workspace changed = *before;

  AfterInterruption next = after_interruption(r);
  if (next.status == RunStatus::kQueued) {
    // The slot has room for one queued run: what was asked for later wins.
    if (const auto newer = queued_run(tx, r.workspace)) {
      next = {RunStatus::kInterrupted, fmt::format("superseded by run {}", newer->id.value)};
    }
  }
  if (!hold.reason.empty()) {
    if (next.status == RunStatus::kQueued) next = {RunStatus::kInterrupted, hold.reason};
    changed.held = true;
    changed.hold_until.reset();
    changed.hold_reason = hold.reason;
    outdate_plans(tx, r.workspace);
  }

  InterruptionOutcome outcome{
      .run_status = next.status,
      .sentence = fmt::format(
          "attempt {} was interrupted ({}): {}", row.attempt.value, reason,
          next.status == RunStatus::kQueued ? next.reason : "not resumed, " + next.reason)};
  r.status = next.status;
  if (next.status != RunStatus::kQueued) {
    r.finished_at = now;
    r.error = outcome.sentence;
    changed = next.status == RunStatus::kCancelled
                  ? after_finish(changed, r, {.status = next.status, .error = r.error}, now)
                  : after_abandoned_run(changed, r, r.error, now);
  }
  save_run(tx, r);
  save_workspace(tx, *before, std::move(changed), now);
  return outcome;
}

}  // namespace

Status finish_attempt(Transaction& tx, const AttemptFence& fence, const AttemptResult& result,
                      Instant now) {
  if (!is_final(result.status)) {
    return fail(ErrorKind::kInvalid,
                fmt::format("an attempt does not end as {}", to_string(result.status)));
  }
  if (auto still = check_attempt(tx, fence); !still) {
    const auto ended = find_attempt(tx, fence.run, fence.attempt);
    const bool repeated =
        ended && ended->claim_hash == hash_of(fence.claim) && ended->row.status == result.status;
    if (repeated) return {};  // the first reply was lost
    return std::unexpected(still.error());
  }
  const AttemptRow row = find_attempt(tx, fence.run, fence.attempt)->row;
  end_attempt(tx, row, result.status, result.error, now);
  if (result.lock_file) set_lock_file(tx, row.workspace, *result.lock_file);
  if (result.status == RunStatus::kInterrupted) {
    const auto outcome =
        resume_or_end(tx, row, result.error.empty() ? "by its runner" : result.error, {}, now);
    if (!outcome) return std::unexpected(outcome.error());
    return {};
  }

  Result<Run> present = run(tx, fence.run);
  if (!present) return std::unexpected(present.error());
  present->status = result.status;
  present->finished_at = now;
  present->exit_code = result.exit_code;
  present->error = result.error;
  present->resources = result.resources;
  save_run(tx, *present);
  const Result<Workspace> before = workspace(tx, row.workspace);
  if (!before) return std::unexpected(before.error());
  save_workspace(tx, *before, after_finish(*before, *present, result, now), now);
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
  if (!found) {
    return fail(ErrorKind::kNotFound,
                fmt::format("run {} has no attempt {}", i.run.value, i.attempt.value));
  }
  if (found->row.status != RunStatus::kRunning) {
    return fail(ErrorKind::kConflict,
                fmt::format("attempt {} of run {} has ended: it is {}", i.attempt.value,
                            i.run.value, to_string(found->row.status)));
  }
  if (found->row.heartbeat_seq != i.heartbeat_seq) {
    return fail(ErrorKind::kConflict,
                fmt::format("attempt {} of run {} is alive: heartbeat {}, not {}", i.attempt.value,
                            i.run.value, found->row.heartbeat_seq, i.heartbeat_seq));
  }
  // Recovered states belong to the attempt, so they come before its end.
  Hold hold{i.hold_reason};
  for (const RecoveredState& recovered : i.recovered) {
    const auto diverged =
        recover_state(tx, {.workspace = found->row.workspace, .job = ""}, found->base_state,
                      {.run = i.run, .attempt = i.attempt, .claim = {}}, recovered, now);
    if (diverged.empty()) continue;
    if (!hold.reason.empty()) hold.reason += "; ";
    hold.reason += diverged;
  }
  end_attempt(tx, found->row, RunStatus::kInterrupted, i.reason, now);
  return resume_or_end(tx, found->row, i.reason, hold, now);
}

}  // namespace provisioner::sqlite
