#include "store/sqlite/runs.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "model/transitions.hpp"
#include "store/sqlite/leadership.hpp"
#include "store/sqlite/workspaces.hpp"

namespace provisioner::sqlite {
namespace {

// In the order of read_run(); `seq` comes first.
constexpr std::string_view kRuns =
    "SELECT seq, id, workspace, operation, mode, trigger, scheduled_for, requested_by, config, "
    "bundle, inputs_hash, not_before, waiting_for, upgrade, confirmed, status, attempt, instance, "
    "term, created_at, started_at, finished_at, exit_code, error, resources_add, "
    "resources_change, resources_destroy, cancel_requested FROM runs ";

struct PlacedRun {
  std::int64_t seq = 0;
  Run run;
};

PlacedRun read_run(Row row) {
  PlacedRun placed{.seq = row.integer(), .run = {}};
  Run& r = placed.run;
  r.id = row.as<RunId>();
  r.workspace = row.as<WorkspaceName>();
  r.operation = stored(parse_operation(row.text()));
  r.mode = row.text();
  r.trigger = stored(parse_trigger(row.text()));
  r.scheduled_for = row.optional_instant();
  r.requested_by = row.text();
  r.definition = {.config = row.text(), .bundle = row.as<BundleHash>(), .inputs_hash = row.text()};
  r.not_before = row.optional_instant();
  r.waiting_for = row.text();
  r.upgrade = row.boolean();
  r.confirmed = row.boolean();
  r.status = stored(parse_run_status(row.text()));
  r.attempt = row.as<Attempt>();
  r.instance = row.as<InstanceId>();
  r.term = row.as<Term>();
  r.created_at = row.instant();
  r.started_at = row.optional_instant();
  r.finished_at = row.optional_instant();
  r.exit_code = row.optional_integer();
  r.error = row.text();
  r.resources = {.add = row.integer(), .change = row.integer(), .destroy = row.integer()};
  r.cancel_requested = row.boolean();
  return placed;
}

template <typename... Values>
std::optional<Run> find_run(Transaction& tx, std::string_view where, const Values&... values) {
  auto query = tx.sql(fmt::format("{}{}", kRuns, where));
  query.bind(values...);
  if (!query.step()) return std::nullopt;
  return read_run(query.row()).run;
}

// Ends a run that waits. One that never began leaves the workspace alone; one that waits to be
// resumed has left resources half done.
void end_waiting_run(Transaction& tx, Run waiting, RunStatus status, std::string reason,
                     Instant now) {
  waiting.status = status;
  waiting.error = std::move(reason);
  waiting.finished_at = now;
  save_run(tx, waiting);
  if (waiting.attempt == Attempt()) return;
  const Result<Workspace> before = workspace(tx, waiting.workspace);
  if (!before) return;
  Workspace changed =
      status == RunStatus::kCancelled
          ? after_finish(*before, waiting, {.status = status, .error = waiting.error}, now)
          : after_abandoned_run(*before, waiting, waiting.error, now);
  save_workspace(tx, *before, std::move(changed), now);
}

void insert_run(Transaction& tx, const NewRun& r) {
  const auto key = r.idempotency_key.empty() ? std::nullopt : std::optional(r.idempotency_key);
  tx.sql(
        "INSERT INTO runs (id, workspace, operation, mode, trigger, scheduled_for, requested_by, "
        "config, bundle, inputs_hash, not_before, waiting_for, upgrade, confirmed, "
        "idempotency_key, status, attempt, instance, term, created_at, error, resources_add, "
        "resources_change, resources_destroy, cancel_requested) VALUES (?, ?, ?, ?, ?, ?, ?, ?, "
        "?, ?, ?, ?, ?, ?, ?, 'queued', 0, '', 0, ?, '', 0, 0, 0, 0)")
      .run(r.id, r.workspace, to_string(r.operation), r.mode, to_string(r.trigger), r.scheduled_for,
           r.requested_by, r.definition.config, r.definition.bundle, r.definition.inputs_hash,
           r.not_before, r.waiting_for, r.upgrade, r.confirmed, key, r.created_at);
  tx.announce(Change::Topic::kRun, r.id.value);
}

}  // namespace

Result<Run> enqueue(Transaction& tx, const NewRun& wanted, WhenBusy when_busy) {
  if (!wanted.idempotency_key.empty()) {
    if (auto first = find_run(tx, "WHERE idempotency_key = ?", wanted.idempotency_key)) {
      return *std::move(first);
    }
  }
  if (const auto known = workspace(tx, wanted.workspace); !known) {
    return std::unexpected(known.error());
  }
  if (!has_bundle(tx, wanted.definition.bundle)) {
    return fail(ErrorKind::kInvalid,
                fmt::format("bundle {} of workspace {} is not in the store",
                            wanted.definition.bundle.value, wanted.workspace.value));
  }
  if (find_run(tx, "WHERE id = ?", wanted.id)) {
    return fail(ErrorKind::kConflict, fmt::format("run {} exists already", wanted.id.value));
  }
  auto queued = queued_run(tx, wanted.workspace);
  if (when_busy == WhenBusy::kRefuse) {
    auto busy =
        find_run(tx, "WHERE workspace = ? AND job = '' AND status = 'running'", wanted.workspace);
    if (!busy) busy = queued;
    if (busy) {
      return fail(ErrorKind::kConflict,
                  fmt::format("workspace {} is busy: {} run {} is {}", wanted.workspace.value,
                              to_string(busy->operation), busy->id.value, to_string(busy->status)));
    }
  }
  if (queued) {
    const RunStatus end =
        queued->attempt == Attempt() ? RunStatus::kCancelled : RunStatus::kInterrupted;
    end_waiting_run(tx, *std::move(queued), end,
                    fmt::format("superseded by run {}", wanted.id.value), wanted.created_at);
  }
  insert_run(tx, wanted);
  return run(tx, wanted.id);
}

Status set_waiting(Transaction& tx, const LeaderFence& fence, const RunId& id,
                   const std::string& waiting_for) {
  if (auto leads = check_leader(tx, fence); !leads) return leads;
  const Result<Run> present = run(tx, id);
  if (!present) return std::unexpected(present.error());
  if (present->status != RunStatus::kQueued) {
    return fail(ErrorKind::kConflict,
                fmt::format("run {} is {}, not queued", id.value, to_string(present->status)));
  }
  if (present->waiting_for == waiting_for) return {};
  tx.sql("UPDATE runs SET waiting_for = ? WHERE id = ?").run(waiting_for, id);
  tx.announce(Change::Topic::kRun, id.value);
  return {};
}

Result<Run> request_cancel(Transaction& tx, const RunId& id, Instant now) {
  Result<Run> present = run(tx, id);
  if (!present) return present;
  if (is_final(present->status)) {
    return fail(ErrorKind::kConflict,
                fmt::format("run {} has ended: it is {}", id.value, to_string(present->status)));
  }
  present->cancel_requested = true;
  if (present->status == RunStatus::kQueued) {
    end_waiting_run(tx, *present, RunStatus::kCancelled,
                    present->attempt == Attempt() ? "cancelled before it began"
                                                  : "cancelled before it was resumed",
                    now);
  } else {
    save_run(tx, *present);
    tx.announce(Change::Topic::kCancel, id.value);
  }
  return run(tx, id);
}

Result<Run> run(Transaction& tx, const RunId& id) {
  if (auto found = find_run(tx, "WHERE id = ?", id)) return *std::move(found);
  return fail(ErrorKind::kNotFound, fmt::format("there is no run {}", id.value));
}

Result<std::vector<Run>> runs(Transaction& tx, const RunFilter& filter) {
  // One ordered range of an index for each status, merged: never a scan of the whole history.
  std::string where = "WHERE seq < coalesce((SELECT seq FROM runs WHERE id = ?1), ?2)";
  if (filter.workspace) where += " AND workspace = ?3";
  std::vector<std::optional<RunStatus>> statuses(filter.statuses.begin(), filter.statuses.end());
  if (statuses.empty()) statuses.emplace_back();
  std::vector<PlacedRun> found;
  for (const auto& status : statuses) {
    // With a workspace its own history is the shorter way: the + keeps the status out of the
    // choice.
    std::string text = fmt::format("{}{}", kRuns, where);
    if (status) text += filter.workspace ? " AND +status = ?5" : " AND status = ?5";
    auto query = tx.sql(text + " ORDER BY seq DESC LIMIT ?4");
    constexpr std::int64_t kAfterAll = INT64_MAX;
    query.bind(filter.before, kAfterAll, filter.workspace, filter.limit);
    if (status) query.bind(to_string(*status));
    while (query.step()) found.push_back(read_run(query.row()));
  }
  std::ranges::sort(found, std::greater<>(), &PlacedRun::seq);
  std::vector<Run> newest_first;
  for (auto& placed : found) {
    if (newest_first.size() == static_cast<std::size_t>(std::max(filter.limit, 0))) break;
    newest_first.push_back(std::move(placed.run));
  }
  return newest_first;
}

std::optional<Run> next_claimable(Transaction& tx, Instant now) {
  // Oldest first, and never beside a running run of its slot (I1).
  return find_run(tx,
                  "AS waiting WHERE status = 'queued' AND waiting_for = '' AND (not_before IS NULL "
                  "OR not_before <= ?) AND NOT EXISTS (SELECT 1 FROM runs AS active WHERE "
                  "active.workspace = waiting.workspace AND active.job = waiting.job AND "
                  "active.status = 'running') ORDER BY seq LIMIT 1",
                  now);
}

std::optional<Run> queued_run(Transaction& tx, const WorkspaceName& workspace) {
  return find_run(tx, "WHERE workspace = ? AND job = '' AND status = 'queued'", workspace);
}

void save_run(Transaction& tx, const Run& r) {
  tx.sql(
        "UPDATE runs SET status = ?, attempt = ?, instance = ?, term = ?, started_at = ?, "
        "finished_at = ?, exit_code = ?, error = ?, resources_add = ?, resources_change = ?, "
        "resources_destroy = ?, cancel_requested = ? WHERE id = ?")
      .run(to_string(r.status), r.attempt, r.instance, r.term, r.started_at, r.finished_at,
           r.exit_code, r.error, r.resources.add, r.resources.change, r.resources.destroy,
           r.cancel_requested, r.id);
  tx.announce(Change::Topic::kRun, r.id.value);
}

}  // namespace provisioner::sqlite
