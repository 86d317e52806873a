#include "store/postgres/plans.hpp"

#include <fmt/format.h>

#include <optional>

#include "store/postgres/leadership.hpp"
#include "store/postgres/runs.hpp"
#include "store/postgres/workspaces.hpp"
#include "store/workspace_rows.hpp"
#include "store/workspace_rules.hpp"

namespace provisioner::postgres {
void insert_occurrence(Transaction& tx, const Occurrence& o, const std::optional<RunId>& run) {
  tx.send(Query("INSERT INTO occurrences (workspace, job, schedule, at, until, count, local_time, "
                "action, mode, outcome, reason, run) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, "
                "$10, $11, $12)",
                o.workspace, o.job, o.schedule, o.at, o.until, o.count, o.local_time,
                to_string(o.action), o.mode, to_string(o.outcome), o.reason, run)
              .refuse("23505", in_ledger_already(o)));
}

Task<Result<WorkspaceView>> view(Transaction& tx, const ViewRequest& request) {
  // One round trip, in which each statement sees what was committed before it.
  const RunFilter unfinished{.workspace = request.workspace,
                             .job = JobName(),
                             .statuses = {RunStatus::kQueued, RunStatus::kRunning}};
  const RunFilter recent{
      .workspace = request.workspace, .job = JobName(), .limit = request.recent_runs};
  const auto row = ask_workspace(tx, request.workspace);
  const auto schedule = ask_cursor(tx, request.workspace);
  std::optional<Transaction::Answer> beside;
  if (!request.neighbours.empty()) beside = ask_workspaces(tx, request.neighbours);
  const auto unfinished_runs = ask_runs(tx, unfinished);
  const auto recent_runs = ask_runs(tx, recent);

  const Rows rows = co_await tx.rows(row);
  const Rows schedules = co_await tx.rows(schedule);
  if (rows.empty() || schedules.empty()) {
    co_return std::unexpected(no_such_workspace(request.workspace));
  }
  WorkspaceView view{.workspace = read_workspace(rows[0]), .cursor = read_cursor(schedules[0])};
  if (beside) {
    for (Row neighbour : co_await tx.rows(*beside)) {
      view.neighbours.push_back(read_workspace(neighbour));
    }
  }
  view.unfinished = co_await read_runs(tx, unfinished_runs, unfinished.limit);
  view.recent = co_await read_runs(tx, recent_runs, recent.limit);
  co_return view;
}

Task<Status> commit_plan(Transaction& tx, const LeaderFence& fence, const PlanCommit& plan,
                         Instant now) {
  // One round trip: the workspace is held, then read with all that the decision rests on.
  static const std::string held =
      fmt::format("{}WHERE w.name = $1 FOR NO KEY UPDATE", kSelectWorkspaces);
  const auto row = tx.lock(held, plan.workspace);
  const auto schedule = ask_cursor(tx, plan.workspace);
  const auto newest = ask_newest_own_run(tx, plan.workspace);
  // A decision that changes the workspace itself asks after that.
  const bool changes_workspace = plan.clear_ttl || plan.clear_retry;
  std::optional<Enqueueing> queueing;
  if (plan.run && !changes_workspace) queueing = ask_enqueue(tx, *plan.run);
  if (auto leads = co_await check_leader(tx, fence); !leads) co_return leads;

  const Rows rows = co_await tx.rows(row);
  if (rows.empty()) co_return std::unexpected(no_such_workspace(plan.workspace));
  const Workspace before = read_workspace(rows[0]);
  const ScheduleCursor present = read_cursor((co_await tx.rows(schedule))[0]);
  const RunId newest_run = one_run_id(co_await tx.rows(newest));
  if (auto fits = check_cursor(plan, present, now); !fits) co_return fits;
  if (auto same = check_workspace_version(plan, before.version); !same) co_return same;
  if (auto same = check_newest_run(plan, newest_run); !same) co_return same;

  if (plan.new_cursor) {
    tx.send("UPDATE schedules SET cursor = $1 WHERE workspace = $2 AND cursor < $1",
            *plan.new_cursor, plan.workspace);
  }
  for (const Occurrence& o : plan.occurrences) {
    std::optional<RunId> started = o.run;
    if (o.outcome == Outcome::kFired && !started && plan.run) started = plan.run->id;
    // None where a range may have collapsed it before.
    if (o.at <= present.cursor) co_return std::unexpected(in_ledger_already(o));
    insert_occurrence(tx, o, started);
  }
  if (changes_workspace) {
    Result<Workspace> changed = after_plan(plan, before);
    if (!changed) co_return std::unexpected(changed.error());
    save_workspace(tx, before, *std::move(changed), now);
  }
  if (!plan.run) co_return Status();
  if (!queueing) queueing = ask_enqueue(tx, *plan.run);
  const Result<Run> queued = co_await enqueue(tx, *plan.run, WhenBusy::kSupersede, *queueing);
  if (!queued) co_return std::unexpected(queued.error());
  co_return check_planned_run(plan, queued->id);
}

Task<Result<std::vector<Occurrence>>> occurrences(Transaction& tx, const OccurrenceFilter& filter) {
  // A range may begin before `from`: the oldest one that reaches into it bounds the search.
  std::string text = fmt::format(
      "{}WHERE at <= $1 AND until >= $2 AND at >= least($2, coalesce((SELECT min(at) FROM "
      "occurrences WHERE count > 1 AND until >= $2), $2)) ",
      kSelectOccurrences);
  if (filter.workspace) text += "AND workspace = $4 ";
  Query query(text + "ORDER BY at DESC, schedule DESC LIMIT $3", filter.to.value_or(Instant::max()),
              filter.from.value_or(Instant::min()), filter.limit);
  if (filter.workspace) query.bind(*filter.workspace);
  std::vector<Occurrence> newest_first;
  for (Row row : co_await tx.rows(tx.ask(std::move(query)))) {
    newest_first.push_back(read_occurrence(row));
  }
  co_return newest_first;
}

}  // namespace provisioner::postgres
