// The rows of small tables, read alike by every store: a store's Row in, a value out.
#pragma once

#include <string_view>

#include "store/store.hpp"

namespace provisioner {

inline constexpr std::string_view kInstanceColumns =
    "id, incarnation, version, home, started_at, last_seen, ready, draining, stopped";

template <typename Row>
Instance read_instance(Row row) {
  return {.id = row.template as<InstanceId>(),
          .incarnation = row.template as<Incarnation>(),
          .version = row.text(),
          .home = row.text(),
          .started_at = row.instant(),
          .last_seen = row.instant(),
          .ready = row.boolean(),
          .draining = row.boolean(),
          .stopped = row.boolean()};
}

inline constexpr std::string_view kReportColumns = "instance, workspace, content, reported_at";

template <typename Row>
Report read_report(Row row) {
  return {.instance = row.template as<InstanceId>(),
          .workspace = row.template as<WorkspaceName>(),
          .content = row.text(),
          .reported_at = row.instant()};
}

inline constexpr std::string_view kAuditColumns = "at, actor, action, target, outcome";

template <typename Row>
AuditEvent read_audit_event(Row row) {
  return {.at = row.instant(),
          .actor = row.text(),
          .action = row.text(),
          .target = row.text(),
          .outcome = row.text()};
}

inline constexpr std::string_view kTokenColumns =
    "id, name, hash, role, workspaces, created_by, created_at, expires_at, revoked_at, revoked_by, "
    "last_used_at";

template <typename Row>
ApiToken read_token(Row row) {
  ApiToken token{.id = row.template as<TokenId>(), .name = row.text(), .hash = row.text()};
  token.role = row.checked(parse_role(row.text()));
  token.scope = row.checked(parse_workspace_scope(row.text()));
  token.created_by = row.text();
  token.created_at = row.instant();
  token.expires_at = row.optional_instant();
  token.revoked_at = row.optional_instant();
  token.revoked_by = row.text();
  token.last_used_at = row.optional_instant();
  return token;
}

inline Error token_name_taken(const ApiToken& token) {
  return {ErrorKind::kConflict,
          "a token named " + token.name + " exists: revoke it, or choose another name"};
}

// A leader's answer to the wish for another one; nothing when it can be granted.
Status check_transfer(const Leadership& present, const InstanceId& to);

Error id_taken(const Instance& present);

}  // namespace provisioner
