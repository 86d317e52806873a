#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "scheduler/job_run.hpp"
#include "server/body.hpp"
#include "server/operation.hpp"
#include "server/replies.hpp"
#include "server/schedule_preview.hpp"

namespace provisioner::server {
namespace {

constexpr int kMostActiveRuns = 10'000;

// What a path, a cursor and people call it.
std::string key_of(const JobView& view) {
  return fmt::format("{}:{}", shown_workspace(view.row.workspace), view.row.name.value);
}

std::optional<Instant> next_of(const Workspace& workspace, const JobSpec& spec,
                               const Timeline& timeline, Instant now) {
  if (!spec.enabled || !workspace.enabled || workspace.detached) return std::nullopt;
  Instant from = now;
  if (is_held(workspace, now)) {
    if (!workspace.hold_until) return std::nullopt;
    // An occurrence at the very end of the hold is not held any more.
    from = *workspace.hold_until - Duration(1);
  }
  const auto point = timeline.next(from);
  return point && *point ? std::optional((*point)->at) : std::nullopt;
}

// The jobs that the configuration names; one that the leader has not looked at yet has no history.
// While the configuration cannot be read: those that it named last.
std::vector<JobView> jobs_of(Services& services, const Workspace& workspace,
                             const std::vector<Job>& rows) {
  std::vector<JobView> views;
  const auto parsed = services.specs.get(workspace);
  if (!parsed) {
    for (const Job& row : rows) {
      if (row.present) views.push_back({.row = row, .spec = {}, .next_run = {}});
    }
    return views;
  }
  for (std::size_t i = 0; i < (*parsed)->spec.jobs.size(); ++i) {
    const JobSpec& spec = (*parsed)->spec.jobs[i];
    const auto known = std::ranges::find(rows, spec.name, &Job::name);
    JobView view{.row = known == rows.end() ? Job() : *known,
                 .spec = spec,
                 .next_run = next_of(workspace, spec, (*parsed)->job_timelines[i], services.now())};
    view.row.workspace = workspace.name;
    view.row.name = spec.name;
    view.row.type = spec.type;
    view.row.enabled = spec.enabled;
    view.row.events = spec.events;
    views.push_back(std::move(view));
  }
  return views;
}

struct FoundJob {
  Workspace workspace;
  JobView view;
};

Task<std::expected<FoundJob, Problem>> find_job(Services& services, const Call& call) {
  const JobName name(call.params[1]);
  const bool alone = call.params[0] == kStandalone;
  auto workspace = co_await services.parts.store.workspace(alone ? home_of(name)
                                                                 : WorkspaceName(call.params[0]));
  if (!workspace && workspace.error().kind != ErrorKind::kNotFound) {
    co_return refuse(workspace.error());
  }
  if (!workspace && !alone) {
    co_return refuse(404, "workspace_not_found",
                     fmt::format("there is no workspace {}", call.params[0]));
  }
  if (workspace) {
    const auto rows = co_await services.parts.store.jobs(workspace->name);
    if (!rows) co_return refuse(rows.error());
    for (JobView& view : jobs_of(services, *workspace, *rows)) {
      if (view.row.name != name) continue;
      co_return FoundJob{*std::move(workspace), std::move(view)};
    }
  }
  co_return refuse(404, "job_not_found",
                   alone ? fmt::format("there is no standalone job {}", name.value)
                         : fmt::format("workspace {} has no job {}", call.params[0], name.value));
}

// The content of a template job's template; absent: nobody knows it.
Task<std::expected<std::optional<BundleHash>, Problem>> template_of(Services& services,
                                                                    const JobSpec& spec) {
  using Found = std::optional<BundleHash>;
  if (spec.type != JobType::kTemplate) co_return Found();
  const auto found = co_await services.parts.store.template_named(TemplateName(spec.body));
  if (found) co_return Found(found->bundle);
  if (found.error().kind != ErrorKind::kNotFound) co_return refuse(found.error());
  co_return Found();
}

}  // namespace

Task<Reply> list_jobs(Services& services, Call call) {
  const auto limit = query_number(call.request, "limit", 1, 500, 500);
  if (!limit) co_return std::unexpected(limit.error());
  const auto wanted = call.request.query("workspace");
  if (wanted && *wanted != kStandalone) {
    if (auto refusal = check_scope(call.caller, WorkspaceName(*wanted))) {
      co_return std::unexpected(std::move(*refusal));
    }
  }
  const auto workspaces = co_await services.parts.store.workspaces();
  if (!workspaces) co_return refuse(workspaces.error());
  const auto rows = co_await services.parts.store.jobs(std::nullopt);
  if (!rows) co_return refuse(rows.error());
  std::map<WorkspaceName, std::vector<Job>> rows_of;
  for (const Job& row : *rows) rows_of[row.workspace].push_back(row);
  std::map<std::string, JobView> by_key;
  for (const Workspace& workspace : *workspaces) {
    if (!call.caller.scope.contains(workspace.name)) continue;
    if (wanted && *wanted != shown_workspace(workspace.name)) continue;
    for (JobView& view : jobs_of(services, workspace, rows_of[workspace.name])) {
      std::string key = key_of(view);
      by_key.emplace(std::move(key), std::move(view));
    }
  }
  const auto cursor = call.request.query("cursor");
  std::vector<std::string> items;
  std::optional<std::string> next_cursor;
  std::string last;
  for (auto it = cursor ? by_key.upper_bound(*cursor) : by_key.begin(); it != by_key.end(); ++it) {
    if (items.size() == static_cast<std::size_t>(*limit)) {
      next_cursor = last;
      break;
    }
    items.push_back(render(it->second));
    last = it->first;
  }
  co_return http::json_response(200, render_list(items, next_cursor));
}

Task<Reply> show_job(Services& services, Call call) {
  const auto job = co_await find_job(services, call);
  if (!job) co_return std::unexpected(job.error());
  co_return http::json_response(200, render(job->view) + "\n");
}

Task<Reply> preview_job(Services& services, Call call) {
  const auto job = co_await find_job(services, call);
  if (!job) co_return std::unexpected(job.error());
  co_return reply_preview(services, call, job->workspace, job->view.row.name);
}

Task<Reply> run_job(Services& services, Call call) {
  static constexpr std::string_view kFields[] = {"queue"};
  const auto body = CommandBody::parse(call.request, kFields);
  if (!body) co_return std::unexpected(body.error());
  const auto queue = body->flag("queue");
  if (!queue) co_return std::unexpected(queue.error());
  const auto job = co_await find_job(services, call);
  if (!job) co_return std::unexpected(job.error());
  const Workspace& workspace = job->workspace;
  if (!job->view.spec) {
    const auto parsed = services.specs.get(workspace);
    co_return refuse(409, "configuration_invalid",
                     fmt::format("the configuration of job {} cannot be read: {}",
                                 key_of(job->view), parsed ? "" : parsed.error().message));
  }
  const JobSpec& spec = *job->view.spec;
  if (spec.type == JobType::kTemplate && !is_deployed(workspace)) {
    co_return refuse(409, "not_deployed",
                     fmt::format("workspace {} is {}: a template job runs only while its "
                                 "workspace is deployed",
                                 shown_workspace(workspace.name), to_string(workspace.status)));
  }
  const auto content = co_await template_of(services, spec);
  if (!content) co_return std::unexpected(content.error());
  auto run = job_run(workspace, spec, BundleHash(), *content);
  if (!run) {
    co_return refuse(409, "template_missing", fmt::format("there is no template {}", spec.body));
  }
  const auto queued = co_await enqueue(services, call, *std::move(run),
                                       *queue ? WhenBusy::kSupersede : WhenBusy::kRefuse);
  if (!queued) co_return std::unexpected(queued.error());
  co_return accepted(*queued);
}

Task<Reply> kill_job(Services& services, Call call) {
  const auto body = CommandBody::parse(call.request, {});
  if (!body) co_return std::unexpected(body.error());
  const auto job = co_await find_job(services, call);
  if (!job) co_return std::unexpected(job.error());
  const auto runs =
      co_await services.parts.store.runs({.workspace = job->workspace.name,
                                          .job = job->view.row.name,
                                          .statuses = {RunStatus::kQueued, RunStatus::kRunning},
                                          .limit = kMostActiveRuns});
  if (!runs) co_return refuse(runs.error());
  std::vector<std::string> items;
  // The newest first, so that none begins when the one before it goes.
  for (const Run& run : *runs) {
    const auto stopped = co_await services.parts.store.request_cancel(run.id, services.now());
    if (stopped) {
      items.push_back(render(*stopped));
    } else if (stopped.error().kind != ErrorKind::kConflict) {  // else it ended by itself
      co_return refuse(stopped.error());
    }
  }
  if (items.empty()) {
    co_return refuse(409, "job_not_running",
                     fmt::format("job {} has no active and no queued run", key_of(job->view)));
  }
  co_return http::json_response(202, render_list(items));
}

}  // namespace provisioner::server
