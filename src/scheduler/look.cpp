// How the scheduler decides about one workspace.
#include <fmt/format.h>

#include "scheduler/loop.hpp"
#include "scheduler/plan.hpp"
#include "scheduler/reconcile.hpp"

namespace provisioner {

using namespace std::chrono_literals;

Situation Scheduler::Reading::situation(Instant now) const {
  Situation s{.spec = parsed->spec,
              .timeline = parsed->timeline,
              .workspace = workspace,
              .cursor = cursor,
              .recent = recent,
              .neighbours = neighbours,
              .now = now};
  for (const auto& run : unfinished) {  // newest first
    if (run.operation == Operation::kJob) continue;
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
        // The reading was stale, or the commit may have happened: read again, decide anew.
        entry_of(name).cursor_version = kUnread;
        break;
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
  auto reading = co_await read(name);
  if (!reading) co_return std::unexpected(reading.error());
  const auto queued = co_await follow_schedule(*reading, fence);
  if (!queued) co_return std::unexpected(queued.error());
  reading->cursor = entry_of(name).cursor;
  if (!*queued) {
    if (Status done = co_await follow_needs(*reading, fence); !done) co_return done;
  }
  note_next(reading->situation(clock_.now()));
  co_return Status();
}

Task<Result<Scheduler::Reading>> Scheduler::read(WorkspaceName name) {
  Reading reading;
  auto row = co_await store_.workspace(name);
  if (!row) co_return std::unexpected(row.error());
  reading.workspace = std::move(*row);
  auto parsed = specs_.get(reading.workspace);
  if (!parsed) co_return fail(ErrorKind::kInvalid, parsed.error().message);
  reading.parsed = *parsed;
  set_dependencies(name, reading.parsed->spec.depends_on);

  // A publication may have moved the cursor. If one slips in after this, the commit's check of
  // config_version notices.
  if (entry_of(name).cursor_version != reading.workspace.config_version) {
    const auto present = co_await store_.cursor(name);
    if (!present) co_return std::unexpected(present.error());
    entry_of(name).cursor = present->cursor;
    entry_of(name).cursor_version = reading.workspace.config_version;
  }
  reading.cursor = entry_of(name).cursor;

  // In this order: the commit proves that row and newest run have stayed what they were, so what
  // was read between them belongs to them.
  auto unfinished = co_await store_.runs(
      {.workspace = name, .statuses = {RunStatus::kQueued, RunStatus::kRunning}});
  if (!unfinished) co_return std::unexpected(unfinished.error());
  reading.unfinished = std::move(*unfinished);
  auto recent = co_await store_.runs({.workspace = name, .limit = 20});
  if (!recent) co_return std::unexpected(recent.error());
  reading.recent = std::move(*recent);
  auto neighbours = co_await read_neighbours(name);
  if (!neighbours) co_return std::unexpected(neighbours.error());
  reading.neighbours = std::move(*neighbours);
  co_return reading;
}

Task<Result<Neighbours>> Scheduler::read_neighbours(WorkspaceName name) {
  Neighbours neighbours;
  const auto above = entry_of(name).depends_on;
  const auto below = dependents_[name];
  for (const auto& other : above) {
    const auto row = co_await store_.workspace(other);
    if (!row && row.error().kind != ErrorKind::kNotFound) co_return std::unexpected(row.error());
    if (!row || row->status != WorkspaceStatus::kDeployed) neighbours.not_deployed.push_back(other);
  }
  for (const auto& other : below) {
    const auto row = co_await store_.workspace(other);
    if (!row && row.error().kind != ErrorKind::kNotFound) co_return std::unexpected(row.error());
    if (row && may_have_resources(*row)) neighbours.still_there.push_back(other);
  }
  co_return neighbours;
}

Task<Result<bool>> Scheduler::follow_schedule(const Reading& reading, LeaderFence fence) {
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
  entry_of(name).cursor = *decision.new_cursor;
  LogFields fields{{"workspace", name.value}};
  if (decision.run) {
    fields.emplace_back("run_id", decision.run->id.value);
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
