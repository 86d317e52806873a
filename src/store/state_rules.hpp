// What every store checks about tofu's states, once it has read the rows (I5).
#pragma once

#include <optional>
#include <string>

#include "store/store.hpp"

namespace provisioner {

// A run's attempt writes in its own workspace only: kDenied.
Status check_own_slot(const StateSlot& slot, const AttemptFence& by, const StateSlot& own);

// Before anything is read: kInvalid without an id.
Status check_lock_id(const StateLock& lock);

// Whether `by` made this lock: a run's attempt, or (absent) a person's command.
bool holds(const std::optional<AttemptFence>& by, const StateLock& lock);

// kConflict unless `by` holds `present` with this id.
Status check_unlock(const StateLock& present, const std::optional<AttemptFence>& by,
                    const std::string& lock_id);

// kConflict when a push meets a lock.
Status check_push(const std::optional<StateLock>& lock);

// Nothing when the very same content is there already. kConflict with the reason. The writer's
// credential was checked before: a stale writer of the same bytes is still stale.
Result<std::optional<StateVersion>> accept_state(const std::optional<StateVersion>& current,
                                                 const std::optional<StateLock>& lock,
                                                 const std::optional<AttemptFence>& by,
                                                 const std::string& lock_id, const StateMeta& meta,
                                                 const std::string& actor, Instant now);

// A state found after its attempt, as it is to be stored: nothing when it is there already.
struct Recovery {
  StateVersion version;
  std::string diverged;  // why it is not the current one; "" = it is
};
std::optional<Recovery> accept_recovered_state(const std::optional<StateVersion>& current,
                                               std::int64_t base_state, const AttemptFence& attempt,
                                               const RecoveredState& recovered, Instant now);

// Why a person must look at a divergent version.
std::string kept_as_divergent(const StateVersion& version, const std::string& diverged);

Error no_such_state(const StateSlot& slot, std::int64_t number);

}  // namespace provisioner
