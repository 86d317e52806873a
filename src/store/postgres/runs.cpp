#include "store/postgres/runs.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <limits>

#include "store/postgres/jobs.hpp"
#include "store/postgres/leadership.hpp"
#include "store/postgres/workspaces.hpp"
#include "store/run_rules.hpp"
#include "store/workspace_rows.hpp"
#include "store/workspace_rules.hpp"

namespace provisioner::postgres {
namespace {

const std::string& select_run() {
  static const std::string text = fmt::format("{}WHERE r.id = $1", kSelectRuns);
  return text;
}

// Oldest first, and never beside a running run of its slot (I1). That holds for a row that was
// waited for, too: while a run is queued nothing else of its slot begins.
constexpr std::string_view kClaimable =
    "WHERE r.status = 'queued' AND r.waiting_for = '' AND (r.not_before IS NULL OR r.not_before <= "
    "$1) AND r.id <> ALL($2) AND (r.concurrent OR NOT EXISTS (SELECT 1 FROM "
    "runs active WHERE active.workspace = r.workspace AND active.job = r.job AND active.status = "
    "'running' AND NOT active.concurrent)) ORDER BY r.seq LIMIT 1";

TextArray names_of(const std::vector<RunId>& ids) {
  TextArray names;
  for (const RunId& id : ids) names.items.push_back(id.value);
  return names;
}

}  // namespace

void insert_run(Transaction& tx, const NewRun& r) {
  const auto key = r.idempotency_key.empty() ? std::nullopt : std::optional(r.idempotency_key);
  tx.send(Query("INSERT INTO runs (id, workspace, job, operation, mode, trigger, scheduled_for, "
                "requested_by, config, bundle, inputs_hash, not_before, waiting_for, upgrade, "
                "confirmed, concurrent, event, idempotency_key, status, attempt, instance, term, "
                "created_at, error, "
                "resources_add, resources_change, resources_destroy, cancel_requested, "
                "correlation_id) VALUES ($1, "
                "$2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, "
                "'queued', 0, '', 0, $19, '', 0, 0, 0, false, $20)",
                r.id, r.workspace, r.job, to_string(r.operation), r.mode, to_string(r.trigger),
                r.scheduled_for, r.requested_by, r.definition.config, r.definition.bundle,
                r.definition.inputs_hash, r.not_before, r.waiting_for, r.upgrade, r.confirmed,
                r.concurrent, r.event, key, r.created_at, correlation_of(r))
              .refuse("23505",  // its id, or its key, in another workspace at the same time
                      run_exists(r.id)));
  tx.announce(Change::Topic::kRun, r.id, r.workspace);
}

Task<Result<Run>> enqueue(Transaction& tx, const NewRun& wanted, WhenBusy when_busy) {
  co_return co_await enqueue(tx, wanted, when_busy, ask_enqueue(tx, wanted));
}

Enqueueing ask_enqueue(Transaction& tx, const NewRun& wanted) {
  // The workspace is held, then all is read that the answer rests on. The bundle is held too,
  // against a pruning.
  static const std::string held =
      fmt::format("{}WHERE w.name = $1 FOR NO KEY UPDATE", kSelectWorkspaces);
  static const std::string by_key = fmt::format("{}WHERE r.idempotency_key = $1", kSelectRuns);
  static const std::string in_slot = fmt::format(
      "{}WHERE r.workspace = $1 AND r.job = $2 AND r.status IN ('queued', 'running') AND NOT "
      "r.concurrent",
      kSelectRuns);
  return {.workspace = tx.lock(held, wanted.workspace),
          .bundle = tx.lock("SELECT 1 FROM bundles WHERE hash = $1 FOR KEY SHARE",
                            wanted.definition.bundle),
          .by_key = tx.ask(by_key, wanted.idempotency_key),
          .by_id = ask_run(tx, wanted.id),
          .slot = tx.ask(in_slot, wanted.workspace, wanted.job)};
}

Task<Result<Run>> enqueue(Transaction& tx, const NewRun& wanted, WhenBusy when_busy,
                          Enqueueing asked) {
  const Rows workspace_rows = co_await tx.rows(asked.workspace);
  if (!wanted.idempotency_key.empty()) {
    if (auto made = one_run(co_await tx.rows(asked.by_key))) co_return *std::move(made);
  }
  if (workspace_rows.empty()) co_return std::unexpected(no_such_workspace(wanted.workspace));
  if ((co_await tx.rows(asked.bundle)).empty()) co_return std::unexpected(unknown_bundle(wanted));
  if (!(co_await tx.rows(asked.by_id)).empty()) co_return std::unexpected(run_exists(wanted.id));
  std::optional<Run> queued, running;
  for (Row present : co_await tx.rows(asked.slot)) {
    Run found = read_run(present).run;
    (found.status == RunStatus::kQueued ? queued : running) = std::move(found);
  }
  if (wanted.concurrent) queued = running = std::nullopt;
  if (when_busy == WhenBusy::kRefuse && (running || queued)) {
    co_return std::unexpected(slot_is_busy(running ? *running : *queued));
  }
  if (queued) {
    co_await save_ended(tx, after_superseded(*std::move(queued), wanted.id, wanted.created_at),
                        read_workspace(workspace_rows[0]), wanted.created_at);
  }
  insert_run(tx, wanted);
  co_return as_queued(wanted);
}

Task<Status> set_waiting(Transaction& tx, const LeaderFence& fence, const RunId& id,
                         const std::string& waiting_for) {
  // Nobody else writes this column, so the run's own row is lock enough.
  static const std::string held = fmt::format("{} FOR NO KEY UPDATE", select_run());
  const auto row = tx.lock(held, id);
  if (auto leads = co_await check_leader(tx, fence); !leads) co_return leads;
  const auto present = one_run(co_await tx.rows(row));
  if (!present) co_return std::unexpected(no_such_run(id));
  if (present->status != RunStatus::kQueued) co_return std::unexpected(not_queued(*present));
  if (present->waiting_for == waiting_for) co_return Status();
  tx.send("UPDATE runs SET waiting_for = $1 WHERE id = $2", waiting_for, id);
  tx.announce(Change::Topic::kRun, id, present->workspace);
  co_return Status();
}

Task<> save_ended(Transaction& tx, const Run& ended, const Workspace& before, Instant now) {
  Workspace after = after_waiting_run(before, ended, now);
  save_run(tx, ended);
  if (ended.status == RunStatus::kFailed) note_event(tx, ended, after, now);
  save_workspace(tx, before, std::move(after), now);
  co_await follow_run(tx, ended, now);
}

Task<Result<Run>> request_cancel(Transaction& tx, const RunId& id, Instant now) {
  const auto row = lock_workspace_of(tx, id);
  const auto present = one_run(co_await tx.rows(ask_run(tx, id)));
  if (!present) co_return std::unexpected(no_such_run(id));
  Result<Run> changed = after_cancel_request(*present, now);
  if (!changed) co_return changed;
  if (changed->status == RunStatus::kCancelled) {
    co_await save_ended(tx, *changed, read_workspace((co_await tx.rows(row))[0]), now);
  } else {
    save_run(tx, *changed);
    tx.announce(Change::Topic::kCancel, id, present->workspace);
  }
  co_return changed;
}

Task<Result<Run>> run(Transaction& tx, const RunId& id) {
  const Rows rows = co_await tx.rows(ask_run(tx, id));
  if (rows.empty()) co_return std::unexpected(no_such_run(id));
  co_return read_run(rows[0]).run;
}

Task<Result<std::vector<Run>>> runs(Transaction& tx, const RunFilter& filter) {
  co_return co_await read_runs(tx, ask_runs(tx, filter), filter.limit);
}

std::vector<Transaction::Answer> ask_runs(Transaction& tx, const RunFilter& filter) {
  // One ordered range of an index for each status, merged: never a scan of the whole history.
  constexpr std::int64_t kAfterAll = std::numeric_limits<std::int64_t>::max();
  const int limit = std::max(filter.limit, 0);
  std::vector<std::optional<RunStatus>> statuses(filter.statuses.begin(), filter.statuses.end());
  if (statuses.empty()) statuses.emplace_back();
  std::vector<Transaction::Answer> answers;
  for (const auto& status : statuses) {
    std::string text = fmt::format(
        "{}WHERE r.seq < coalesce((SELECT seq FROM runs WHERE id = $1), $2)", kSelectRuns);
    // The texts are those that the indexes of own and of job runs ask for.
    const bool of_job = filter.workspace && filter.job && !filter.job->empty();
    if (filter.workspace) text += " AND r.workspace = $4";
    if (filter.workspace && filter.job)
      text += of_job ? " AND r.job <> '' AND r.job = $5" : " AND r.job = ''";
    if (status)
      text += fmt::format(" AND r.status = ${}", 4 + filter.workspace.has_value() + of_job);
    Query query(text + " ORDER BY r.seq DESC LIMIT $3", filter.before, kAfterAll, limit);
    if (filter.workspace) query.bind(*filter.workspace);
    if (of_job) query.bind(*filter.job);
    if (status) query.bind(to_string(*status));
    answers.push_back(tx.ask(std::move(query)));
  }
  return answers;
}

Task<std::vector<Run>> read_runs(Transaction& tx, std::vector<Transaction::Answer> answers,
                                 int limit) {
  std::vector<PlacedRun> found;
  for (const auto answer : answers) {
    for (Row row : co_await tx.rows(answer)) found.push_back(read_run(row));
  }
  std::ranges::sort(found, std::greater<>(), &PlacedRun::seq);
  std::vector<Run> newest_first;
  for (auto& placed : found) {
    if (newest_first.size() == static_cast<std::size_t>(std::max(limit, 0))) break;
    newest_first.push_back(std::move(placed.run));
  }
  co_return newest_first;
}

Transaction::Answer ask_claimable(Transaction& tx, const ClaimRequest& request) {
  static const std::string text = fmt::format("{}{}", kSelectRuns, kClaimable);
  return tx.ask(text, request.now, names_of(request.passed_over));
}

Transaction::Answer lock_claimable(Transaction& tx, const ClaimRequest& request) {
  static const std::string text = fmt::format(
      "{}JOIN workspace_states w ON w.name = r.workspace {} FOR NO KEY UPDATE OF w, r "
      "SKIP LOCKED",
      kSelectRuns, kClaimable);
  return tx.lock(text, request.now, names_of(request.passed_over));
}

Transaction::Answer ask_run(Transaction& tx, const RunId& id) { return tx.ask(select_run(), id); }

Transaction::Answer ask_queued_beside(Transaction& tx, const RunId& id) {
  return tx.ask(
      "SELECT id FROM runs WHERE (workspace, job) = (SELECT workspace, job FROM runs WHERE id = "
      "$1) "
      "AND status = 'queued' AND NOT concurrent",
      id);
}

Transaction::Answer ask_newest_own_run(Transaction& tx, const WorkspaceName& workspace) {
  return tx.ask("SELECT id FROM runs WHERE workspace = $1 AND job = '' ORDER BY seq DESC LIMIT 1",
                workspace);
}

RunId one_run_id(const Rows& rows) { return rows.empty() ? RunId() : rows[0].as<RunId>(); }

std::optional<Run> one_run(const Rows& rows) {
  if (rows.empty()) return std::nullopt;
  return read_run(rows[0]).run;
}

Transaction::Answer lock_workspace_of(Transaction& tx, const RunId& id) {
  static const std::string text = fmt::format(
      "{}WHERE w.name = (SELECT workspace FROM runs WHERE id = $1) FOR NO KEY UPDATE OF w, s",
      kSelectWorkspaces);
  return tx.lock(text, id);
}

void save_run(Transaction& tx, const Run& r) {
  tx.send(
      "UPDATE runs SET status = $1, attempt = $2, instance = $3, term = $4, started_at = $5, "
      "finished_at = $6, exit_code = $7, error = $8, resources_add = $9, resources_change = $10, "
      "resources_destroy = $11, cancel_requested = $12, not_before = $13, retries = $14 WHERE id = "
      "$15",
      to_string(r.status), r.attempt, r.instance, r.term, r.started_at, r.finished_at, r.exit_code,
      r.error, r.resources.add, r.resources.change, r.resources.destroy, r.cancel_requested,
      r.not_before, r.retries, r.id);
  tx.announce(Change::Topic::kRun, r.id, r.workspace);
}

}  // namespace provisioner::postgres
