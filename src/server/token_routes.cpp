#include <fmt/format.h>

#include <algorithm>

#include "server/body.hpp"
#include "server/replies.hpp"
#include "server/token.hpp"

namespace provisioner::server {
namespace {

// A token that is forgotten should not open doors for ever.
constexpr Duration kDefaultLife = std::chrono::hours(24 * 90);

std::expected<std::optional<Instant>, Problem> parse_expiry(const CommandBody& body, Instant now) {
  const auto text = body.text("expires");
  if (!text) return std::unexpected(text.error());
  if (text->empty()) return now + kDefaultLife;
  if (*text == "never") return std::nullopt;
  return parse_until("expires", *text, now);
}

std::expected<ApiToken, Problem> parse_token(const Call& call, Instant now) {
  static constexpr std::string_view kFields[] = {"role", "workspaces", "expires"};
  const auto name = parse_token_name(call.params[0]);
  if (!name) return refuse(name.error());
  const auto body = CommandBody::parse(call.request, kFields);
  if (!body) return std::unexpected(body.error());
  const auto role_text = body->text("role");
  if (!role_text) return std::unexpected(role_text.error());
  const auto role = parse_role(*role_text);
  if (!role) return refuse(422, "invalid_request", "role: " + role.error().message);
  const auto scope_text = body->text("workspaces");
  if (!scope_text) return std::unexpected(scope_text.error());
  auto scope = parse_workspace_scope(*scope_text);
  if (!scope) return refuse(422, "invalid_request", "workspaces: " + scope.error().message);
  const auto expires = parse_expiry(*body, now);
  if (!expires) return std::unexpected(expires.error());
  return ApiToken{.name = *name,
                  .role = *role,
                  .scope = std::move(*scope),
                  .created_by = call.caller.actor,
                  .created_at = now,
                  .expires_at = *expires};
}

}  // namespace

Task<Reply> list_tokens(Services& services, Call) {
  const auto tokens = co_await services.parts.store.tokens();
  if (!tokens) co_return refuse(tokens.error());
  std::vector<std::string> items;
  for (const ApiToken& token : *tokens) items.push_back(render(token, services.now()));
  co_return http::json_response(200, render_list(items));
}

Task<Reply> create_token(Services& services, Call call) {
  const Instant now = services.now();
  auto token = parse_token(call, now);
  if (!token) co_return std::unexpected(token.error());
  const std::string secret = make_token(services.parts.random);
  token->id = make_token_id(services.parts.random);
  token->hash = hash_token(secret);
  const Status inserted = co_await services.parts.store.insert_token(*token);
  if (!inserted) {
    Problem problem = problem_of(inserted.error());
    if (problem.status == 409) problem.code = "token_exists";
    co_return std::unexpected(std::move(problem));
  }
  http::Response response = http::json_response(201, render(*token, now, secret) + "\n");
  response.headers["Cache-Control"] = "no-store";
  co_return response;
}

// By id, or by the name of one that is not revoked.
Task<Reply> revoke_token(Services& services, Call call) {
  const std::string& wanted = call.params[0];
  const auto tokens = co_await services.parts.store.tokens();
  if (!tokens) co_return refuse(tokens.error());
  auto found = std::ranges::find_if(
      *tokens, [&](const ApiToken& t) { return t.name == wanted && !t.revoked_at; });
  if (found == tokens->end()) {
    found = std::ranges::find(*tokens, TokenId(wanted), &ApiToken::id);
  }
  if (found == tokens->end()) {
    co_return refuse(404, "token_not_found",
                     fmt::format("no token has the name or id {}, or it is revoked", wanted));
  }
  const auto revoked =
      co_await services.parts.store.revoke_token(found->id, call.caller.actor, services.now());
  if (!revoked) co_return refuse(revoked.error());
  co_return http::json_response(200, render(*revoked, services.now()) + "\n");
}

}  // namespace provisioner::server
