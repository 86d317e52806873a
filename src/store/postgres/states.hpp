// tofu's state: versions and locks (I5).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "store/postgres/transaction.hpp"

namespace provisioner::postgres {

Task<Result<std::optional<StateLock>>> lock_state(Transaction& tx, const StateSlot& slot,
                                                  const std::optional<AttemptFence>& by,
                                                  const StateLock& lock);
Task<Status> unlock_state(Transaction& tx, const StateSlot& slot,
                          const std::optional<AttemptFence>& by, const std::string& lock_id);
Task<Result<std::optional<StateLock>>> state_lock(Transaction& tx, const StateSlot& slot);
Task<Result<std::optional<StateLock>>> force_unlock(Transaction& tx, const StateSlot& slot);
Task<Result<StateVersion>> write_state(Transaction& tx, const StateSlot& slot,
                                       const std::optional<AttemptFence>& by,
                                       const std::string& lock_id, const StateMeta& meta,
                                       const std::string& body, const std::string& actor,
                                       Instant now);
Task<Result<StateVersion>> push_state(Transaction& tx, const StateSlot& slot, const StateMeta& meta,
                                      const std::string& body, const std::string& actor,
                                      Instant now);
Task<Result<std::optional<StateVersion>>> current_state(Transaction& tx, const StateSlot& slot);
Task<Result<std::vector<StateVersion>>> state_versions(Transaction& tx, const StateSlot& slot);
Task<Result<std::string>> state_body(Transaction& tx, const StateSlot& slot, std::int64_t number);

// Stores a body found after its attempt: as the current version, or as a divergent one, and then
// returns why a person must look ("" else).
Task<std::string> recover_state(Transaction& tx, const StateSlot& slot, std::int64_t base_state,
                                const AttemptFence& attempt, const RecoveredState& recovered,
                                Instant now);

// Queues. Of an attempt that ends.
void release_lock_of(Transaction& tx, const WorkspaceName& workspace, const RunId& run,
                     Attempt attempt);

}  // namespace provisioner::postgres
