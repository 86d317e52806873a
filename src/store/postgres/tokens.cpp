#include "store/postgres/tokens.hpp"

#include <fmt/format.h>

#include "store/cluster_rows.hpp"

namespace provisioner::postgres {
namespace {

constexpr std::string_view kUniqueViolation = "23505";

Result<ApiToken> one_token(const Rows& rows) {
  if (rows.empty()) return fail(ErrorKind::kNotFound, "there is no such token");
  return read_token(rows[0]);
}

}  // namespace

Task<Status> insert_token(Transaction& tx, const ApiToken& token) {
  static const std::string insert = fmt::format(
      "INSERT INTO api_tokens ({}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
      kTokenColumns);
  const Rows same_name = co_await tx.query(
      "SELECT 1 FROM api_tokens WHERE name = $1 AND revoked_at IS NULL", token.name);
  if (!same_name.empty()) co_return std::unexpected(token_name_taken(token));
  // Somebody may insert the same at this moment: the indexes decide.
  tx.send(Query(insert, token.id, token.name, token.hash, to_string(token.role),
                token.scope.to_string(), token.created_by, token.created_at, token.expires_at,
                token.revoked_at, token.revoked_by, token.last_used_at)
              .refuse(kUniqueViolation, {ErrorKind::kConflict, "the token exists already"}));
  co_return Status();
}

Task<Result<std::vector<ApiToken>>> tokens(Transaction& tx) {
  static const std::string text =
      fmt::format("SELECT {} FROM api_tokens ORDER BY created_at DESC, id DESC", kTokenColumns);
  std::vector<ApiToken> all;
  for (Row row : co_await tx.query(text)) all.push_back(read_token(row));
  co_return all;
}

Task<Result<ApiToken>> token_by_hash(Transaction& tx, const std::string& hash) {
  static const std::string text =
      fmt::format("SELECT {} FROM api_tokens WHERE hash = $1", kTokenColumns);
  co_return one_token(co_await tx.query(text, hash));
}

Task<Result<ApiToken>> revoke_token(Transaction& tx, const TokenId& id, const std::string& by,
                                    Instant now) {
  static const std::string text =
      fmt::format("SELECT {} FROM api_tokens WHERE id = $1", kTokenColumns);
  // The first revocation is the one that is told.
  tx.send(
      "UPDATE api_tokens SET revoked_at = $1, revoked_by = $2 WHERE id = $3 AND revoked_at IS NULL",
      now, by, id);
  co_return one_token(co_await tx.query(text, id));
}

Task<Status> touch_token(Transaction& tx, const TokenId& id, Instant now) {
  tx.send(
      "UPDATE api_tokens SET last_used_at = $1 WHERE id = $2 AND (last_used_at IS NULL OR "
      "last_used_at < $1)",
      now, id);
  co_return Status();
}

}  // namespace provisioner::postgres
