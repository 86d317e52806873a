// Attempts: claims, the fence of everything a runner writes, and how attempts end.
#pragma once

#include <optional>
#include <vector>

#include "store/postgres/transaction.hpp"

namespace provisioner::postgres {

Task<Result<std::optional<ClaimedRun>>> claim_next(Transaction& tx, const ClaimRequest& request);
Task<Result<std::optional<ClaimedRun>>> find_claim(Transaction& tx, const ClaimId& claim);
Task<Status> register_attempt(Transaction& tx, const AttemptFence& fence,
                              const ProcessIdentity& process);
Task<Result<HeartbeatAnswer>> heartbeat(Transaction& tx, const AttemptFence& fence,
                                        Instant lease_expires_at);
Task<Status> finish_attempt(Transaction& tx, const AttemptFence& fence, const AttemptResult& result,
                            Instant now, const LogEnd& log);
Task<Result<InterruptionOutcome>> interrupt_attempt(Transaction& tx,
                                                    const std::optional<LeaderFence>& fence,
                                                    const Interruption& interruption, Instant now);
Task<Result<std::vector<AttemptRow>>> running_attempts(Transaction& tx);
Task<Result<std::vector<AttemptRow>>> attempts(Transaction& tx, const RunId& id);

// kFenced unless the fence is that of its run's running attempt (I1): what every transaction of a
// runner begins with. Returns the run's workspace.
Task<Result<StateSlot>> check_attempt(Transaction& tx, const AttemptFence& fence);

Task<Status> append_log(Transaction& tx, const AttemptFence& fence, std::int64_t offset,
                        const std::string& text);
// Queues. In the transaction that holds the attempt; leaves out what does not follow on the log.
void send_log(Transaction& tx, const AttemptFence& fence, std::int64_t offset,
              std::string_view text);
Task<Result<std::vector<LogChunk>>> log(Transaction& tx, const RunId& id, Attempt attempt,
                                        std::int64_t offset, std::int64_t limit);

}  // namespace provisioner::postgres
