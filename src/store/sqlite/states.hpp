// tofu's state: versions and locks (I5).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "store/sqlite/transaction.hpp"

namespace provisioner::sqlite {

Result<std::optional<StateLock>> lock_state(Transaction& tx, const StateSlot& slot,
                                            const std::optional<AttemptFence>& by, StateLock lock);
Status unlock_state(Transaction& tx, const StateSlot& slot, const std::optional<AttemptFence>& by,
                    const std::string& lock_id);
Result<std::optional<StateLock>> state_lock(Transaction& tx, const StateSlot& slot);
Result<std::optional<StateLock>> force_unlock(Transaction& tx, const StateSlot& slot);
Result<StateVersion> write_state(Transaction& tx, const StateSlot& slot,
                                 const std::optional<AttemptFence>& by, const std::string& lock_id,
                                 const StateMeta& meta, const std::string& body,
                                 const std::string& actor, Instant now);
Result<StateVersion> push_state(Transaction& tx, const StateSlot& slot, const StateMeta& meta,
                                const std::string& body, const std::string& actor, Instant now);
Result<std::optional<StateVersion>> current_state(Transaction& tx, const StateSlot& slot);
Result<std::vector<StateVersion>> state_versions(Transaction& tx, const StateSlot& slot);
Result<std::string> state_body(Transaction& tx, const StateSlot& slot, std::int64_t number);

// Stores a body found after its attempt: as the current version, or as a divergent one, and then
// returns why a person must look ("" else).
std::string recover_state(Transaction& tx, const StateSlot& slot, std::int64_t base_state,
                          const AttemptFence& attempt, const RecoveredState& recovered,
                          Instant now);

// Of an attempt that ends.
void release_lock_of(Transaction& tx, const WorkspaceName& workspace, const RunId& run,
                     Attempt attempt);

}  // namespace provisioner::sqlite
