#include "server/access.hpp"

#include <fmt/format.h>
#include <grp.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <vector>

#include "base/text.hpp"
#include "server/token.hpp"

namespace provisioner::server {
namespace {

bool is_loopback(std::string_view address) {
  return address.starts_with("127.") || address == "::1" || address.starts_with("::ffff:127.");
}

// The Host header without its port.
std::string_view host_name(std::string_view host) {
  if (host.starts_with('[')) return host.substr(0, host.find(']') + 1);
  return host.substr(0, host.find(':'));
}

Problem needs_token(std::string_view what, Role role, const AccessPolicy& policy) {
  return {.status = 401,
          .code = "token_required",
          .detail = fmt::format(
              "{} a token of role {}: make one on the daemon's machine with 'provisioner token "
              "create NAME --role {}' and send it as 'Authorization: Bearer TOKEN' (the command "
              "line takes it from PROVISIONER_TOKEN). Without one, the command line on that "
              "machine speaks over {}",
              what, to_string(role), to_string(role), policy.socket_path)};
}

Problem bad_token(std::string_view code, std::string detail) {
  return {.status = 401, .code = std::string(code), .detail = std::move(detail)};
}

bool is_forwarded(const http::Request& request) {
  return request.headers.contains("X-Forwarded-For") || request.headers.contains("Forwarded");
}

bool is_on_this_machine(const http::Request& request) {
  return is_loopback(request.remote_address) && !is_forwarded(request);
}

}  // namespace

AccessPolicy system_access_policy(std::string socket_path) {
  AccessPolicy policy{.daemon_uid = ::geteuid(), .socket_path = std::move(socket_path)};
  std::vector<char> space(16 * 1024);
  group entry{};
  group* found = nullptr;
  if (::getgrnam_r("provisioner", &entry, space.data(), space.size(), &found) == 0 &&
      found != nullptr) {
    policy.operator_gid = found->gr_gid;
  }
  return policy;
}

std::expected<Caller, Problem> identify(const http::Request& request, const AccessPolicy& policy) {
  if (request.peer) {
    const http::PeerCredentials& peer = *request.peer;
    if (peer.uid == 0 || peer.uid == policy.daemon_uid) {
      return Caller{
          .role = Role::kAdmin, .actor = fmt::format("uid:{}", peer.uid), .is_private = true};
    }
    if (policy.operator_gid && (peer.gid == *policy.operator_gid ||
                                std::ranges::count(peer.groups, *policy.operator_gid) > 0)) {
      return Caller{.role = Role::kOperator,
                    .actor = fmt::format("gid:provisioner uid:{}", peer.uid),
                    .is_private = true};
    }
    return std::unexpected(
        Problem{.status = 403,
                .code = "forbidden",
                .detail = fmt::format("uid {} may not use this socket: it is for root, the "
                                      "daemon's user and members of the group provisioner",
                                      peer.uid)});
  }
  const std::string host = request.header("Host");
  const std::string_view name = host_name(host);
  const bool local_name =
      host.empty() || name == "localhost" || name == "[::1]" || name.starts_with("127.");
  // A proxy on this machine that passes TLS through makes everybody look local.
  if (request.is_encrypted) {
    return std::unexpected(needs_token("over TLS the API needs", Role::kViewer, policy));
  }
  if (!is_on_this_machine(request) || !local_name) {
    return std::unexpected(
        needs_token("from another machine the API needs", Role::kViewer, policy));
  }
  return Caller{
      .role = Role::kViewer, .actor = "tcp:" + request.remote_address, .is_private = true};
}

std::expected<std::optional<std::string>, Problem> bearer_of(const http::Request& request) {
  const std::string header = request.header("Authorization");
  if (header.empty()) return std::nullopt;
  constexpr std::string_view kScheme = "bearer ";
  const std::string_view scheme = std::string_view(header).substr(0, kScheme.size());
  if (!std::ranges::equal(scheme, kScheme, {}, [](char c) { return std::tolower(c); })) {
    return std::unexpected(
        bad_token("token_invalid", "Authorization: expected Bearer and a token of provisioner"));
  }
  const std::string_view token = trim(std::string_view(header).substr(kScheme.size()));
  if (!is_token(token)) {
    return std::unexpected(
        bad_token("token_invalid",
                  "what was sent is no token of provisioner, or not a whole one: a token begins "
                  "with pvr_ and has 53 characters"));
  }
  return std::string(token);
}

std::expected<Caller, Problem> caller_of(const ApiToken& token, const http::Request& request,
                                         Instant now) {
  if (token.revoked_at) {
    return std::unexpected(bad_token(
        "token_revoked",
        fmt::format("token {} was revoked at {}", token.name, format_rfc3339(*token.revoked_at))));
  }
  if (is_expired(token, now)) {
    return std::unexpected(
        bad_token("token_expired", fmt::format("token {} expired at {}: make a new one", token.name,
                                               format_rfc3339(*token.expires_at))));
  }
  return Caller{.role = token.role,
                .actor = "token:" + token.name,
                .is_private = request.is_encrypted || is_on_this_machine(request),
                .scope = token.scope,
                .token_hash = token.hash};
}

std::optional<Problem> check_role(const Caller& caller, Role needed, const AccessPolicy& policy) {
  if (caller.role >= needed) return std::nullopt;
  if (caller.actor.starts_with("tcp:")) {
    return needs_token("over TCP this needs", needed, policy);
  }
  return Problem{.status = 403,
                 .code = "forbidden",
                 .detail = fmt::format("{} is {}, and this is for {}", caller.actor,
                                       to_string(caller.role), to_string(needed))};
}

std::optional<Problem> check_scope(const Caller& caller, const WorkspaceName& workspace) {
  if (caller.scope.contains(workspace)) return std::nullopt;
  return Problem{.status = 403,
                 .code = "out_of_scope",
                 .detail = fmt::format("{} is for the workspaces {}, not for {}", caller.actor,
                                       caller.scope.to_string(), workspace.value)};
}

std::optional<Problem> check_reaches_everything(const Caller& caller) {
  if (caller.scope.is_everything()) return std::nullopt;
  return Problem{.status = 403,
                 .code = "out_of_scope",
                 .detail = fmt::format("{} is for the workspaces {}, and this concerns all",
                                       caller.actor, caller.scope.to_string())};
}

Problem unknown_token() {
  return bad_token("token_invalid",
                   "this token is not known: it belongs to another installation, or was revoked "
                   "long ago");
}

}  // namespace provisioner::server
