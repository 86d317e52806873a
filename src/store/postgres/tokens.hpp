// Tokens of the API.
#pragma once

#include <string>
#include <vector>

#include "store/postgres/transaction.hpp"

namespace provisioner::postgres {

Task<Status> insert_token(Transaction& tx, const ApiToken& token);
Task<Result<std::vector<ApiToken>>> tokens(Transaction& tx);
Task<Result<ApiToken>> token_by_hash(Transaction& tx, const std::string& hash);
Task<Result<ApiToken>> revoke_token(Transaction& tx, const TokenId& id, const std::string& by,
                                    Instant now);
Task<Status> touch_token(Transaction& tx, const TokenId& id, Instant now);

}  // namespace provisioner::postgres
