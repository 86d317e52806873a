// How attempts end: reported by their runner, or found dead.
#include "model/transitions.hpp"
#include "store/postgres/attempt_rows.hpp"
#include "store/postgres/attempts.hpp"
#include "store/postgres/jobs.hpp"
#include "store/postgres/leadership.hpp"
#include "store/postgres/runs.hpp"
#include "store/postgres/states.hpp"
#include "store/postgres/workspaces.hpp"
#include "store/run_rules.hpp"
#include "store/workspace_rows.hpp"

namespace provisioner::postgres {
namespace {

// Everything that the end of an attempt rests on, held and then read in one round trip.
struct Ending {
  Transaction::Answer workspace, attempt, run, queued;
};

Ending lock_ending(Transaction& tx, const RunId& run, Attempt attempt) {
  return {.workspace = lock_workspace_of(tx, run),
          .attempt = lock_attempt(tx, run, attempt),
          .run = ask_run(tx, run),
          .queued = ask_queued_beside(tx, run)};
}

std::optional<RunId> newer_run(const Rows& queued) {
  if (queued.empty()) return std::nullopt;
  return queued[0].as<RunId>();
}

// Queues. Ends the row and releases its state lock in the same transaction, so that the next
// attempt never meets the lock of a dead one.
void end_attempt(Transaction& tx, const AttemptRow& row, RunStatus status, const std::string& error,
                 Instant now) {
  tx.send(
      "UPDATE run_attempts SET status = $1, finished_at = $2, error = $3 WHERE run = $4 AND "
      "attempt = $5",
      to_string(status), now, error, row.run, row.attempt);
  release_lock_of(tx, row.workspace, row.run, row.attempt);
}

// Moves run and workspace after an attempt that was interrupted.
Task<InterruptionOutcome> resume_or_end(Transaction& tx, const Ending& ending, bool began,
                                        const std::string& reason, const std::string& hold,
                                        Instant now) {
  const Workspace before = read_workspace((co_await tx.rows(ending.workspace))[0]);
  const Rows run_rows = co_await tx.rows(ending.run);
  const auto newer = newer_run(co_await tx.rows(ending.queued));
  AfterInterruptedAttempt after =
      after_interrupted_attempt(read_run(run_rows[0]).run, before, newer, began, reason, hold, now);
  if (after.outdates_plans) outdate_plans(tx, before.name);
  save_run(tx, after.run);
  if (!newer) note_event(tx, after.run, after.workspace, now);
  save_workspace(tx, before, std::move(after.workspace), now);
  co_await follow_run(tx, after.run, now);
  co_return std::move(after.outcome);
}

}  // namespace

Task<Status> finish_attempt(Transaction& tx, const AttemptFence& fence, const AttemptResult& result,
                            Instant now, const LogEnd& log) {
  if (auto ends = check_result(result); !ends) co_return ends;
  const Ending ending = lock_ending(tx, fence.run, fence.attempt);
  const auto found = one_attempt(co_await tx.rows(ending.attempt));
  if (auto still = check_attempt_fence(found, fence); !still) {
    if (has_ended_so(found, fence, result)) co_return Status();  // the first reply was lost
    co_return still;
  }
  const AttemptRow& row = found->row;
  if (!log.text.empty()) send_log(tx, fence, log.offset, log.text);
  if (result.lock_file && row.job.empty()) set_lock_file(tx, row.workspace, *result.lock_file);
  if (result.status == RunStatus::kInterrupted) {
    end_attempt(tx, row, result.status, result.error, now);
    const std::string reason = result.error.empty() ? "by its runner" : result.error;
    co_await resume_or_end(tx, ending, row.process.has_value(), reason, "", now);
    co_return Status();
  }
  const Rows run_rows = co_await tx.rows(ending.run);
  const Workspace before = read_workspace((co_await tx.rows(ending.workspace))[0]);
  const auto newer = newer_run(co_await tx.rows(ending.queued));
  AfterFinishedAttempt after =
      after_finished_attempt(read_run(run_rows[0]).run, before, newer, result, now);
  if (!after.log.empty()) {
    const auto end = log.offset + static_cast<std::int64_t>(log.text.size());
    send_log(tx, fence, end, after.log);
  }
  end_attempt(tx, row, result.status, result.error, now);
  save_run(tx, after.run);
  note_event(tx, after.run, after.workspace, now);
  save_workspace(tx, before, std::move(after.workspace), now);
  co_await follow_run(tx, after.run, now);
  co_return Status();
}

Task<Result<InterruptionOutcome>> interrupt_attempt(Transaction& tx,
                                                    const std::optional<LeaderFence>& fence,
                                                    const Interruption& interruption, Instant now) {
  const Interruption& i = interruption;
  const Ending ending = lock_ending(tx, i.run, i.attempt);
  if (fence) {
    if (auto leads = co_await check_leader(tx, *fence); !leads) {
      co_return std::unexpected(leads.error());
    }
  }
  const auto found = one_attempt(co_await tx.rows(ending.attempt));
  if (auto fits = check_interruption(found, i); !fits) co_return std::unexpected(fits.error());
  // Recovered states belong to the attempt, so they come before its end.
  std::string hold = i.hold_reason;
  for (const RecoveredState& recovered : i.recovered) {
    const std::string diverged =
        co_await recover_state(tx, {found->row.workspace, found->row.job.value}, found->base_state,
                               {.run = i.run, .attempt = i.attempt, .claim = {}}, recovered, now);
    if (diverged.empty()) continue;
    if (!hold.empty()) hold += "; ";
    hold += diverged;
  }
  end_attempt(tx, found->row, RunStatus::kInterrupted, i.reason, now);
  co_return co_await resume_or_end(tx, ending, found->row.process.has_value(), i.reason, hold, now);
}

}  // namespace provisioner::postgres
