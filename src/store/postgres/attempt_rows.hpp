// Rows of run_attempts, for the files that claim, serve and end attempts.
#pragma once

#include <optional>

#include "store/postgres/transaction.hpp"
#include "store/run_rows.hpp"

namespace provisioner::postgres {

// Queue. The second holds the row, too: heartbeats do not hold the workspace of their run.
Transaction::Answer ask_attempt(Transaction& tx, const RunId& run, Attempt attempt);
Transaction::Answer lock_attempt(Transaction& tx, const RunId& run, Attempt attempt);

std::optional<StoredAttempt> one_attempt(const Rows& rows);

}  // namespace provisioner::postgres
