#include "server/access.hpp"

#include <fmt/format.h>
#include <grp.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

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

Problem needs_token(std::string detail) {
  return {.status = 401, .code = "token_required", .detail = std::move(detail)};
}

std::string_view to_string(Role role) {
  switch (role) {
    case Role::kViewer: return "viewer";
    case Role::kOperator: return "operator";
    case Role::kAdmin: return "admin";
  }
  return "viewer";
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
      return Caller{Role::kAdmin, fmt::format("uid:{}", peer.uid), true};
    }
    if (policy.operator_gid && (peer.gid == *policy.operator_gid ||
                                std::ranges::count(peer.groups, *policy.operator_gid) > 0)) {
      return Caller{Role::kOperator, fmt::format("gid:provisioner uid:{}", peer.uid), true};
    }
    return std::unexpected(
        Problem{.status = 403,
                .code = "forbidden",
                .detail = fmt::format("uid {} may not use this socket: it is for root, the "
                                      "daemon's user and members of the group provisioner",
                                      peer.uid)});
  }
  if (!request.header("Authorization").empty()) {
    return std::unexpected(needs_token("this token is not known to the daemon"));
  }
  const std::string host = request.header("Host");
  const std::string_view name = host_name(host);
  const bool local_name =
      host.empty() || name == "localhost" || name == "[::1]" || name.starts_with("127.");
  if (!is_loopback(request.remote_address) || !local_name ||
      request.headers.contains("X-Forwarded-For") || request.headers.contains("Forwarded")) {
    return std::unexpected(needs_token(
        fmt::format("from another machine the API needs a token, and no token is configured: use "
                    "the command line on the daemon's machine, which speaks over {}",
                    policy.socket_path)));
  }
  return Caller{Role::kViewer, "tcp:" + request.remote_address, false};
}

std::optional<Problem> check_role(const Caller& caller, Role needed, const AccessPolicy& policy) {
  if (caller.role >= needed) return std::nullopt;
  if (!caller.is_local) {
    return needs_token(
        fmt::format("over TCP this needs a token of role {}, and no token is configured: use the "
                    "command line on the daemon's machine, which speaks over {}",
                    to_string(needed), policy.socket_path));
  }
  return Problem{.status = 403,
                 .code = "forbidden",
                 .detail = fmt::format("{} is {}, and this is for {}", caller.actor,
                                       to_string(caller.role), to_string(needed))};
}

}  // namespace provisioner::server
