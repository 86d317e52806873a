// Tokens of the API.
#pragma once

#include <string>
#include <vector>

#include "store/sqlite/transaction.hpp"

namespace provisioner::sqlite {

Status insert_token(Transaction& tx, const ApiToken& token);
Result<std::vector<ApiToken>> tokens(Transaction& tx);
Result<ApiToken> token_by_hash(Transaction& tx, const std::string& hash);
Result<ApiToken> revoke_token(Transaction& tx, const TokenId& id, const std::string& by,
                              Instant now);
Status touch_token(Transaction& tx, const TokenId& id, Instant now);

}  // namespace provisioner::sqlite
