// Imports of the file-based version.
#pragma once

#include <string>
#include <vector>

#include "store/postgres/transaction.hpp"

namespace provisioner::postgres {

Task<Result<std::vector<ImportOutcome>>> import_installation(Transaction& tx,
                                                             const ImportRequest& request,
                                                             Instant now);
Task<Result<std::string>> imported_from(Transaction& tx);

}  // namespace provisioner::postgres
