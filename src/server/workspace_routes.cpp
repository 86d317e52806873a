#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "model/job.hpp"
#include "server/body.hpp"
#include "server/operation.hpp"
#include "server/replies.hpp"

namespace provisioner::server {
namespace {

constexpr int kMostActiveRuns = 100'000;
constexpr int kTries = 5;

// Changes the row, again when somebody else was faster, unless the caller insists on a version.
template <typename Edit>
Task<std::expected<Workspace, Problem>> edit_workspace(Services& services, const Call& call,
                                                       Edit edit) {
  for (int tries = 1;; ++tries) {
    auto row = co_await find_workspace(services, call);
    if (!row) co_return std::unexpected(row.error());
    if (std::optional<Problem> refusal = edit(*row)) co_return std::unexpected(*refusal);
    Result<Workspace> written =
        co_await services.parts.store.update_workspace(*row, services.now());
    if (written) co_return std::move(*written);
    const bool again = written.error().kind == ErrorKind::kVersionConflict && tries < kTries &&
                       !call.request.headers.contains("If-Match");
    if (!again) co_return refuse(written.error());
  }
}

}  // namespace

Task<Reply> list_workspaces(Services& services, Call call) {
  auto rows = co_await services.parts.store.workspaces();
  if (!rows) co_return refuse(rows.error());
  const auto active = co_await services.parts.store.runs(
      {.statuses = {RunStatus::kRunning, RunStatus::kQueued}, .limit = kMostActiveRuns});
  if (!active) co_return refuse(active.error());
  std::map<WorkspaceName, const Run*> run_of;
  for (const Run& run : *active) {
    const Run*& place = run_of[run.workspace];
    if (place == nullptr || run.status == RunStatus::kRunning) place = &run;
  }
  std::vector<std::string> items;
  for (Workspace& row : *rows) {
    if (is_standalone(row.name) || !call.caller.scope.contains(row.name)) continue;
    WorkspaceView view{.row = std::move(row)};
    if (const auto it = run_of.find(view.row.name); it != run_of.end()) {
      view.active_run = it->second->id;
    }
    complete(services, view);
    items.push_back(render(view));
  }
  co_return http::json_response(200, render_list(items));
}

Task<Reply> show_workspace(Services& services, Call call) {
  auto row = co_await find_workspace(services, call);
  if (!row) co_return std::unexpected(row.error());
  const std::string known = call.request.header("If-None-Match");
  if (known == fmt::format("\"{}\"", row->version.value)) {
    http::Response unchanged;
    unchanged.status = 304;
    unchanged.headers["ETag"] = known;
    co_return unchanged;
  }
  co_return co_await reply_workspace(services, std::move(*row));
}

Task<Reply> hold_workspace(Services& services, Call call) {
  static constexpr std::string_view kFields[] = {"until", "reason"};
  const auto body = CommandBody::parse(call.request, kFields);
  if (!body) co_return std::unexpected(body.error());
  const auto until_text = body->text("until");
  if (!until_text) co_return std::unexpected(until_text.error());
  const auto reason = body->text("reason");
  if (!reason) co_return std::unexpected(reason.error());
  const auto until = parse_until("until", *until_text, services.now());
  if (!until) co_return std::unexpected(until.error());
  auto row = co_await edit_workspace(services, call, [&](Workspace& w) -> std::optional<Problem> {
    w.held = true;
    w.hold_until = *until;
    w.hold_reason = *reason;
    return std::nullopt;
  });
  if (!row) co_return std::unexpected(row.error());
  co_return co_await reply_workspace(services, std::move(*row));
}

Task<Reply> release_workspace(Services& services, Call call) {
  static constexpr std::string_view kFields[] = {"converge"};
  const auto body = CommandBody::parse(call.request, kFields);
  if (!body) co_return std::unexpected(body.error());
  const auto converge = body->flag("converge");
  if (!converge) co_return std::unexpected(converge.error());
  auto row = co_await edit_workspace(services, call, [](Workspace& w) -> std::optional<Problem> {
    w.held = false;
    w.hold_until.reset();
    w.hold_reason.clear();
    return std::nullopt;
  });
  if (!row) co_return std::unexpected(row.error());
  if (*converge) {
    const auto converged = co_await converge_workspace(services, call, *row);
    if (!converged) co_return std::unexpected(converged.error());
  }
  co_return co_await reply_workspace(services, std::move(*row));
}

namespace {

Task<Reply> switch_workspace(Services& services, Call call, bool enabled) {
  const auto body = CommandBody::parse(call.request, {});
  if (!body) co_return std::unexpected(body.error());
  auto row =
      co_await edit_workspace(services, call, [enabled](Workspace& w) -> std::optional<Problem> {
        w.enabled = enabled;
        return std::nullopt;
      });
  if (!row) co_return std::unexpected(row.error());
  co_return co_await reply_workspace(services, std::move(*row));
}

}  // namespace

Task<Reply> enable_workspace(Services& services, Call call) {
  co_return co_await switch_workspace(services, std::move(call), true);
}

Task<Reply> disable_workspace(Services& services, Call call) {
  co_return co_await switch_workspace(services, std::move(call), false);
}

Task<Reply> extend_workspace(Services& services, Call call) {
  static constexpr std::string_view kFields[] = {"by"};
  const auto body = CommandBody::parse(call.request, kFields);
  if (!body) co_return std::unexpected(body.error());
  const auto by_text = body->text("by");
  if (!by_text) co_return std::unexpected(by_text.error());
  const Result<Duration> by = parse_duration(*by_text);
  if (!by || *by <= Duration::zero()) {
    co_return refuse(422, "invalid_request",
                     by ? "by: this must be longer than nothing" : "by: " + by.error().message);
  }
  auto row = co_await edit_workspace(services, call, [&](Workspace& w) -> std::optional<Problem> {
    if (!w.ttl_expires_at) {
      return Problem{.status = 409,
                     .code = "no_ttl",
                     .detail = fmt::format("workspace {} does not expire: it has no ttl, or is "
                                           "not deployed",
                                           w.name.value)};
    }
    *w.ttl_expires_at += *by;
    return std::nullopt;
  });
  if (!row) co_return std::unexpected(row.error());
  co_return co_await reply_workspace(services, std::move(*row));
}

Task<Reply> remove_workspace(Services& services, Call call) {
  auto row = co_await find_workspace(services, call);
  if (!row) co_return std::unexpected(row.error());
  const std::string& name = row->name.value;
  const bool abandon = query_flag(call.request, "abandon");
  const bool destroy = query_flag(call.request, "destroy");
  if (abandon && destroy) {
    co_return refuse(422, "invalid_request", "abandon and destroy exclude each other");
  }
  if (!row->detached) {
    co_return refuse(409, "folder_exists",
                     fmt::format("the folder of workspace {0} is still there: remove it first, or "
                                 "it would be a new workspace at once",
                                 name));
  }
  const auto jobs = co_await services.parts.store.jobs(row->name);
  if (!jobs) co_return refuse(jobs.error());
  const bool is_there = may_have_resources(*row) || std::ranges::any_of(*jobs, [](const Job& job) {
                          return may_have_resources(job);
                        });
  if (is_there && destroy) {
    co_return co_await queue_destroy(services, call, *row, WhenBusy::kSupersede);
  }
  if (is_there && !abandon) {
    co_return refuse(409, "still_deployed",
                     fmt::format("workspace {} is {}: say --destroy to destroy it first, or "
                                 "--abandon to leave what is deployed to itself",
                                 name, to_string(row->status)),
                     {"destroy=true", "abandon=true"});
  }
  const Status removed =
      co_await services.parts.store.remove_workspace(row->name, call.caller.actor, services.now());
  if (!removed) co_return refuse(removed.error());
  services.specs.forget(row->name);
  co_return http::json_response(200, fmt::format("{{\"name\":\"{}\",\"removed\":true}}\n", name));
}

Task<Reply> list_changes(Services& services, Call call) {
  const auto limit = query_number(call.request, "limit", 1, 500, 50);
  if (!limit) co_return std::unexpected(limit.error());
  const auto row = co_await find_workspace(services, call);
  if (!row) co_return std::unexpected(row.error());
  const auto changes =
      co_await services.parts.store.config_changes(row->name, static_cast<int>(*limit));
  if (!changes) co_return refuse(changes.error());
  std::vector<std::string> items;
  for (const ConfigChange& change : *changes) items.push_back(render(change));
  co_return http::json_response(200, render_list(items));
}

}  // namespace provisioner::server
