#include "store/state_rules.hpp"

#include <fmt/format.h>

namespace provisioner {
namespace {

std::string holder(const StateLock& lock) {
  return lock.run ? fmt::format("attempt {} of run {}", lock.attempt.value, lock.run->value)
                  : "a command";
}

std::unexpected<Error> is_locked(const StateLock& lock) {
  return fail(ErrorKind::kConflict,
              fmt::format("the state is locked by {} of {}", lock.id, holder(lock)));
}

}  // namespace

Status check_own_slot(const StateSlot& slot, const AttemptFence& by, const StateSlot& own) {
  if (own == slot) return {};
  const auto named = [](const StateSlot& s) {
    return s.job.empty() ? "workspace " + s.workspace.value
                         : fmt::format("job {} of workspace {}", s.job, s.workspace.value);
  };
  return fail(ErrorKind::kDenied,
              fmt::format("run {} works on {}, not on {}", by.run.value, named(own), named(slot)));
}

Status check_lock_id(const StateLock& lock) {
  if (!lock.id.empty()) return {};
  return fail(ErrorKind::kInvalid, "a state lock has an ID");
}

bool holds(const std::optional<AttemptFence>& by, const StateLock& lock) {
  if (!by) return !lock.run;
  return lock.run == by->run && lock.attempt == by->attempt;
}

Status check_unlock(const StateLock& present, const std::optional<AttemptFence>& by,
                    const std::string& lock_id) {
  if (present.id == lock_id && holds(by, present)) return {};
  return fail(ErrorKind::kConflict,
              fmt::format("the state is locked by {} of {}, not by {}", present.id, holder(present),
                          lock_id.empty() ? "this request" : lock_id));
}

Status check_push(const std::optional<StateLock>& lock) {
  if (lock) return is_locked(*lock);
  return {};
}

Result<std::optional<StateVersion>> accept_state(const std::optional<StateVersion>& current,
                                                 const std::optional<StateLock>& lock,
                                                 const std::optional<AttemptFence>& by,
                                                 const std::string& lock_id, const StateMeta& meta,
                                                 const std::string& actor, Instant now) {
  if (lock && !holds(by, *lock)) return is_locked(*lock);
  const StateWriteDecision decision = check_state_write(current, lock, lock_id, meta);
  switch (decision.verdict) {
    case StateWriteVerdict::kRefuse: return fail(ErrorKind::kConflict, decision.reason);
    case StateWriteVerdict::kIdentical: return std::nullopt;
    case StateWriteVerdict::kAccept: break;
  }
  return StateVersion{.meta = meta,
                      .run = by ? std::optional(by->run) : std::nullopt,
                      .attempt = by ? by->attempt : Attempt(),
                      .written_by = by ? fmt::format("run {}", by->run.value) : actor,
                      .at = now};
}

std::optional<Recovery> accept_recovered_state(const std::optional<StateVersion>& current,
                                               std::int64_t base_state, const AttemptFence& attempt,
                                               const RecoveredState& recovered, Instant now) {
  const RecoveryDecision decision =
      check_recovered_state(current, base_state, attempt, recovered.meta);
  if (decision.verdict == RecoveryVerdict::kAlreadyThere) return std::nullopt;
  const bool diverged = decision.verdict == RecoveryVerdict::kDiverged;
  return Recovery{.version = {.meta = recovered.meta,
                              .divergent = diverged,
                              .run = attempt.run,
                              .attempt = attempt.attempt,
                              .written_by = fmt::format("run {} (recovered from attempt {})",
                                                        attempt.run.value, attempt.attempt.value),
                              .at = now},
                  .diverged = diverged ? decision.reason : ""};
}

std::string kept_as_divergent(const StateVersion& version, const std::string& diverged) {
  return fmt::format("a state left by attempt {} was kept as divergent version {}: {}",
                     version.attempt.value, version.number, diverged);
}

Error no_such_state(const StateSlot& slot, std::int64_t number) {
  return {ErrorKind::kNotFound,
          fmt::format("the state of workspace {} has no version {}", slot.workspace.value, number)};
}

}  // namespace provisioner
