// Rows of run_attempts, for the files that claim, serve and end attempts.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "store/sqlite/transaction.hpp"

namespace provisioner::sqlite {

// What the store alone knows of an attempt, beside the row that it shows.
struct StoredAttempt {
  AttemptRow row;
  std::string claim_hash;
  std::int64_t base_state = 0;
};

// What is stored of a claim id, and found by.
std::string hash_of(const ClaimId& claim);

std::optional<StoredAttempt> find_attempt(Transaction& tx, const RunId& run, Attempt attempt);
std::optional<StoredAttempt> find_attempt(Transaction& tx, const ClaimId& claim);

}  // namespace provisioner::sqlite
