#include "store/run_rules.hpp"

#include <fmt/format.h>
#include <sodium/crypto_hash_sha256.h>

#include <array>
#include <utility>

#include "base/text.hpp"
#include "model/transitions.hpp"

namespace provisioner {
namespace {

// It failed, as its last attempt did.
Run not_tried_again(Run waiting, std::string_view why, Instant now) {
  waiting.status = RunStatus::kFailed;
  waiting.error += fmt::format("; not tried again: {}", why);
  waiting.not_before.reset();
  waiting.finished_at = now;
  return waiting;
}

}  // namespace

Run as_queued(const NewRun& wanted) {
  Run run;
  run.id = wanted.id;
  run.workspace = wanted.workspace;
  run.job = wanted.job;
  run.operation = wanted.operation;
  run.mode = wanted.mode;
  run.trigger = wanted.trigger;
  run.scheduled_for = wanted.scheduled_for;
  run.requested_by = wanted.requested_by;
  run.definition = wanted.definition;
  run.not_before = wanted.not_before;
  run.waiting_for = wanted.waiting_for;
  run.upgrade = wanted.upgrade;
  run.confirmed = wanted.confirmed;
  run.concurrent = wanted.concurrent;
  run.event = wanted.event;
  run.correlation_id = correlation_of(wanted);
  run.created_at = wanted.created_at;
  return run;
}

Error no_such_run(const RunId& id) {
  return {ErrorKind::kNotFound, fmt::format("there is no run {}", id.value)};
}

Error unknown_bundle(const NewRun& run) {
  return {ErrorKind::kInvalid, fmt::format("bundle {} of workspace {} is not in the store",
                                           run.definition.bundle.value, run.workspace.value)};
}

Error run_exists(const RunId& id) {
  return {ErrorKind::kConflict, fmt::format("run {} exists already", id.value)};
}

Error slot_is_busy(const Run& with) {
  std::string sentence =
      with.job.empty()
          ? fmt::format("workspace {} is busy: {} run {} is {}", with.workspace.value,
                        to_string(with.operation), with.id.value, to_string(with.status))
          : fmt::format("job {} of {} is busy: run {} is {}", with.job.value,
                        shown_workspace(with.workspace), with.id.value, to_string(with.status));
  if (waits_for_retry(with)) {
    sentence += fmt::format(" and tried again at {}", format_rfc3339(*with.not_before));
  }
  return {ErrorKind::kConflict, std::move(sentence)};
}

Error not_queued(const Run& present) {
  return {ErrorKind::kConflict,
          fmt::format("run {} is {}, not queued", present.id.value, to_string(present.status))};
}

std::optional<Run> after_suspension(const std::optional<Run>& queued, const Workspace& before,
                                    const Workspace& after, Instant now) {
  if (!queued || !waits_for_retry(*queued)) return std::nullopt;
  if (is_suspended(before, now) || !is_suspended(after, now)) return std::nullopt;
  return not_tried_again(
      *queued, after.enabled ? "the workspace is held" : "the workspace is disabled", now);
}

Run after_superseded(Run waiting, const RunId& by, Instant now) {
  if (waits_for_retry(waiting)) {
    return not_tried_again(std::move(waiting), fmt::format("superseded by run {}", by.value), now);
  }
  waiting.status = waiting.attempt == Attempt() ? RunStatus::kCancelled : RunStatus::kInterrupted;
  waiting.error = fmt::format("superseded by run {}", by.value);
  waiting.finished_at = now;
  return waiting;
}

Result<Run> after_cancel_request(Run present, Instant now) {
  if (is_final(present.status)) {
    return fail(ErrorKind::kConflict, fmt::format("run {} has ended: it is {}", present.id.value,
                                                  to_string(present.status)));
  }
  present.cancel_requested = true;
  if (present.status == RunStatus::kQueued) {
    present.error = waits_for_retry(present)
                        ? fmt::format("cancelled before it was tried again: {}", present.error)
                    : present.attempt == Attempt() ? "cancelled before it began"
                                                   : "cancelled before it was resumed";
    present.status = RunStatus::kCancelled;
    present.finished_at = now;
  }
  return present;
}

Workspace after_waiting_run(const Workspace& before, const Run& ended, Instant now) {
  if (ended.attempt == Attempt() && ended.status != RunStatus::kFailed) return before;
  return ended.status == RunStatus::kCancelled
             ? after_finish(before, ended, {.status = ended.status, .error = ended.error}, now)
             : after_abandoned_run(before, ended, ended.error, now);
}

std::string hash_of(const ClaimId& claim) {
  std::array<unsigned char, crypto_hash_sha256_BYTES> hash{};
  crypto_hash_sha256(hash.data(), reinterpret_cast<const unsigned char*>(claim.value.data()),
                     claim.value.size());
  return to_hex(hash);
}

Run as_claimed(Run run, const ClaimRequest& request, Term term) {
  run.attempt = run.attempt.next();
  run.status = RunStatus::kRunning;
  run.instance = request.instance;
  run.term = term;
  run.not_before.reset();
  run.error.clear();  // its attempt keeps it
  if (!run.started_at) run.started_at = request.now;
  return run;
}

Error claim_has_ended(const AttemptRow& row) {
  return {ErrorKind::kConflict, fmt::format("this claim's attempt {} of run {} has ended",
                                            row.attempt.value, row.run.value)};
}

Status check_attempt_fence(const std::optional<StoredAttempt>& found, const AttemptFence& fence) {
  if (!found || found->claim_hash != hash_of(fence.claim)) {
    return fail(ErrorKind::kFenced,
                fmt::format("attempt {} of run {} was not claimed by this claim",
                            fence.attempt.value, fence.run.value));
  }
  if (found->row.status != RunStatus::kRunning) {
    return fail(ErrorKind::kFenced,
                fmt::format("attempt {} of run {} has ended: it is {}", fence.attempt.value,
                            fence.run.value, to_string(found->row.status)));
  }
  return {};
}

Status check_registration(const AttemptRow& row, const ProcessIdentity& process) {
  if (!row.process || row.process == process) return {};
  return fail(ErrorKind::kConflict,
              fmt::format("attempt {} of run {} was registered by guard {}", row.attempt.value,
                          row.run.value, row.process->guard_pid));
}

Status check_result(const AttemptResult& result) {
  if (is_final(result.status)) return {};
  return fail(ErrorKind::kInvalid,
              fmt::format("an attempt does not end as {}", to_string(result.status)));
}

bool has_ended_so(const std::optional<StoredAttempt>& found, const AttemptFence& fence,
                  const AttemptResult& result) {
  return found && found->claim_hash == hash_of(fence.claim) && found->row.status == result.status;
}

Status check_interruption(const std::optional<StoredAttempt>& found, const Interruption& observed) {
  const Interruption& i = observed;
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
  return {};
}

AfterFinishedAttempt after_finished_attempt(const Run& run, const Workspace& before,
                                            const std::optional<RunId>& newer,
                                            const AttemptResult& result, Instant now) {
  AfterFinishedAttempt after{.run = run, .workspace = before, .log = {}};
  Run& r = after.run;
  r.exit_code = result.exit_code;
  r.error = result.error;
  r.resources = result.resources;
  const bool stopped = is_suspended(before, now) && run.trigger != Trigger::kManual;
  if (result.status == RunStatus::kFailed && result.retry && !newer && !run.cancel_requested &&
      !stopped) {
    r.status = RunStatus::kQueued;
    r.not_before = result.retry->at;
    r.retries += 1;
    after.workspace = after_failed_attempt(before, r, result.error, result.retry->at);
    after.log = result.retry->announcement;
    return after;
  }
  r.status = result.status;
  r.finished_at = now;
  after.workspace = after_finish(before, r, result, now);
  return after;
}

AfterInterruptedAttempt after_interrupted_attempt(const Run& run, const Workspace& before,
                                                  const std::optional<RunId>& newer, bool began,
                                                  const std::string& reason,
                                                  const std::string& hold, Instant now) {
  AfterInterruptedAttempt after{.run = run, .workspace = before, .outcome = {}};
  AfterInterruption next = after_interruption(run, began);
  if (next.status == RunStatus::kQueued && newer) {
    // The slot has room for one queued run: what was asked for later wins.
    next = {RunStatus::kInterrupted, fmt::format("superseded by run {}", newer->value)};
  }
  if (!hold.empty()) {
    if (next.status == RunStatus::kQueued) next = {RunStatus::kInterrupted, hold};
    after.workspace.held = true;
    after.workspace.hold_until.reset();
    after.workspace.hold_reason = hold;
    after.outdates_plans = true;
  }
  after.outcome = {
      .run_status = next.status,
      .sentence = fmt::format(
          "attempt {} was interrupted ({}): {}", run.attempt.value, reason,
          next.status == RunStatus::kQueued ? next.reason : "not resumed, " + next.reason)};
  Run& r = after.run;
  r.status = next.status;
  if (next.status != RunStatus::kQueued) {
    r.finished_at = now;
    r.error = after.outcome.sentence;
    after.workspace =
        next.status == RunStatus::kCancelled
            ? after_finish(after.workspace, r, {.status = next.status, .error = r.error}, now)
            : after_abandoned_run(after.workspace, r, r.error, now);
  }
  return after;
}

Status check_log_offset(const AttemptFence& fence, std::int64_t offset, std::int64_t end) {
  if (offset >= 0 && offset <= end) return {};
  return fail(ErrorKind::kInvalid,
              fmt::format("the log of attempt {} of run {} ends at byte {}: send it from there, "
                          "not from {}",
                          fence.attempt.value, fence.run.value, end, offset));
}

bool cut_read_part(LogChunk& chunk, Attempt attempt, std::int64_t offset) {
  if (chunk.attempt != attempt || chunk.offset >= offset) return true;
  const auto known = static_cast<std::size_t>(offset - chunk.offset);
  if (known >= chunk.text.size()) return false;
  chunk.text.erase(0, known);
  chunk.offset = offset;
  return true;
}

}  // namespace provisioner
