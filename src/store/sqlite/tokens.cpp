#include "store/sqlite/tokens.hpp"

#include <fmt/format.h>

#include "store/cluster_rows.hpp"

namespace provisioner::sqlite {
namespace {

Result<ApiToken> find_token(Transaction& tx, std::string_view column, const std::string& value) {
  auto query = tx.sql(fmt::format("SELECT {} FROM api_tokens WHERE {} = ?", kTokenColumns, column));
  query.bind(value);
  if (!query.step()) return fail(ErrorKind::kNotFound, "there is no such token");
  return read_token(query.row());
}

}  // namespace

Status insert_token(Transaction& tx, const ApiToken& token) {
  auto taken = tx.sql(
      "SELECT name = ?1 FROM api_tokens WHERE (name = ?1 AND revoked_at IS NULL) OR id = ?2 OR "
      "hash = ?3 ORDER BY 1 DESC LIMIT 1");
  taken.bind(token.name, token.id, token.hash);
  if (taken.step()) {
    if (!taken.row().boolean()) return fail(ErrorKind::kConflict, "the token exists already");
    return std::unexpected(token_name_taken(token));
  }
  tx.sql(fmt::format("INSERT INTO api_tokens ({}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                     kTokenColumns))
      .run(token.id, token.name, token.hash, to_string(token.role), token.scope.to_string(),
           token.created_by, token.created_at, token.expires_at, token.revoked_at, token.revoked_by,
           token.last_used_at);
  return {};
}

Result<std::vector<ApiToken>> tokens(Transaction& tx) {
  auto query = tx.sql(
      fmt::format("SELECT {} FROM api_tokens ORDER BY created_at DESC, id DESC", kTokenColumns));
  std::vector<ApiToken> all;
  while (query.step()) all.push_back(read_token(query.row()));
  return all;
}

Result<ApiToken> token_by_hash(Transaction& tx, const std::string& hash) {
  return find_token(tx, "hash", hash);
}

Result<ApiToken> revoke_token(Transaction& tx, const TokenId& id, const std::string& by,
                              Instant now) {
  // The first revocation is the one that is told.
  tx.sql("UPDATE api_tokens SET revoked_at = ?, revoked_by = ? WHERE id = ? AND revoked_at IS NULL")
      .run(now, by, id);
  return find_token(tx, "id", id.value);
}

Status touch_token(Transaction& tx, const TokenId& id, Instant now) {
  tx.sql("UPDATE api_tokens SET last_used_at = ?1 WHERE id = ?2 AND coalesce(last_used_at, 0) < ?1")
      .run(now, id);
  return {};
}

}  // namespace provisioner::sqlite
