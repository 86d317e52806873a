#include "model/api_token.hpp"

#include <fmt/format.h>
#include <fnmatch.h>

#include <algorithm>

#include "base/text.hpp"

namespace provisioner {

std::string_view to_string(Role role) {
  switch (role) {
    case Role::kViewer: return "viewer";
    case Role::kOperator: return "operator";
    case Role::kAdmin: return "admin";
  }
  return "viewer";
}

Result<Role> parse_role(std::string_view text) {
  for (const Role role : {Role::kViewer, Role::kOperator, Role::kAdmin}) {
    if (text == to_string(role)) return role;
  }
  return fail(ErrorKind::kInvalid,
              fmt::format("\"{}\" is no role: expected viewer, operator or admin", text));
}

bool WorkspaceScope::contains(const WorkspaceName& name) const {
  return patterns.empty() || std::ranges::any_of(patterns, [&](const std::string& pattern) {
           return ::fnmatch(pattern.c_str(), name.value.c_str(), 0) == 0;
         });
}

std::string WorkspaceScope::to_string() const { return join(patterns, ", "); }

Result<WorkspaceScope> parse_workspace_scope(std::string_view text) {
  WorkspaceScope scope;
  for (const std::string_view part : split(text, ',')) {
    const std::string_view pattern = trim(part);
    if (pattern.empty()) continue;
    // A name with letters for wildcards must be one that a workspace can have.
    std::string name(pattern);
    std::ranges::replace_if(name, [](char c) { return c == '*' || c == '?'; }, 'a');
    if (const auto possible = parse_workspace_name(name); !possible) {
      return fail(ErrorKind::kInvalid,
                  fmt::format("\"{}\" matches no workspace: expected a name, or a pattern of "
                              "letters, digits, '.', '_', '-' with * and ?, such as team-a-*",
                              pattern));
    }
    scope.patterns.emplace_back(pattern);
  }
  // A list of nothing must not become everything.
  if (scope.patterns.empty() && !trim(text).empty()) {
    return fail(ErrorKind::kInvalid, fmt::format("\"{}\" names no workspace", text));
  }
  return scope;
}

bool is_expired(const ApiToken& token, Instant now) {
  return token.expires_at && *token.expires_at <= now;
}

Result<std::string> parse_token_name(std::string_view text) {
  const auto name = parse_workspace_name(text);
  if (name) return name->value;
  std::string why = name.error().message;
  if (why.starts_with("workspace")) why.replace(0, 9, "token");
  return fail(ErrorKind::kInvalid, why);
}

}  // namespace provisioner
