#include <fmt/format.h>

#include "base/text.hpp"
#include "http/event_stream.hpp"
#include "model/job.hpp"
#include "server/log_reader.hpp"
#include "server/replies.hpp"

namespace provisioner::server {
namespace {

constexpr int kScopedPage = 500;

Task<std::expected<Run, Problem>> find_run(Services& services, const Call& call) {
  Result<Run> run = co_await services.parts.store.run(RunId(call.params[0]));
  if (run && call.caller.scope.contains(run->workspace)) co_return std::move(*run);
  Problem problem = run ? Problem{.status = 404, .detail = "there is no run " + call.params[0]}
                        : problem_of(run.error());
  if (problem.status == 404) problem.code = "run_not_found";
  co_return std::unexpected(std::move(problem));
}

// The newest runs that the caller may see, `most` of them if there are so many.
Task<Result<std::vector<Run>>> visible_runs(Services& services, const WorkspaceScope& scope,
                                            RunFilter filter, std::size_t most) {
  const bool sees_all = scope.is_everything() || filter.workspace;
  filter.limit = sees_all ? static_cast<int>(most) : kScopedPage;
  std::vector<Run> visible;
  for (;;) {
    auto page = co_await services.parts.store.runs(filter);
    if (!page) co_return std::unexpected(page.error());
    const bool is_last = page->size() < static_cast<std::size_t>(filter.limit);
    if (!page->empty()) filter.before = page->back().id;
    for (Run& run : *page) {
      if (visible.size() < most && scope.contains(run.workspace)) visible.push_back(std::move(run));
    }
    if (is_last || visible.size() >= most) co_return visible;
  }
}

}  // namespace

Task<Reply> list_runs(Services& services, Call call) {
  const auto limit = query_number(call.request, "limit", 1, 500, 50);
  if (!limit) co_return std::unexpected(limit.error());
  RunFilter filter;
  const auto job = call.request.query("job");
  if (job) filter.job = JobName(*job);
  if (const auto name = call.request.query("workspace")) {
    const bool alone = job && *name == kStandalone;
    filter.workspace = alone ? home_of(*filter.job) : WorkspaceName(*name);
    if (auto refusal = check_scope(call.caller, *filter.workspace)) {
      co_return std::unexpected(std::move(*refusal));
    }
  }
  if (filter.job && !filter.workspace) {
    co_return refuse(422, "invalid_request", "job: say its workspace, too");
  }
  if (const auto statuses = call.request.query("status")) {
    for (const std::string_view text : split(*statuses, ',')) {
      const Result<RunStatus> status = parse_run_status(trim(text));
      if (!status) co_return refuse(422, "invalid_request", "status: " + status.error().message);
      filter.statuses.push_back(*status);
    }
  }
  if (const auto cursor = call.request.query("cursor")) filter.before = RunId(*cursor);
  const auto runs = co_await visible_runs(services, call.caller.scope, std::move(filter),
                                          static_cast<std::size_t>(*limit + 1));
  if (!runs) co_return refuse(runs.error());
  std::vector<std::string> items;
  std::optional<std::string> next_cursor;
  for (const Run& run : *runs) {
    if (items.size() == static_cast<std::size_t>(*limit)) {
      next_cursor = (*runs)[items.size() - 1].id.value;
      break;
    }
    items.push_back(render(run));
  }
  co_return http::json_response(200, render_list(items, next_cursor));
}

Task<Reply> show_run(Services& services, Call call) {
  const auto run = co_await find_run(services, call);
  if (!run) co_return std::unexpected(run.error());
  const auto attempts = co_await services.parts.store.attempts(run->id);
  if (!attempts) co_return refuse(attempts.error());
  co_return http::json_response(200, render(*run, *attempts) + "\n");
}

Task<Reply> cancel_run(Services& services, Call call) {
  const auto run = co_await find_run(services, call);
  if (!run) co_return std::unexpected(run.error());
  const Result<Run> cancelled =
      co_await services.parts.store.request_cancel(run->id, services.now());
  if (!cancelled) {
    Problem problem = problem_of(cancelled.error());
    if (problem.status == 409) problem.code = "run_has_ended";
    co_return std::unexpected(std::move(problem));
  }
  co_return http::json_response(202, render(*cancelled) + "\n");
}

Task<Reply> read_log(Services& services, Call call) {
  const auto run = co_await find_run(services, call);
  if (!run) co_return std::unexpected(run.error());
  LogPosition after;
  std::string position = call.request.header("Last-Event-ID");
  if (const auto query = call.request.query("after")) position = *query;
  if (!position.empty()) {
    const auto parsed = LogPosition::parse(position);
    if (!parsed) {
      co_return refuse(422, "invalid_request",
                       "after: expected <attempt>:<offset>, the id of an event");
    }
    after = *parsed;
  }
  const bool follow = query_flag(call.request, "follow");
  http::Response response;
  response.headers["Cache-Control"] = "no-store";
  if (call.request.header("Accept").contains("text/event-stream")) {
    response.headers["Content-Type"] = "text/event-stream";
    response.stream = log_as_events(services, run->id, after, follow);
    if (follow) response.farewell = http::kComeBackSoon;
  } else {
    response.headers["Content-Type"] = "text/plain; charset=utf-8";
    response.stream = log_as_text(services, run->id, after, follow);
    if (follow) response.farewell = "";
  }
  co_return response;
}

}  // namespace provisioner::server
