#include "store/sqlite/runs.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "store/run_rules.hpp"
#include "store/sqlite/jobs.hpp"
#include "store/sqlite/leadership.hpp"
#include "store/sqlite/workspaces.hpp"

namespace provisioner::sqlite {
namespace {

template <typename... Values>
std::optional<Run> find_run(Transaction& tx, std::string_view where, const Values&... values) {
  auto query = tx.sql(fmt::format("{}{}", kSelectRuns, where));
  query.bind(values...);
  if (!query.step()) return std::nullopt;
  return read_run(query.row()).run;
}

// ",a,b,"
std::string enclosed(const std::vector<RunId>& ids) {
  std::string all = ",";
  for (const RunId& id : ids) all += id.value + ",";
  return all;
}

void insert_run(Transaction& tx, const NewRun& r) {
  const auto key = r.idempotency_key.empty() ? std::nullopt : std::optional(r.idempotency_key);
  tx.sql(
        "INSERT INTO runs (id, workspace, job, operation, mode, trigger, scheduled_for, "
        "requested_by, "
        "config, bundle, inputs_hash, not_before, waiting_for, upgrade, confirmed, "
        "concurrent, event, idempotency_key, status, attempt, instance, term, created_at, error, "
        "resources_add, "
        "resources_change, resources_destroy, cancel_requested, correlation_id) VALUES (?, ?, ?, "
        "?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'queued', 0, '', 0, ?, '', 0, 0, 0, 0, ?)")
      .run(r.id, r.workspace, r.job, to_string(r.operation), r.mode, to_string(r.trigger),
           r.scheduled_for, r.requested_by, r.definition.config, r.definition.bundle,
           r.definition.inputs_hash, r.not_before, r.waiting_for, r.upgrade, r.confirmed,
           r.concurrent, r.event, key, r.created_at, correlation_of(r));
  tx.announce(Change::Topic::kRun, r.id, r.workspace);
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
    return std::unexpected(unknown_bundle(wanted));
  }
  if (find_run(tx, "WHERE id = ?", wanted.id)) {
    return std::unexpected(run_exists(wanted.id));
  }
  std::optional<Run> queued;
  if (!wanted.concurrent) queued = queued_run(tx, wanted.workspace, wanted.job);
  if (when_busy == WhenBusy::kRefuse && !wanted.concurrent) {
    auto busy = find_run(tx, "WHERE workspace = ? AND job = ? AND status = 'running'",
                         wanted.workspace, wanted.job);
    if (!busy) busy = queued;
    if (busy) {
      return std::unexpected(slot_is_busy(*busy));
    }
  }
  if (queued) {
    const Run ended = after_superseded(*std::move(queued), wanted.id, wanted.created_at);
    if (auto saved = save_ended(tx, ended, wanted.created_at); !saved) {
      return std::unexpected(saved.error());
    }
  }
  insert_run(tx, wanted);
  return run(tx, wanted.id);
}

Status save_ended(Transaction& tx, const Run& ended, Instant now) {
  const Result<Workspace> before = workspace(tx, ended.workspace);
  if (!before) return std::unexpected(before.error());
  Workspace after = after_waiting_run(*before, ended, now);
  save_run(tx, ended);
  follow_run(tx, ended, now);
  if (ended.status == RunStatus::kFailed) note_event(tx, ended, after, now);
  save_workspace(tx, *before, std::move(after), now);
  return {};
}

Status set_waiting(Transaction& tx, const LeaderFence& fence, const RunId& id,
                   const std::string& waiting_for) {
  if (auto leads = check_leader(tx, fence); !leads) return leads;
  const Result<Run> present = run(tx, id);
  if (!present) return std::unexpected(present.error());
  if (present->status != RunStatus::kQueued) {
    return std::unexpected(not_queued(*present));
  }
  if (present->waiting_for == waiting_for) return {};
  tx.sql("UPDATE runs SET waiting_for = ? WHERE id = ?").run(waiting_for, id);
  tx.announce(Change::Topic::kRun, id, present->workspace);
  return {};
}

Result<Run> request_cancel(Transaction& tx, const RunId& id, Instant now) {
  const Result<Run> present = run(tx, id);
  if (!present) return present;
  Result<Run> changed = after_cancel_request(*present, now);
  if (!changed) return changed;
  if (changed->status == RunStatus::kCancelled) {
    if (auto saved = save_ended(tx, *changed, now); !saved) return std::unexpected(saved.error());
  } else {
    save_run(tx, *changed);
    tx.announce(Change::Topic::kCancel, id, present->workspace);
  }
  return changed;
}

Result<Run> run(Transaction& tx, const RunId& id) {
  if (auto found = find_run(tx, "WHERE id = ?", id)) return *std::move(found);
  return std::unexpected(no_such_run(id));
}

Result<std::vector<Run>> runs(Transaction& tx, const RunFilter& filter) {
  // One ordered range of an index for each status, merged: never a scan of the whole history.
  std::string where = "WHERE seq < coalesce((SELECT seq FROM runs WHERE id = ?1), ?2)";
  if (filter.workspace) where += " AND workspace = ?3";
  // The texts are those that the indexes of own and of job runs ask for.
  const bool own = filter.workspace && filter.job && filter.job->empty();
  if (own) where += " AND job = ''";
  const bool of_job = filter.workspace && filter.job && !own;
  if (of_job) where += " AND job <> '' AND job = ?5";
  std::vector<std::optional<RunStatus>> statuses(filter.statuses.begin(), filter.statuses.end());
  if (statuses.empty()) statuses.emplace_back();
  std::vector<PlacedRun> found;
  for (const auto& status : statuses) {
    // A workspace's own unfinished runs have an index of their own, which SQLite takes only when
    // the status is written out. For the others the workspace's history is the shorter way: the +
    // keeps the status out of the choice.
    const bool written_out = own && (status == RunStatus::kQueued || status == RunStatus::kRunning);
    std::string text(kSelectRuns);
    if (written_out) {
      text +=
          fmt::format("INDEXED BY one_{0}_run_per_slot {1} AND status = '{0}' AND concurrent = 0",
                      to_string(*status), where);
    } else {
      text += where;
      if (status) text += filter.workspace ? " AND +status = " : " AND status = ";
      if (status) text += of_job ? "?6" : "?5";
    }
    auto query = tx.sql(text + " ORDER BY seq DESC LIMIT ?4");
    constexpr std::int64_t kAfterAll = INT64_MAX;
    query.bind(filter.before, kAfterAll, filter.workspace, filter.limit);
    if (of_job) query.bind(*filter.job);
    if (status && !written_out) query.bind(to_string(*status));
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

std::optional<Run> next_claimable(Transaction& tx, Instant now,
                                  const std::vector<RunId>& passed_over) {
  // Oldest first, and never beside a running run of its slot (I1).
  return find_run(
      tx,
      "WHERE status = 'queued' AND waiting_for = '' AND (not_before IS NULL "
      "OR not_before <= ?) AND instr(?, ',' || r.id || ',') = 0 AND (r.concurrent OR NOT "
      "EXISTS (SELECT 1 FROM runs AS active WHERE active.workspace = r.workspace AND "
      "active.job = r.job AND active.status = 'running' AND active.concurrent = 0)) "
      "ORDER BY seq LIMIT 1",
      now, enclosed(passed_over));
}

std::optional<Run> queued_run(Transaction& tx, const WorkspaceName& workspace, const JobName& job) {
  return find_run(tx, "WHERE workspace = ? AND job = ? AND status = 'queued' AND concurrent = 0",
                  workspace, job);
}

RunId newest_own_run(Transaction& tx, const WorkspaceName& workspace) {
  auto query =
      tx.sql("SELECT id FROM runs WHERE workspace = ? AND job = '' ORDER BY seq DESC LIMIT 1");
  query.bind(workspace);
  return query.step() ? query.row().as<RunId>() : RunId();
}

void save_run(Transaction& tx, const Run& r) {
  tx.sql(
        "UPDATE runs SET not_before = ?, retries = ?, status = ?, attempt = ?, instance = ?, term "
        "= ?, started_at = ?, "
        "finished_at = ?, exit_code = ?, error = ?, resources_add = ?, resources_change = ?, "
        "resources_destroy = ?, cancel_requested = ? WHERE id = ?")
      .run(r.not_before, r.retries, to_string(r.status), r.attempt, r.instance, r.term,
           r.started_at, r.finished_at, r.exit_code, r.error, r.resources.add, r.resources.change,
           r.resources.destroy, r.cancel_requested, r.id);
  tx.announce(Change::Topic::kRun, r.id, r.workspace);
}

}  // namespace provisioner::sqlite
