// Who asks, and what they may do: the rules. The gate (gate.hpp) applies them.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>

#include "http/message.hpp"
#include "model/api_token.hpp"
#include "server/problem.hpp"

namespace provisioner::server {

struct AccessPolicy {
  std::int64_t daemon_uid = -1;
  std::optional<std::int64_t> operator_gid;  // of the group `provisioner`, if there is one
  std::string socket_path;                   // named in refusals
};

// This process's uid and the system's group `provisioner`. Blocking: for the start of a program.
AccessPolicy system_access_policy(std::string socket_path);

struct Caller {
  Role role = Role::kViewer;
  std::string actor;        // for the audit: "uid:0", "token:ci", "tcp:127.0.0.1"
  bool is_private = false;  // nobody between us can read along: unix socket, TLS, or this machine
  WorkspaceScope scope;
  std::string token_hash;  // "" = came without a token
};

// Unix socket: root and the daemon's uid are admin, members of the operators' group operator,
// others are refused (403). TCP: without a token, only somebody on this machine may look, and not
// over TLS; whoever comes from beyond it, through a proxy, or under a foreign host name (a web page
// that had its name point here) is refused (401).
std::expected<Caller, Problem> identify(const http::Request& request, const AccessPolicy& policy);

// What stands behind "Bearer"; nothing when the request has no Authorization. 401 token_invalid for
// another scheme or for what cannot be one of our tokens.
std::expected<std::optional<std::string>, Problem> bearer_of(const http::Request& request);

// 401 token_revoked and token_expired.
std::expected<Caller, Problem> caller_of(const ApiToken& token, const http::Request& request,
                                         Instant now);

// Refuses a role that is too low: 403, or 401 where a token would help.
std::optional<Problem> check_role(const Caller& caller, Role needed, const AccessPolicy& policy);

// Refuses a workspace outside the token's scope: 403 out_of_scope, whether it exists or not.
std::optional<Problem> check_scope(const Caller& caller, const WorkspaceName& workspace);
// Refuses a token of certain workspaces where the whole instance is concerned.
std::optional<Problem> check_reaches_everything(const Caller& caller);

Problem unknown_token();

}  // namespace provisioner::server
