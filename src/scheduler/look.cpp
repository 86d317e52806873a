// How the scheduler decides about one workspace.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "scheduler/loop.hpp"
#include "scheduler/plan.hpp"
#include "scheduler/reconcile.hpp"

namespace provisioner {

using namespace std::chrono_literals;

namespace {

constexpr int kRecentRuns = 20;  // what people did lately

// `present`: those of them that exist.
Neighbours neighbours_among(const std::vector<Workspace>& present,
                            const std::vector<WorkspaceName>& above,
                            const std::set<WorkspaceName>& below) {
  std::set<WorkspaceName> deployed;
  Neighbours neighbours;
  for (const Workspace& other : present) {
    if (other.status == WorkspaceStatus::kDeployed) deployed.insert(other.name);
    if (below.contains(other.name) && may_have_resources(other)) {
      neighbours.still_there.push_back(other.name);
    }
  }
  for (const WorkspaceName& other : above) {
    if (!deployed.contains(other)) neighbours.not_deployed.push_back(other);
  }
  std::ranges::sort(neighbours.still_there);
  return neighbours;
}

}  // namespace

Situation Scheduler::Reading::situation(Instant now) const {
  Situation s{.spec = parsed->spec,
              .timeline = parsed->timeline,
              .workspace = workspace,
              .cursor = cursor,
              .recent = recent,
              .neighbours = neighbours,
              .now = now};
  for (const auto& run : unfinished) {  // newest first
    const Run*& place = run.status == RunStatus::kRunning ? s.active : s.queued;
    if (place == nullptr) place = &run;
  }
  return s;
}

Task<> Scheduler::look(WorkspaceName name, LeaderFence fence) {
  for (int i = 0; i < 3; ++i) {
    const Status decided = co_await decide(name, fence);
    if (decided) co_return;
    switch (decided.error().kind) {
      case ErrorKind::kNotFound: forget(name); co_return;
      case ErrorKind::kFenced:
        // Somebody else leads, or this instance does with a newer term: decide nothing more.
        refused_ = fence;
        agenda_.note(name, clock_.now());
        co_return;
      case ErrorKind::kCancelled: agenda_.note(name, clock_.now()); co_return;
      case ErrorKind::kConflict:
      case ErrorKind::kVersionConflict:
      case ErrorKind::kAmbiguous:
        break;  // the reading was stale, or the commit may have happened: read again, decide anew
      case ErrorKind::kUnavailable:
      case ErrorKind::kTimeout:
      case ErrorKind::kIo:
        agenda_.note(name, clock_.now());
        trouble_ = decided.error();
        co_return;
      default:
        complain(name, decided.error().message);
        agenda_.forget(name);  // until it changes, or the next look at all
        co_return;
    }
  }
  agenda_.note(name, clock_.now() + 1s);
}

Task<Status> Scheduler::decide(WorkspaceName name, LeaderFence fence) {
  if (std::exchange(entry_of(name).has_changed, false)) {
    // Most changes ask for nothing. Fewer recent runs only make it look closer too often.
    const auto glance = co_await read(name, 1);
    if (!glance) co_return std::unexpected(glance.error());
    const Situation s = glance->situation(clock_.now());
    const auto due = plan(s);
    if (due && !due->new_cursor && reconcile(s).nothing()) {
      if (Status done = co_await follow_jobs(*glance, fence); !done) co_return done;
      note_next(s);
      co_return Status();
    }
  }
  auto reading = co_await read(name, kRecentRuns);
  if (!reading) co_return std::unexpected(reading.error());
  const auto queued = co_await follow_schedule(*reading, fence);
  if (!queued) co_return std::unexpected(queued.error());
  if (!*queued) {
    if (Status done = co_await follow_needs(*reading, fence); !done) co_return done;
    if (Status done = co_await follow_jobs(*reading, fence); !done) co_return done;
  }
  note_next(reading->situation(clock_.now()));
  co_return Status();
}

Task<Result<Scheduler::Reading>> Scheduler::read(WorkspaceName name, int recent_runs) {
  Reading reading;
  for (;;) {
    // Most often the neighbours are those that were known before.
    const auto above = entry_of(name).depends_on;
    const auto below = dependents_[name];
    std::vector<WorkspaceName> beside = above;
    beside.insert(beside.end(), below.begin(), below.end());
    auto view = co_await store_.view(
        {.workspace = name, .neighbours = std::move(beside), .recent_runs = recent_runs});
    if (!view) co_return std::unexpected(view.error());
    census_.note(view->workspace);
    auto parsed = specs_.get(view->workspace);
    if (!parsed) co_return fail(ErrorKind::kInvalid, parsed.error().message);
    set_dependencies(name, (*parsed)->spec.depends_on);
    if ((*parsed)->spec.depends_on != above) continue;

    reading.parsed = *parsed;
    reading.cursor = view->cursor.cursor;
    reading.neighbours = neighbours_among(view->neighbours, above, below);
    reading.workspace = std::move(view->workspace);
    reading.unfinished = std::move(view->unfinished);
    reading.recent = std::move(view->recent);
    if (Status read = co_await read_jobs(reading); !read) co_return std::unexpected(read.error());
    co_return reading;
  }
}

Task<Result<bool>> Scheduler::follow_schedule(Reading& reading, LeaderFence fence) {
  const Instant now = clock_.now();
  auto due = plan(reading.situation(now));
  if (!due) co_return std::unexpected(due.error());
  if (!due->new_cursor) co_return false;
  const WorkspaceName name = reading.workspace.name;
  const Plan decision = with_run_id(std::move(*due), random_.run_id(now));
  if (!leads_with(fence)) co_return fail(ErrorKind::kCancelled, "no longer leading");
  const Status committed =
      co_await store_.commit_plan(fence,
                                  PlanCommit{.workspace = name,
                                             .config_version = reading.workspace.config_version,
                                             .new_cursor = decision.new_cursor,
                                             .occurrences = decision.occurrences,
                                             .run = decision.run,
                                             .workspace_version = reading.workspace.version,
                                             .newest_run = reading.newest_run()},
                                  now);
  if (!committed) co_return fail("committing a plan", committed.error());
  reading.cursor = *decision.new_cursor;
  if (on_plan_) on_plan_(decision.occurrences, decision.run);
  LogFields fields{{"workspace", name.value}};
  if (decision.run) {
    fields.emplace_back("run_id", decision.run->id.value);
    fields.emplace_back("correlation_id", correlation_of(*decision.run).value);
    log_.info(decision.sentence, std::move(fields));
  } else {
    log_.debug(decision.sentence, std::move(fields));
  }
  co_return decision.run.has_value();
}

Task<Status> Scheduler::follow_needs(const Reading& reading, LeaderFence fence) {
  const Instant now = clock_.now();
  Decision decision = reconcile(reading.situation(now));
  if (decision.nothing()) co_return Status();
  if (!leads_with(fence)) co_return fail(ErrorKind::kCancelled, "no longer leading");
  LogFields fields{{"workspace", reading.workspace.name.value}};
  Status committed;
  if (decision.waiting) {
    fields.emplace_back("run_id", decision.waiting->run.value);
    const auto run = std::ranges::find(reading.unfinished, decision.waiting->run, &Run::id);
    if (run != reading.unfinished.end()) {
      fields.emplace_back("correlation_id", run->correlation_id.value);
    }
    committed =
        co_await store_.set_waiting(fence, decision.waiting->run, decision.waiting->waiting_for);
    // It was claimed, cancelled or superseded meanwhile: that comes with a notification of its own.
    if (!committed && (committed.error().kind == ErrorKind::kNotFound ||
                       committed.error().kind == ErrorKind::kConflict)) {
      co_return Status();
    }
  } else {
    if (decision.run) {
      decision.run->id = random_.run_id(now);
      fields.emplace_back("run_id", decision.run->id.value);
      fields.emplace_back("correlation_id", correlation_of(*decision.run).value);
    }
    committed =
        co_await store_.commit_plan(fence,
                                    PlanCommit{.workspace = reading.workspace.name,
                                               .config_version = reading.workspace.config_version,
                                               .run = decision.run,
                                               .clear_ttl = decision.clear_ttl,
                                               .clear_retry = decision.clear_retry,
                                               .workspace_version = reading.workspace.version,
                                               .newest_run = reading.newest_run()},
                                    now);
  }
  if (!committed) co_return fail("committing a decision", committed.error());
  log_.info(decision.sentence, std::move(fields));
  co_return Status();
}

}  // namespace provisioner
