// How the scheduler decides about the jobs of one workspace.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "scheduler/job_plan.hpp"
#include "scheduler/loop.hpp"

namespace provisioner {
namespace {

bool wants_templates(const WorkspaceSpec& spec) {
  return std::ranges::any_of(spec.jobs,
                             [](const JobSpec& job) { return job.type == JobType::kTemplate; });
}

}  // namespace

void Scheduler::note_jobs(const WorkspaceName& name, const ParsedSpec& parsed,
                          std::span<const Job> rows) {
  Entry& entry = entry_of(name);
  entry.has_jobs = !parsed.spec.jobs.empty() || !rows.empty();
  entry.next_job = next_job_occurrence(parsed.spec, parsed.job_timelines, rows);
}

Task<Status> Scheduler::read_jobs(Reading& reading) {
  const WorkspaceName& name = reading.workspace.name;
  if (reading.parsed->spec.jobs.empty() && !entry_of(name).has_jobs) co_return Status();
  const auto destroy = std::ranges::find_if(reading.unfinished, [](const Run& run) {
    return run.status == RunStatus::kQueued && run.operation == Operation::kDestroy;
  });
  auto view =
      co_await store_.jobs_view(name, destroy == reading.unfinished.end() ? "" : destroy->id.value);
  if (!view) co_return fail("reading the jobs", view.error());
  note_jobs(name, *reading.parsed, view->jobs);
  for (const Job& row : view->jobs) {
    if (may_have_resources(row)) reading.neighbours.template_jobs.push_back(row.name);
  }
  reading.jobs = std::move(*view);
  co_return Status();
}

Task<Status> Scheduler::follow_jobs(const Reading& reading, LeaderFence fence) {
  const WorkspaceName& name = reading.workspace.name;
  if (!entry_of(name).has_jobs) co_return Status();
  const Instant now = clock_.now();
  const Situation own = reading.situation(now);
  std::map<std::string, BundleHash> templates;
  if (wants_templates(own.spec)) {
    const auto known = co_await store_.templates();
    if (!known) co_return fail("reading the templates", known.error());
    for (const Template& t : *known) templates.emplace(t.name.value, t.bundle);
  }
  auto decided = plan_jobs({.own = own,
                            .view = reading.jobs,
                            .timelines = reading.parsed->job_timelines,
                            .templates = templates},
                           [&] { return random_.run_id(now); });
  if (!decided) co_return std::unexpected(decided.error());
  entry_of(name).next_job = decided->next;
  if (decided->nothing()) co_return Status();
  if (!leads_with(fence)) co_return fail(ErrorKind::kCancelled, "no longer leading");
  JobsCommit& commit = decided->commit;
  commit.workspace = name;
  commit.config_version = reading.workspace.config_version;
  commit.workspace_version = reading.workspace.version;
  commit.newest_run = reading.newest_run();
  const auto occurrences = commit.occurrences;
  const Status committed = co_await store_.commit_jobs(fence, std::move(commit), now);
  if (!committed) co_return fail("committing what jobs do", committed.error());
  if (on_plan_) on_plan_(occurrences, std::nullopt);
  for (const auto& sentence : decided->sentences) log_.info(sentence, {{"workspace", name.value}});
  for (const auto& sentence : decided->left_out) log_.debug(sentence, {{"workspace", name.value}});
  co_return Status();
}

}  // namespace provisioner
