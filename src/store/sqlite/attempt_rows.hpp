// Rows of run_attempts, for the files that claim, serve and end attempts.
#pragma once

#include <optional>

#include "store/run_rows.hpp"
#include "store/sqlite/transaction.hpp"

namespace provisioner::sqlite {

std::optional<StoredAttempt> find_attempt(Transaction& tx, const RunId& run, Attempt attempt);
std::optional<StoredAttempt> find_attempt(Transaction& tx, const ClaimId& claim);

}  // namespace provisioner::sqlite
