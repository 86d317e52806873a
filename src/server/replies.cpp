#include "server/replies.hpp"

#include <fmt/format.h>

#include <charconv>

namespace provisioner::server {
namespace {

// A detached workspace waits for its destroy only: its way there is looked through this far.
constexpr int kMostOccurrences = 1000;

std::optional<WorkspaceView::Next> next_of(const Workspace& row, const Timeline& timeline,
                                           Instant now) {
  if (!row.enabled) return std::nullopt;
  Instant from = now;
  if (is_held(row, now)) {
    if (!row.hold_until) return std::nullopt;
    // An occurrence at the very end of the hold is not held any more.
    from = *row.hold_until - Duration(1);
  }
  for (int i = 0; i < kMostOccurrences; ++i) {
    const auto point = timeline.next(from);
    if (!point || !*point) return std::nullopt;
    const TimelineRule& rule = timeline.rules()[(*point)->rule];
    if (!row.detached || rule.action == Action::kDestroy) {
      return WorkspaceView::Next{(*point)->at, rule.action, rule.mode};
    }
    from = (*point)->at;
  }
  return std::nullopt;
}

}  // namespace

Task<std::expected<Workspace, Problem>> find_workspace(Services& services, const Call& call) {
  Result<Workspace> row = co_await services.parts.store.workspace(WorkspaceName(call.params[0]));
  if (!row) {
    Problem problem = problem_of(row.error());
    if (problem.status == 404) {
      problem.code = "workspace_not_found";
      const auto folders = services.parts.config_problems();
      if (const auto broken = folders.find(call.params[0]); broken != folders.end()) {
        problem.detail += ": its folder could not be loaded: " + broken->second;
      }
    }
    co_return std::unexpected(std::move(problem));
  }
  const std::string wanted = call.request.header("If-Match");
  if (!wanted.empty() && wanted != "*" && wanted != fmt::format("\"{}\"", row->version.value)) {
    co_return refuse(412, "version_conflict",
                     fmt::format("workspace {} has changed: it is at version {}, not {}",
                                 row->name.value, row->version.value, wanted));
  }
  co_return std::move(*row);
}

void complete(Services& services, WorkspaceView& view) {
  const Instant now = services.now();
  view.is_held = is_held(view.row, now);
  if (const auto parsed = services.specs.get(view.row)) {
    view.next = next_of(view.row, (*parsed)->timeline, now);
    view.modes = (*parsed)->spec.modes();
    for (const auto& name : (*parsed)->spec.depends_on) view.depends_on.push_back(name.value);
  } else {
    view.config_error = parsed.error().message;
  }
  const auto problems = services.parts.config_problems();
  if (const auto it = problems.find(view.row.name.value); it != problems.end()) {
    view.config_error = it->second;
  }
}

Task<std::expected<WorkspaceView, Problem>> view_of(Services& services, Workspace row) {
  WorkspaceView view{.row = std::move(row)};
  const Result<std::vector<Run>> active = co_await services.parts.store.runs(
      {.workspace = view.row.name, .statuses = {RunStatus::kRunning, RunStatus::kQueued}});
  if (!active) co_return refuse(active.error());
  for (const Run& run : *active) {
    if (!view.active_run || run.status == RunStatus::kRunning) view.active_run = run.id;
  }
  complete(services, view);
  co_return view;
}

Task<Reply> reply_workspace(Services& services, Workspace row) {
  const Version version = row.version;
  const auto view = co_await view_of(services, std::move(row));
  if (!view) co_return std::unexpected(view.error());
  http::Response response = http::json_response(200, render(*view) + "\n");
  response.headers["ETag"] = fmt::format("\"{}\"", version.value);
  co_return response;
}

std::expected<std::int64_t, Problem> query_number(const http::Request& request,
                                                  std::string_view name, std::int64_t least,
                                                  std::int64_t most, std::int64_t otherwise) {
  const std::optional<std::string> text = request.query(name);
  if (!text) return otherwise;
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), number);
  if (error != std::errc() || end != text->data() + text->size() || number < least ||
      number > most) {
    return refuse(422, "invalid_request",
                  fmt::format("{}: expected a number from {} to {}", name, least, most));
  }
  return number;
}

std::expected<std::optional<Instant>, Problem> query_instant(const http::Request& request,
                                                             std::string_view name) {
  const std::optional<std::string> text = request.query(name);
  if (!text) return std::nullopt;
  const Result<Instant> at = parse_rfc3339(*text);
  if (!at) {
    return refuse(422, "invalid_request", fmt::format("{}: {}", name, at.error().message));
  }
  return *at;
}

std::expected<std::optional<Instant>, Problem> parse_until(std::string_view field,
                                                           const std::string& text, Instant now) {
  if (text.empty()) return std::nullopt;
  const Result<Instant> at = parse_rfc3339(text);
  const Result<Duration> in = parse_duration(text);
  if (!at && !in) {
    return refuse(422, "invalid_request",
                  fmt::format("{}: \"{}\" is neither a time such as 2026-12-24T18:00:00Z nor a "
                              "duration such as 2h",
                              field, text));
  }
  const Instant until = at ? *at : now + *in;
  if (until <= now)
    return refuse(422, "invalid_request", fmt::format("{}: this is not in the future", field));
  return until;
}

bool query_flag(const http::Request& request, std::string_view name) {
  const std::optional<std::string> text = request.query(name);
  return text && (*text == "true" || *text == "1" || text->empty());
}

}  // namespace provisioner::server
