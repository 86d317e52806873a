// Who asks, and what they may do.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>

#include "http/message.hpp"
#include "server/problem.hpp"

namespace provisioner::server {

// Each may do what those before it may.
enum class Role {
  kViewer,    // look
  kOperator,  // deploy, destroy, hold, cancel
  kAdmin,     // change or read tofu states, forget workspaces
};

struct AccessPolicy {
  std::int64_t daemon_uid = -1;
  std::optional<std::int64_t> operator_gid;  // of the group `provisioner`, if there is one
  std::string socket_path;                   // named in refusals
};

// This process's uid and the system's group `provisioner`. Blocking: for the start of a program.
AccessPolicy system_access_policy(std::string socket_path);

struct Caller {
  Role role = Role::kViewer;
  std::string actor;      // for the audit: "uid:0", "tcp:127.0.0.1"
  bool is_local = false;  // over the unix socket
};

// Unix socket: root and the daemon's uid are admin, members of the operators' group operator,
// others are refused (403). TCP: without tokens, only somebody on this machine may look; whoever
// comes from beyond it, through a proxy, or under a foreign host name (a web page that had its name
// point here) is refused (401).
std::expected<Caller, Problem> identify(const http::Request& request, const AccessPolicy& policy);

// Refuses a role that is too low: 403, or 401 over TCP, where a token would help.
std::optional<Problem> check_role(const Caller& caller, Role needed, const AccessPolicy& policy);

}  // namespace provisioner::server
