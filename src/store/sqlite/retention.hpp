// Nothing grows without bound.
#pragma once

#include "store/sqlite/transaction.hpp"

namespace provisioner::sqlite {

Result<PruneReport> prune(Transaction& tx, const RetentionPolicy& policy, Instant now);

}  // namespace provisioner::sqlite
