#include "store/sqlite/plans.hpp"

#include <fmt/format.h>

#include <optional>

#include "store/sqlite/leadership.hpp"
#include "store/sqlite/runs.hpp"
#include "store/sqlite/workspaces.hpp"
#include "store/workspace_rows.hpp"
#include "store/workspace_rules.hpp"

namespace provisioner::sqlite {
namespace {

// Nothing that the decision looked at has changed since.
Status check_basis(Transaction& tx, const PlanCommit& plan) {
  if (plan.workspace_version) {
    const Result<Workspace> present = workspace(tx, plan.workspace);
    if (!present) return std::unexpected(present.error());
    if (auto same = check_workspace_version(plan, present->version); !same) return same;
  }
  if (plan.newest_run) {
    const RunId newest = newest_own_run(tx, plan.workspace);
    if (auto same = check_newest_run(plan, newest); !same) return same;
  }
  return {};
}

// Takes the ttl and the retry away that the decision consumed.
Status consume(Transaction& tx, const PlanCommit& plan, Instant now) {
  if (!plan.clear_ttl && !plan.clear_retry) return {};
  const Result<Workspace> before = workspace(tx, plan.workspace);
  if (!before) return std::unexpected(before.error());
  Result<Workspace> changed = after_plan(plan, *before);
  if (!changed) return std::unexpected(changed.error());
  save_workspace(tx, *before, *std::move(changed), now);
  return {};
}

}  // namespace

Status insert_occurrence(Transaction& tx, const Occurrence& o, const std::optional<RunId>& run) {
  const std::int64_t rows =
      tx.sql(
            "INSERT INTO occurrences (workspace, job, schedule, at, until, count, local_time, "
            "action, mode, outcome, reason, run) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON "
            "CONFLICT DO NOTHING")
          .run(o.workspace, o.job, o.schedule, o.at, o.until, o.count, o.local_time,
               to_string(o.action), o.mode, to_string(o.outcome), o.reason, run);
  if (rows == 1) return {};
  return std::unexpected(in_ledger_already(o));
}

Result<WorkspaceView> view(Transaction& tx, const ViewRequest& request) {
  WorkspaceView view;
  Result<Workspace> row = workspace(tx, request.workspace);
  if (!row) return std::unexpected(row.error());
  view.workspace = *std::move(row);
  const Result<ScheduleCursor> present = cursor(tx, request.workspace);
  if (!present) return std::unexpected(present.error());
  view.cursor = *present;
  for (const WorkspaceName& name : request.neighbours) {
    Result<Workspace> neighbour = workspace(tx, name);
    if (neighbour) {
      view.neighbours.push_back(*std::move(neighbour));
    } else if (neighbour.error().kind != ErrorKind::kNotFound) {
      return std::unexpected(neighbour.error());
    }
  }
  Result<std::vector<Run>> unfinished =
      runs(tx, {.workspace = request.workspace,
                .job = JobName(),
                .statuses = {RunStatus::kQueued, RunStatus::kRunning}});
  if (!unfinished) return std::unexpected(unfinished.error());
  view.unfinished = *std::move(unfinished);
  Result<std::vector<Run>> recent =
      runs(tx, {.workspace = request.workspace, .job = JobName(), .limit = request.recent_runs});
  if (!recent) return std::unexpected(recent.error());
  view.recent = *std::move(recent);
  return view;
}

Status commit_plan(Transaction& tx, const LeaderFence& fence, const PlanCommit& plan, Instant now) {
  if (auto leads = check_leader(tx, fence); !leads) return leads;
  const Result<ScheduleCursor> present = cursor(tx, plan.workspace);
  if (!present) return std::unexpected(present.error());
  if (auto fits = check_cursor(plan, *present, now); !fits) return fits;
  if (auto unchanged = check_basis(tx, plan); !unchanged) return unchanged;
  if (plan.new_cursor) {
    tx.sql("UPDATE schedules SET cursor = ? WHERE workspace = ? AND cursor < ?1")
        .run(*plan.new_cursor, plan.workspace);
  }
  for (const Occurrence& o : plan.occurrences) {
    std::optional<RunId> started = o.run;
    if (o.outcome == Outcome::kFired && !started && plan.run) started = plan.run->id;
    // None where a range may have collapsed it before.
    if (o.at <= present->cursor) return std::unexpected(in_ledger_already(o));
    if (auto fresh = insert_occurrence(tx, o, started); !fresh) return fresh;
  }
  if (auto consumed = consume(tx, plan, now); !consumed) return consumed;
  if (!plan.run) return {};
  const Result<Run> queued = enqueue(tx, *plan.run, WhenBusy::kSupersede);
  if (!queued) return std::unexpected(queued.error());
  return check_planned_run(plan, queued->id);
}

Result<std::vector<Occurrence>> occurrences(Transaction& tx, const OccurrenceFilter& filter) {
  // A range may begin before `from`: the oldest one that reaches into it bounds the search.
  std::string text = fmt::format(
      "{}WHERE at <= ?1 AND until >= ?2 AND at >= min(?2, coalesce((SELECT min(at) FROM "
      "occurrences WHERE count > 1 AND until >= ?2), ?2))",
      kSelectOccurrences);
  if (filter.workspace) text += " AND workspace = ?4";
  auto query = tx.sql(text + " ORDER BY at DESC, schedule DESC LIMIT ?3");
  query.bind(filter.to.value_or(Instant::max()), filter.from.value_or(Instant::min()),
             filter.limit);
  if (filter.workspace) query.bind(*filter.workspace);
  std::vector<Occurrence> newest_first;
  while (query.step()) newest_first.push_back(read_occurrence(query.row()));
  return newest_first;
}

}  // namespace provisioner::sqlite
