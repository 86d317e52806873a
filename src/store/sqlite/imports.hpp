// Imports of the file-based version.
#pragma once

#include <string>
#include <vector>

#include "store/sqlite/transaction.hpp"

namespace provisioner::sqlite {

Result<std::vector<ImportOutcome>> import_installation(Transaction& tx,
                                                       const ImportRequest& request, Instant now);
Result<std::string> imported_from(Transaction& tx);

}  // namespace provisioner::sqlite
