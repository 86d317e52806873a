// Rows of run_attempts, for the files that claim, serve and end attempts.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "store/postgres/transaction.hpp"

namespace provisioner::postgres {

// What the store alone knows of an attempt, beside the row that it shows.
struct StoredAttempt {
  AttemptRow row;
  std::string claim_hash;
  std::int64_t base_state = 0;
};

// What is stored of a claim id, and found by.
std::string hash_of(const ClaimId& claim);

Task<std::optional<StoredAttempt>> find_attempt(Transaction& tx, const RunId& run, Attempt attempt);
Task<std::optional<StoredAttempt>> find_attempt(Transaction& tx, const ClaimId& claim);

}  // namespace provisioner::postgres
