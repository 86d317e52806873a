// Nothing grows without bound.
#pragma once

#include "store/postgres/transaction.hpp"

namespace provisioner::postgres {

Task<Result<PruneReport>> prune(Transaction& tx, const RetentionPolicy& policy, Instant now);

}  // namespace provisioner::postgres
