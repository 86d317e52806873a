#include "store/sqlite/plans.hpp"

#include <fmt/format.h>

#include <optional>

#include "store/sqlite/leadership.hpp"
#include "store/sqlite/runs.hpp"
#include "store/sqlite/workspaces.hpp"

namespace provisioner::sqlite {
namespace {

std::optional<ScheduleCursor> find_cursor(Transaction& tx, const WorkspaceName& name) {
  auto query =
      tx.sql("SELECT workspace, cursor, config_version FROM schedules WHERE workspace = ?");
  query.bind(name);
  if (!query.step()) return std::nullopt;
  Row row = query.row();
  return ScheduleCursor{.workspace = row.as<WorkspaceName>(),
                        .cursor = row.instant(),
                        .config_version = row.integer()};
}

// The cursor moves forward, to at most now, over exactly the occurrences given.
Status check_cursor(const PlanCommit& plan, const ScheduleCursor& present, Instant now) {
  const std::string& name = plan.workspace.value;
  if (present.config_version != plan.config_version) {
    return fail(ErrorKind::kVersionConflict,
                fmt::format("workspace {} has configuration {}, the plan was made from {}", name,
                            present.config_version, plan.config_version));
  }
  if (!plan.new_cursor) {
    if (plan.occurrences.empty()) return {};
    return fail(ErrorKind::kInvalid, "occurrences are recorded with a new cursor");
  }
  if (*plan.new_cursor > now) {
    return fail(ErrorKind::kInvalid,
                fmt::format("the cursor of workspace {} would move to {}, past now", name,
                            format_rfc3339(*plan.new_cursor)));
  }
  for (const Occurrence& o : plan.occurrences) {
    if (o.until < o.at || o.until > *plan.new_cursor) {
      return fail(ErrorKind::kInvalid,
                  fmt::format("occurrence {} of workspace {} lies past the new "
                              "cursor",
                              format_rfc3339(o.at), name));
    }
  }
  if (present.cursor >= *plan.new_cursor) {
    return fail(ErrorKind::kVersionConflict,
                fmt::format("the cursor of workspace {} is at {} already", name,
                            format_rfc3339(present.cursor)));
  }
  return {};
}

// Nothing that the decision looked at has changed since.
Status check_basis(Transaction& tx, const PlanCommit& plan) {
  if (plan.workspace_version) {
    const Result<Workspace> present = workspace(tx, plan.workspace);
    if (!present) return std::unexpected(present.error());
    if (present->version != *plan.workspace_version) {
      return fail(ErrorKind::kVersionConflict,
                  fmt::format("workspace {} has changed since version {}", plan.workspace.value,
                              plan.workspace_version->value));
    }
  }
  if (plan.newest_run) {
    auto query = tx.sql("SELECT id FROM runs WHERE workspace = ? ORDER BY seq DESC LIMIT 1");
    query.bind(plan.workspace);
    const RunId newest = query.step() ? query.row().as<RunId>() : RunId();
    if (newest != *plan.newest_run) {
      return fail(ErrorKind::kVersionConflict,
                  fmt::format("run {} of workspace {} was queued meanwhile", newest.value,
                              plan.workspace.value));
    }
  }
  return {};
}

// I3: a row each, unique, and none where a range may have collapsed it before.
Status insert_occurrence(Transaction& tx, const Occurrence& o, const std::optional<RunId>& run,
                         Instant old_cursor) {
  const std::int64_t rows =
      o.at <= old_cursor
          ? 0
          : tx.sql(
                  "INSERT INTO occurrences (workspace, schedule, at, until, count, local_time, "
                  "action, mode, outcome, reason, run) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
                  "ON CONFLICT DO NOTHING")
                .run(o.workspace, o.schedule, o.at, o.until, o.count, o.local_time,
                     to_string(o.action), o.mode, to_string(o.outcome), o.reason, run);
  if (rows == 1) return {};
  return fail(ErrorKind::kConflict,
              fmt::format("occurrence {} of {} of workspace {} is in the ledger already",
                          format_rfc3339(o.at), o.schedule, o.workspace.value));
}

// Takes the ttl and the retry away that the decision consumed.
Status consume(Transaction& tx, const PlanCommit& plan, Instant now) {
  if (!plan.clear_ttl && !plan.clear_retry) return {};
  const Result<Workspace> before = workspace(tx, plan.workspace);
  if (!before) return std::unexpected(before.error());
  Workspace changed = *before;
  if (plan.clear_ttl) {
    if (before->ttl_expires_at != plan.clear_ttl) {
      return fail(
          ErrorKind::kVersionConflict,
          fmt::format("the ttl of workspace {} was changed meanwhile", plan.workspace.value));
    }
    changed.ttl_expires_at.reset();
  }
  if (plan.clear_retry) changed.retry_at.reset();
  save_workspace(tx, *before, std::move(changed), now);
  return {};
}

}  // namespace

Status commit_plan(Transaction& tx, const LeaderFence& fence, const PlanCommit& plan, Instant now) {
  if (auto leads = check_leader(tx, fence); !leads) return leads;
  const auto present = find_cursor(tx, plan.workspace);
  if (!present) {
    return fail(ErrorKind::kNotFound,
                fmt::format("there is no workspace {}", plan.workspace.value));
  }
  if (auto fits = check_cursor(plan, *present, now); !fits) return fits;
  if (auto unchanged = check_basis(tx, plan); !unchanged) return unchanged;
  if (plan.new_cursor) {
    tx.sql("UPDATE schedules SET cursor = ? WHERE workspace = ? AND cursor < ?1")
        .run(*plan.new_cursor, plan.workspace);
  }
  for (const Occurrence& o : plan.occurrences) {
    std::optional<RunId> started = o.run;
    if (o.outcome == Outcome::kFired && !started && plan.run) started = plan.run->id;
    if (auto fresh = insert_occurrence(tx, o, started, present->cursor); !fresh) return fresh;
  }
  if (auto consumed = consume(tx, plan, now); !consumed) return consumed;
  if (!plan.run) return {};
  const Result<Run> queued = enqueue(tx, *plan.run, WhenBusy::kSupersede);
  if (!queued) return std::unexpected(queued.error());
  if (queued->id != plan.run->id) {
    return fail(ErrorKind::kConflict,
                fmt::format("run {} was made for the same reason before", queued->id.value));
  }
  return {};
}

Result<std::vector<Occurrence>> occurrences(Transaction& tx, const OccurrenceFilter& filter) {
  // A range may begin before `from`: the oldest one that reaches into it bounds the search.
  std::string text =
      "SELECT workspace, schedule, at, until, count, local_time, action, mode, outcome, reason, "
      "run "
      "FROM occurrences WHERE at <= ?1 AND until >= ?2 AND at >= min(?2, coalesce((SELECT min(at) "
      "FROM occurrences WHERE count > 1 AND until >= ?2), ?2))";
  if (filter.workspace) text += " AND workspace = ?4";
  auto query = tx.sql(text + " ORDER BY at DESC, schedule DESC LIMIT ?3");
  query.bind(filter.to.value_or(Instant::max()), filter.from.value_or(Instant::min()),
             filter.limit);
  if (filter.workspace) query.bind(*filter.workspace);
  std::vector<Occurrence> newest_first;
  while (query.step()) {
    Row row = query.row();
    newest_first.push_back({.workspace = row.as<WorkspaceName>(),
                            .schedule = row.text(),
                            .at = row.instant(),
                            .until = row.instant(),
                            .count = row.integer(),
                            .local_time = row.text(),
                            .action = stored(parse_action(row.text())),
                            .mode = row.text(),
                            .outcome = stored(parse_outcome(row.text())),
                            .reason = row.text(),
                            .run = row.optional_as<RunId>()});
  }
  return newest_first;
}

}  // namespace provisioner::sqlite
