// What several route handlers need. Inner to the room.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

#include "server/render.hpp"
#include "server/routes.hpp"

namespace provisioner::server {

inline std::unexpected<Problem> refuse(int status, std::string code, std::string detail,
                                       std::vector<std::string> choices = {}) {
  return std::unexpected(Problem{status, std::move(code), std::move(detail), std::move(choices)});
}
inline std::unexpected<Problem> refuse(const Error& error) {
  return std::unexpected(problem_of(error));
}

// 404 workspace_not_found; 412 when the request's If-Match names another version.
Task<std::expected<Workspace, Problem>> find_workspace(Services& services, const Call& call);

// The row with what is computed beside it.
Task<std::expected<WorkspaceView, Problem>> view_of(Services& services, Workspace row);

// Those of a template's users that the scope shows.
std::vector<TemplateUser> visible_users(const Template& row,
                                        const std::vector<Workspace>& workspaces,
                                        const WorkspaceScope& scope);

// The part of a view that needs no store: everything but active_run.
void complete(Services& services, WorkspaceView& view);

// 200 with the workspace and its ETag.
Task<Reply> reply_workspace(Services& services, Workspace row);

// A number within [least, most] from the query; `otherwise` when absent; 422.
std::expected<std::int64_t, Problem> query_number(const http::Request& request,
                                                  std::string_view name, std::int64_t least,
                                                  std::int64_t most, std::int64_t otherwise);

// RFC 3339 from the query; 422.
std::expected<std::optional<Instant>, Problem> query_instant(const http::Request& request,
                                                             std::string_view name);

// "2026-12-24T18:00:00Z", or "2h": that long from now; "" is absent. 422 names the field.
std::expected<std::optional<Instant>, Problem> parse_until(std::string_view field,
                                                           const std::string& text, Instant now);

bool query_flag(const http::Request& request, std::string_view name);  // "true" or "1" or ""

}  // namespace provisioner::server
