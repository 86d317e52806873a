// Attempts: claims, the fence of everything a runner writes, and how attempts end.
#pragma once

#include <optional>
#include <vector>

#include "store/sqlite/transaction.hpp"

namespace provisioner::sqlite {

Result<std::optional<ClaimedRun>> claim_next(Transaction& tx, const ClaimRequest& request);
Result<std::optional<ClaimedRun>> find_claim(Transaction& tx, const ClaimId& claim);
Status register_attempt(Transaction& tx, const AttemptFence& fence, const ProcessIdentity& process);
Result<HeartbeatAnswer> heartbeat(Transaction& tx, const AttemptFence& fence,
                                  Instant lease_expires_at);
Status finish_attempt(Transaction& tx, const AttemptFence& fence, const AttemptResult& result,
                      Instant now, const LogEnd& log);
Result<InterruptionOutcome> interrupt_attempt(Transaction& tx,
                                              const std::optional<LeaderFence>& fence,
                                              const Interruption& interruption, Instant now);
Result<std::vector<AttemptRow>> running_attempts(Transaction& tx);
Result<std::vector<AttemptRow>> attempts(Transaction& tx, const RunId& id);

// kFenced unless the fence is that of its run's running attempt (I1): what every transaction of a
// runner begins with. Returns the run's workspace.
Result<StateSlot> check_attempt(Transaction& tx, const AttemptFence& fence);

Status append_log(Transaction& tx, const AttemptFence& fence, std::int64_t offset,
                  const std::string& text);
Result<std::vector<LogChunk>> log(Transaction& tx, const RunId& id, Attempt attempt,
                                  std::int64_t offset, std::int64_t limit);

}  // namespace provisioner::sqlite
