// Tokens of the API: who holds one, what it is good for, and until when.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "base/ids.hpp"
#include "base/time.hpp"

namespace provisioner {

using TokenId = StrongString<struct TokenIdTag>;  // no secret

// Each may do what those before it may.
enum class Role {
  kViewer,    // look
  kOperator,  // deploy, destroy, hold, cancel
  kAdmin,     // change or read tofu states, forget workspaces, make tokens
};

std::string_view to_string(Role role);  // "viewer", "operator", "admin"
Result<Role> parse_role(std::string_view text);

// Which workspaces: shell patterns of names ("shop", "team-a-*"). No pattern at all means every
// workspace, and what belongs to no workspace.
struct WorkspaceScope {
  std::vector<std::string> patterns;

  bool is_everything() const { return patterns.empty(); }
  bool contains(const WorkspaceName& name) const;
  std::string to_string() const;  // "shop, team-a-*"; "" = everything

  friend bool operator==(const WorkspaceScope&, const WorkspaceScope&) = default;
};

// "shop,team-a-*" with or without spaces; "" is everything. kInvalid for a pattern that can match
// no name: letters, digits, '.', '_', '-', and the wildcards * and ?.
Result<WorkspaceScope> parse_workspace_scope(std::string_view text);

// A row of `api_tokens`. The token itself is stored nowhere.
struct ApiToken {
  TokenId id;
  std::string name;  // unique among those not revoked; what the audit shows
  std::string hash;  // lower-case hex of the SHA-256 of the token
  Role role = Role::kViewer;
  WorkspaceScope scope;
  std::string created_by;  // "uid:0", "token:ci"
  Instant created_at;
  std::optional<Instant> expires_at;  // absent: never
  std::optional<Instant> revoked_at;
  std::string revoked_by;               // "" = not revoked
  std::optional<Instant> last_used_at;  // within a minute

  friend bool operator==(const ApiToken&, const ApiToken&) = default;
};

bool is_expired(const ApiToken& token, Instant now);

// The same rules as a workspace's name.
Result<std::string> parse_token_name(std::string_view text);

}  // namespace provisioner
