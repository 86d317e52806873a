#include "store/postgres/workspaces.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <optional>

#include "store/cluster_rows.hpp"
#include "store/postgres/runs.hpp"
#include "store/run_rules.hpp"
#include "store/workspace_rows.hpp"
#include "store/workspace_rules.hpp"

namespace provisioner::postgres {
namespace {

// PostgreSQL keeps the columns that the requirement makes JSONB in an order and spacing of its own:
// this is the normalised text again.
std::string normalised(const std::string& jsonb) {
  if (jsonb.empty()) return "";
  return nlohmann::json::parse(jsonb).dump(-1, ' ', false,
                                           nlohmann::json::error_handler_t::replace);
}

// Queues.
void record_change(Transaction& tx, const WorkspaceName& name, std::string_view change_type,
                   const std::string& old_config, const std::string& new_config,
                   const std::string& by, Instant now) {
  tx.send(
      Query("INSERT INTO config_changes (id, workspace_name, change_type, old_config, "
            "new_config, changed_by, changed_at) VALUES ($1, $2, $3, $4, $5, left($6, 255), $7)",
            tx.new_id(now), name, change_type, or_null(old_config), or_null(new_config), by, now)
          .refuse("22P05", {ErrorKind::kInvalid,
                            fmt::format("the configuration of workspace {} contains \\u0000, "
                                        "which PostgreSQL's JSONB cannot hold",
                                        name.value)}));
}

const std::string& select_workspace() {
  static const std::string text = fmt::format("{}WHERE w.name = $1", kSelectWorkspaces);
  return text;
}

Result<Workspace> one_workspace(const Rows& rows, const WorkspaceName& name) {
  if (rows.empty()) return std::unexpected(no_such_workspace(name));
  return read_workspace(rows[0]);
}

// False when another instance was first.
Task<bool> insert_workspace(Transaction& tx, const Publication& p, Instant now) {
  const Rows inserted = co_await tx.sent(
      "INSERT INTO workspace_states (id, name, status, created_at, updated_at, "
      "last_config_modified, enabled, published_enabled, detached, held, hold_reason, "
      "template_name, template_bundle, folder_content, description, config, bundle, inputs_hash, "
      "deployed_mode, failed_destroys) "
      "VALUES ($1, $2, 'pending', $3, $3, $3, $4, $4, false, false, '', $5, $6, $7, $8, $9, $10, "
      "$11, '', 0) ON CONFLICT (name) DO NOTHING",
      tx.new_id(now), p.workspace, now, p.enabled, p.template_name, p.template_bundle,
      p.folder_content, p.description, p.definition.config, p.definition.bundle,
      p.definition.inputs_hash);
  if (inserted.changed() != 1) co_return false;
  tx.send(
      "INSERT INTO schedules (workspace, cursor, config_version, schedule_hash) VALUES ($1, $2, 1, "
      "$3)",
      p.workspace, p.first_cursor, p.schedule_hash);
  record_change(tx, p.workspace, "created", "", p.definition.config, p.changed_by, now);
  tx.announce(Change::Topic::kWorkspace, p.workspace.value);
  co_return true;
}

// Queues. Absent when it never spoke of the folder.
Transaction::Answer ask_last_report(Transaction& tx, const WorkspaceName& name,
                                    const InstanceId& instance) {
  return tx.ask("SELECT content FROM reports WHERE workspace = $1 AND instance = $2", name,
                instance);
}

Task<std::optional<std::string>> last_report(Transaction& tx, Transaction::Answer answer) {
  const Rows rows = co_await tx.rows(answer);
  if (rows.empty()) co_return std::nullopt;
  co_return rows[0].text();
}

// Queues.
void record_report(Transaction& tx, const WorkspaceName& name, const InstanceId& instance,
                   const std::string& content, Instant now) {
  tx.send(
      "INSERT INTO reports (instance, workspace, content, reported_at) VALUES ($1, $2, $3, $4) ON "
      "CONFLICT (workspace, instance) DO UPDATE SET content = excluded.content, reported_at = "
      "excluded.reported_at",
      instance, name, content, now);
}

// `after`, with a run ended that waited to be tried again, where that is to stop.
Task<Workspace> without_retry(Transaction& tx, const Workspace& before, Workspace after,
                              Instant now) {
  static const std::string queued =
      fmt::format("{}WHERE r.workspace = $1 AND r.job = '' AND r.status = 'queued'", kSelectRuns);
  if (is_suspended(before, now) || !is_suspended(after, now)) co_return after;
  const auto waiting = one_run(co_await tx.query(queued, before.name));
  const auto ended = after_suspension(waiting, before, after, now);
  if (!ended) co_return after;
  save_run(tx, *ended);
  co_return after_waiting_run(after, *ended, now);
}

// The template stays as it is until the publication is committed.
Task<Status> still_made_from_template(Transaction& tx, const Publication& p) {
  if (p.template_bundle.empty()) co_return Status();
  const Rows rows = co_await tx.locked(
      "SELECT content_hash FROM templates WHERE name = $1 FOR SHARE", p.template_name);
  co_return check_template(p, rows.empty() ? BundleHash() : rows[0].as<BundleHash>());
}

}  // namespace

Task<Result<Workspace>> publish(Transaction& tx, const Publication& publication, Instant now) {
  const Publication& p = publication;
  const auto bundle = tx.ask("SELECT 1 FROM bundles WHERE hash = $1", p.definition.bundle);
  const auto last = tx.ask(
      "SELECT w.published_enabled, s.schedule_hash FROM workspace_states w JOIN schedules s ON "
      "s.workspace = w.name WHERE w.name = $1",
      p.workspace);
  const auto reported = ask_last_report(tx, p.workspace, p.instance);
  if (auto made = co_await still_made_from_template(tx, p); !made) {
    co_return std::unexpected(made.error());
  }
  // What is current already, which is nearly always so, needs no lock.
  const Result<Workspace> seen = co_await workspace(tx, p.workspace);
  if ((co_await tx.rows(bundle)).empty()) co_return std::unexpected(unknown_bundle(p));
  bool follows = false;
  if (!p.instance.empty()) {
    const std::string content = reported_content(p);
    const bool says_the_same = co_await last_report(tx, reported) == content;
    if (seen && says_the_same && !only_follows_template(*seen, p)) co_return seen;
    follows = seen && says_the_same;
    if (!follows) record_report(tx, p.workspace, p.instance, content, now);
  }
  if (!seen) {
    if (co_await insert_workspace(tx, p, now)) co_return co_await workspace(tx, p.workspace);
  } else {
    // Empty: another instance published it between the two statements.
    const Rows known = co_await tx.rows(last);
    if (!known.empty()) {
      Row row = known[0];
      const Published published{.enabled = row.boolean(), .schedule_hash = row.text()};
      if (!after_publication(*seen, published, p, now)) co_return seen;
    }
  }
  const Result<Workspace> before = co_await lock_workspace(tx, p.workspace);
  if (!before) co_return before;
  if (follows && !only_follows_template(*before, p)) co_return before;
  const Rows locked = co_await tx.query(
      "SELECT w.published_enabled, s.schedule_hash FROM workspace_states w JOIN schedules s ON "
      "s.workspace = w.name WHERE w.name = $1",
      p.workspace);
  Row row = locked[0];
  const Published published{.enabled = row.boolean(), .schedule_hash = row.text()};
  auto next = after_publication(*before, published, p, now);
  if (!next) co_return before;
  next->row = co_await without_retry(tx, *before, std::move(next->row), now);
  save_workspace(tx, *before, next->row, now);
  tx.send("UPDATE workspace_states SET published_enabled = $1 WHERE name = $2", p.enabled,
          p.workspace);
  outdate_plans(tx, p.workspace);
  if (next->new_schedule) {
    // An edited schedule starts at now; the cursor never moves back, whatever the clock did.
    tx.send(
        "UPDATE schedules SET cursor = greatest(cursor, $1), schedule_hash = $2 WHERE workspace = "
        "$3",
        now, p.schedule_hash, p.workspace);
  }
  record_change(tx, p.workspace, next->change_type, before->current.config, p.definition.config,
                p.changed_by, now);
  tx.announce(Change::Topic::kWorkspace, p.workspace.value);
  co_return co_await workspace(tx, p.workspace);
}

Task<Status> detach(Transaction& tx, const WorkspaceName& name, const InstanceId& instance,
                    const std::string& by, Instant now) {
  const Result<Workspace> before = co_await lock_workspace(tx, name);
  if (!before) co_return std::unexpected(before.error());
  if (!instance.empty()) {
    const auto last = co_await last_report(tx, ask_last_report(tx, name, instance));
    if (last.value_or("").empty()) co_return Status();
    record_report(tx, name, instance, "", now);
  }
  if (before->detached) co_return Status();
  Workspace changed = *before;
  changed.detached = true;
  save_workspace(tx, *before, std::move(changed), now);
  outdate_plans(tx, name);
  record_change(tx, name, "detached", before->current.config, "", by, now);
  co_return Status();
}

Task<Result<std::vector<Report>>> reports(Transaction& tx) {
  static const std::string text =
      fmt::format("SELECT {} FROM reports ORDER BY workspace, instance", kReportColumns);
  std::vector<Report> all;
  for (Row row : co_await tx.query(text)) all.push_back(read_report(row));
  co_return all;
}

Task<Result<std::vector<ConfigChange>>> config_changes(Transaction& tx, const WorkspaceName& name,
                                                       int limit) {
  std::vector<ConfigChange> changes;
  for (Row row : co_await tx.query(
           "SELECT workspace_name, change_type, old_config, new_config, changed_by, changed_at "
           "FROM config_changes WHERE workspace_name = $1 ORDER BY seq DESC LIMIT $2",
           name, limit)) {
    changes.push_back({.workspace = row.as<WorkspaceName>(),
                       .change_type = row.text(),
                       .old_config = normalised(row.text()),
                       .new_config = normalised(row.text()),
                       .changed_by = row.text(),
                       .changed_at = row.instant()});
  }
  co_return changes;
}

Task<Result<std::vector<Workspace>>> workspaces(Transaction& tx) {
  static const std::string text = fmt::format("{}ORDER BY w.name", kSelectWorkspaces);
  std::vector<Workspace> all;
  for (Row row : co_await tx.query(text)) all.push_back(read_workspace(row));
  co_return all;
}

Task<Result<Workspace>> workspace(Transaction& tx, const WorkspaceName& name) {
  co_return one_workspace(co_await tx.query(select_workspace(), name), name);
}

Task<Result<Workspace>> lock_workspace(Transaction& tx, const WorkspaceName& name) {
  // Both rows: one that waited for the lock is read again, its unlocked partner would not be.
  static const std::string text = fmt::format("{} FOR NO KEY UPDATE", select_workspace());
  co_return one_workspace(co_await tx.locked(text, name), name);
}

Task<Result<Workspace>> update_workspace(Transaction& tx, const Workspace& row, Instant now) {
  const Result<Workspace> before = co_await lock_workspace(tx, row.name);
  if (!before) co_return before;
  auto change = with_peoples_choices(*before, row, now);
  if (!change) co_return std::unexpected(change.error());
  if (change->row == *before) co_return before;
  change->row = co_await without_retry(tx, *before, std::move(change->row), now);
  save_workspace(tx, *before, change->row, now);
  if (change->outdates_plans) outdate_plans(tx, row.name);
  if (change->starts_anew) {
    tx.send("UPDATE schedules SET cursor = greatest(cursor, $1) WHERE workspace = $2", now,
            row.name);
  }
  co_return co_await workspace(tx, row.name);
}

Task<Status> remove_workspace(Transaction& tx, const WorkspaceName& name, const std::string& by,
                              Instant now) {
  const Result<Workspace> before = co_await lock_workspace(tx, name);
  if (!before) co_return std::unexpected(before.error());
  const auto active =
      tx.ask("SELECT id FROM runs WHERE workspace = $1 AND status = 'running'", name);
  const auto lock = tx.ask("SELECT id FROM state_locks WHERE workspace = $1", name);
  if (const Rows rows = co_await tx.rows(active); !rows.empty()) {
    co_return fail(ErrorKind::kConflict, fmt::format("run {} of workspace {} is active: cancel it, "
                                                     "or wait for its end",
                                                     rows[0].text(), name.value));
  }
  if (const Rows rows = co_await tx.rows(lock); !rows.empty()) {
    co_return fail(ErrorKind::kConflict, fmt::format("the state of workspace {} is locked by {}",
                                                     name.value, rows[0].text()));
  }
  // Children before parents.
  tx.send("DELETE FROM run_logs WHERE run IN (SELECT id FROM runs WHERE workspace = $1)", name);
  tx.send("DELETE FROM run_attempts WHERE run IN (SELECT id FROM runs WHERE workspace = $1)", name);
  tx.send("DELETE FROM runs WHERE workspace = $1", name);
  tx.send("DELETE FROM occurrences WHERE workspace = $1", name);
  tx.send("DELETE FROM state_versions WHERE workspace = $1", name);
  tx.send("DELETE FROM schedules WHERE workspace = $1", name);
  tx.send("DELETE FROM reports WHERE workspace = $1", name);
  tx.send("DELETE FROM job_events WHERE workspace = $1", name);
  tx.send("DELETE FROM job_states WHERE workspace = $1", name);
  tx.send("DELETE FROM workspace_states WHERE name = $1", name);
  record_change(tx, name, "removed", before->current.config, "", by, now);
  tx.announce(Change::Topic::kWorkspace, name.value);
  co_return Status();
}

Task<Result<std::vector<ScheduleCursor>>> cursors(Transaction& tx) {
  std::vector<ScheduleCursor> all;
  for (Row row : co_await tx.query(kSelectCursors)) all.push_back(read_cursor(row));
  co_return all;
}

Transaction::Answer ask_workspace(Transaction& tx, const WorkspaceName& name) {
  return tx.ask(select_workspace(), name);
}

Transaction::Answer ask_workspaces(Transaction& tx, const std::vector<WorkspaceName>& names) {
  static const std::string text = fmt::format("{}WHERE w.name = ANY($1)", kSelectWorkspaces);
  TextArray wanted;
  for (const WorkspaceName& name : names) wanted.items.push_back(name.value);
  return tx.ask(text, wanted);
}

Transaction::Answer ask_cursor(Transaction& tx, const WorkspaceName& name) {
  static const std::string text = fmt::format("{}WHERE workspace = $1", kSelectCursors);
  return tx.ask(text, name);
}

void save_workspace(Transaction& tx, const Workspace& before, Workspace changed, Instant now) {
  if (changed == before) return;
  const Workspace& w = changed;
  const DeployedColumns deployed(w.deployed);
  // Optimistic locking all the same: whoever did not lock the row changes nothing, and is told.
  tx.send(Query("WITH changed AS (UPDATE workspace_states SET enabled = $1, status = $2, detached "
                "= $3, held = $4, hold_until = $5, hold_reason = $6, deployment_mode = $7, "
                "template_name = $8, description = $9, config = $10, bundle = $11, inputs_hash = "
                "$12, deployed_config = $13, deployed_bundle = $14, deployed_inputs_hash = $15, "
                "deployed_mode = $16, last_deployed = $17, last_destroyed = $18, "
                "last_deploy_error = $19, last_destroy_error = $20, last_config_modified = $21, "
                "ttl_expires_at = $22, failed_destroys = $23, retry_at = $24, updated_at = $25, "
                "template_bundle = $26, folder_content = $27, "
                "version = version + 1 WHERE name = $28 AND version = $29 RETURNING 1) "
                "SELECT require_one_row(count(*)) FROM changed",
                w.enabled, to_string(w.status), w.detached, w.held, w.hold_until, w.hold_reason,
                or_null(w.mode), w.template_name, w.description, w.current.config, w.current.bundle,
                w.current.inputs_hash, deployed.config, deployed.bundle, deployed.inputs_hash,
                w.deployed_mode, w.last_deployed, w.last_destroyed, or_null(w.last_deploy_error),
                or_null(w.last_destroy_error), w.last_config_modified, w.ttl_expires_at,
                w.failed_destroys, w.retry_at, now, w.template_bundle, w.folder_content, w.name,
                before.version)
              .refuse(kNotOneRow, {ErrorKind::kVersionConflict,
                                   fmt::format("workspace {} has no longer version {}: somebody "
                                               "changed it meanwhile",
                                               w.name.value, before.version.value)}));
  tx.announce(Change::Topic::kWorkspace, w.name.value);
}

void outdate_plans(Transaction& tx, const WorkspaceName& name) {
  tx.send("UPDATE schedules SET config_version = config_version + 1 WHERE workspace = $1", name);
}

Task<Result<std::string>> lock_file(Transaction& tx, const WorkspaceName& name) {
  const Rows rows =
      co_await tx.query("SELECT lock_file FROM workspace_states WHERE name = $1", name);
  co_return rows.empty() ? "" : rows[0].text();
}

void set_lock_file(Transaction& tx, const WorkspaceName& name, const std::string& text) {
  tx.send("UPDATE workspace_states SET lock_file = $1 WHERE name = $2", text, name);
}

Task<Status> put_bundle(Transaction& tx, const BundleHash& hash, const std::string& content) {
  // A bundle that a pruning has marked is new again.
  tx.send(
      "INSERT INTO bundles (hash, content) VALUES ($1, $2) ON CONFLICT (hash) DO UPDATE SET "
      "unreferenced_since = NULL WHERE bundles.unreferenced_since IS NOT NULL",
      hash, Blob{content});
  co_return Status();
}

Task<Result<std::string>> bundle(Transaction& tx, const BundleHash& hash) {
  const Rows rows = co_await tx.query("SELECT content FROM bundles WHERE hash = $1", hash);
  if (!rows.empty()) co_return rows[0].text();
  co_return fail(ErrorKind::kNotFound, fmt::format("there is no bundle {}", hash.value));
}

Task<bool> has_bundle(Transaction& tx, const BundleHash& hash) {
  const Rows rows = co_await tx.query("SELECT 1 FROM bundles WHERE hash = $1", hash);
  co_return !rows.empty();
}

}  // namespace provisioner::postgres
