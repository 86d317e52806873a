// Who leads, and the fence of every decision.
#pragma once

#include "store/sqlite/transaction.hpp"

namespace provisioner::sqlite {

Result<Leadership> leadership(Transaction& tx);
Result<Leadership> claim_term(Transaction& tx, const LeaderFence& seen, const ClaimId& fresh,
                              const InstanceId& me, Instant now);
Status resign(Transaction& tx, const LeaderFence& fence, Instant now);
Result<Leadership> request_transfer(Transaction& tx, const std::string& id, const InstanceId& to,
                                    Instant now);

// kFenced unless (term, claim) is the row's own: what every transaction of a leader begins with
// (I2).
Status check_leader(Transaction& tx, const LeaderFence& fence);

}  // namespace provisioner::sqlite
