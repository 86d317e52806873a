#include "model/tofu_state.hpp"

#include <fmt/format.h>

namespace provisioner {
namespace {

StateWriteDecision refuse(std::string reason) {
  return {StateWriteVerdict::kRefuse, std::move(reason)};
}

}  // namespace

StateWriteDecision check_state_write(const std::optional<StateVersion>& current,
                                     const std::optional<StateLock>& lock,
                                     const std::string& lock_id, const StateMeta& incoming) {
  if (!lock) return refuse("the state is not locked: lock it before writing");
  if (lock->id != lock_id) {
    return refuse(fmt::format("the state is locked by {}, not by {}", lock->id,
                              lock_id.empty() ? "this request, which names no lock" : lock_id));
  }
  if (!current) return {StateWriteVerdict::kAccept, ""};
  const StateMeta& present = current->meta;
  if (incoming.sha256 == present.sha256) return {StateWriteVerdict::kIdentical, ""};
  if (incoming.lineage != present.lineage) {
    return refuse(
        fmt::format("lineage {} is not the state's lineage {}: it belongs to another "
                    "deployment",
                    incoming.lineage, present.lineage));
  }
  if (incoming.serial < present.serial) {
    return refuse(fmt::format("serial {} is older than the state's serial {}", incoming.serial,
                              present.serial));
  }
  if (incoming.serial == present.serial) {
    return refuse(fmt::format("serial {} is the state's own, with other content", incoming.serial));
  }
  return {StateWriteVerdict::kAccept, ""};
}

RecoveryDecision check_recovered_state(const std::optional<StateVersion>& current,
                                       std::int64_t base, const AttemptFence& attempt,
                                       const StateMeta& recovered) {
  if (!current) {
    if (base == 0) return {RecoveryVerdict::kAccept, ""};
    return {RecoveryVerdict::kDiverged, "the state that the attempt started from is gone"};
  }
  if (current->meta.sha256 == recovered.sha256) return {RecoveryVerdict::kAlreadyThere, ""};
  const bool by_this_attempt = current->run == attempt.run && current->attempt == attempt.attempt;
  if (!by_this_attempt && current->number != base) {
    return {RecoveryVerdict::kDiverged,
            fmt::format("version {} was written by {} after the attempt began", current->number,
                        current->written_by)};
  }
  if (current->meta.lineage != recovered.lineage) {
    return {RecoveryVerdict::kDiverged, fmt::format("its lineage {} is not the state's lineage {}",
                                                    recovered.lineage, current->meta.lineage)};
  }
  // Older spool files of the same attempt are behind what was handed over later.
  if (recovered.serial <= current->meta.serial) {
    if (by_this_attempt) return {RecoveryVerdict::kAlreadyThere, ""};
    return {RecoveryVerdict::kDiverged,
            fmt::format("its serial {} is not newer than the state's serial {}, with other content",
                        recovered.serial, current->meta.serial)};
  }
  return {RecoveryVerdict::kAccept, ""};
}

}  // namespace provisioner
