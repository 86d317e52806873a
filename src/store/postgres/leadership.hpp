// Who leads, and the fence of every decision.
#pragma once

#include "store/postgres/transaction.hpp"

namespace provisioner::postgres {

Task<Result<Leadership>> leadership(Transaction& tx);
Task<Result<Leadership>> claim_term(Transaction& tx, const LeaderFence& seen, const ClaimId& fresh,
                                    const InstanceId& me, Instant now);
Task<Result<Leadership>> request_transfer(Transaction& tx, const std::string& id,
                                          const InstanceId& to, Instant now);
Task<Status> resign(Transaction& tx, const LeaderFence& fence, Instant now);

// kFenced unless (term, claim) is the row's own (I2). One round trip, with all that was queued
// before; the row itself is held only by the round trip that commits, which proves it once more: a
// leader that stops in between holds nothing up.
Task<Status> check_leader(Transaction& tx, const LeaderFence& fence);

}  // namespace provisioner::postgres
