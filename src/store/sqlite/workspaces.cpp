#include "store/sqlite/workspaces.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "store/cluster_rows.hpp"
#include "store/run_rules.hpp"
#include "store/sqlite/runs.hpp"
#include "store/sqlite/templates.hpp"
#include "store/workspace_rows.hpp"
#include "store/workspace_rules.hpp"

namespace provisioner::sqlite {
namespace {

void record_change(Transaction& tx, const WorkspaceName& name, std::string_view change_type,
                   const std::string& old_config, const std::string& new_config,
                   const std::string& by, Instant now) {
  tx.sql(
        "INSERT INTO config_changes (id, workspace_name, change_type, old_config, new_config, "
        "changed_by, changed_at) VALUES (?, ?, ?, ?, ?, ?, ?)")
      .run(tx.new_id(now), name, change_type, or_null(old_config), or_null(new_config), by, now);
}

Published published(Transaction& tx, const WorkspaceName& name) {
  auto query = tx.sql(
      "SELECT w.published_enabled, s.schedule_hash FROM workspace_states w JOIN schedules s ON "
      "s.workspace = w.name WHERE w.name = ?");
  query.bind(name);
  query.step();
  Row row = query.row();
  return {.enabled = row.boolean(), .schedule_hash = row.text()};
}

void insert_workspace(Transaction& tx, const Publication& p, Instant now) {
  tx.sql(
        "INSERT INTO workspace_states (id, name, status, created_at, updated_at, "
        "last_config_modified, enabled, published_enabled, detached, held, hold_reason, "
        "template_name, template_bundle, folder_content, description, config, bundle, inputs_hash, "
        "deployed_mode, failed_destroys) "
        "VALUES (?1, ?2, 'pending', ?3, ?3, ?3, ?4, ?4, 0, 0, '', ?5, ?6, ?7, ?8, ?9, ?10, ?11, "
        "'', 0)")
      .run(tx.new_id(now), p.workspace, now, p.enabled, p.template_name, p.template_bundle,
           p.folder_content, p.description, p.definition.config, p.definition.bundle,
           p.definition.inputs_hash);
  tx.sql(
        "INSERT INTO schedules (workspace, cursor, config_version, schedule_hash) VALUES (?, ?, 1, "
        "?)")
      .run(p.workspace, p.first_cursor, p.schedule_hash);
  record_change(tx, p.workspace, "created", "", p.definition.config, p.changed_by, now);
  tx.announce(Change::Topic::kWorkspace, p.workspace.value);
}

// The content that `instance` reported last; absent when it never spoke of the folder.
std::optional<std::string> last_report(Transaction& tx, const WorkspaceName& name,
                                       const InstanceId& instance) {
  auto query = tx.sql("SELECT content FROM reports WHERE workspace = ? AND instance = ?");
  query.bind(name, instance);
  if (!query.step()) return std::nullopt;
  return query.row().text();
}

void record_report(Transaction& tx, const WorkspaceName& name, const InstanceId& instance,
                   const std::string& content, Instant now) {
  tx.sql(
        "INSERT INTO reports (instance, workspace, content, reported_at) VALUES (?, ?, ?, ?) ON "
        "CONFLICT (workspace, instance) DO UPDATE SET content = excluded.content, reported_at = "
        "excluded.reported_at")
      .run(instance, name, content, now);
}

// `after`, with a run ended that waited to be tried again, where that is to stop.
Workspace without_retry(Transaction& tx, const Workspace& before, Workspace after, Instant now) {
  const auto ended = after_suspension(queued_run(tx, before.name, JobName()), before, after, now);
  if (!ended) return after;
  save_run(tx, *ended);
  return after_waiting_run(after, *ended, now);
}

}  // namespace

Result<Workspace> publish(Transaction& tx, const Publication& publication, Instant now) {
  const Publication& p = publication;
  if (!has_bundle(tx, p.definition.bundle)) {
    return std::unexpected(unknown_bundle(p));
  }
  if (!p.template_bundle.empty()) {
    if (auto made = check_template(p, present_content(tx, p.template_name)); !made) {
      return std::unexpected(made.error());
    }
  }
  const Result<Workspace> before = workspace(tx, p.workspace);
  if (!p.instance.empty()) {
    const std::string content = reported_content(p);
    const bool says_the_same = last_report(tx, p.workspace, p.instance) == content;
    if (before && says_the_same && !only_follows_template(*before, p)) return before;
    if (!before || !says_the_same) record_report(tx, p.workspace, p.instance, content, now);
  }
  if (!before) {
    insert_workspace(tx, p, now);
    return workspace(tx, p.workspace);
  }
  auto next = after_publication(*before, published(tx, p.workspace), p, now);
  if (!next) return before;
  next->row = without_retry(tx, *before, std::move(next->row), now);
  save_workspace(tx, *before, next->row, now);
  tx.sql("UPDATE workspace_states SET published_enabled = ? WHERE name = ?")
      .run(p.enabled, p.workspace);
  outdate_plans(tx, p.workspace);
  if (next->new_schedule) {
    // An edited schedule starts at now; the cursor never moves back, whatever the clock did.
    tx.sql("UPDATE schedules SET cursor = max(cursor, ?), schedule_hash = ? WHERE workspace = ?")
        .run(now, p.schedule_hash, p.workspace);
  }
  record_change(tx, p.workspace, next->change_type, before->current.config, p.definition.config,
                p.changed_by, now);
  tx.announce(Change::Topic::kWorkspace, p.workspace.value);
  return workspace(tx, p.workspace);
}

Status detach(Transaction& tx, const WorkspaceName& name, const InstanceId& instance,
              const std::string& by, Instant now) {
  const Result<Workspace> before = workspace(tx, name);
  if (!before) return std::unexpected(before.error());
  if (!instance.empty()) {
    if (last_report(tx, name, instance).value_or("").empty()) return {};
    record_report(tx, name, instance, "", now);
  }
  if (before->detached) return {};
  Workspace changed = *before;
  changed.detached = true;
  save_workspace(tx, *before, std::move(changed), now);
  outdate_plans(tx, name);
  record_change(tx, name, "detached", before->current.config, "", by, now);
  return {};
}

Result<std::vector<Report>> reports(Transaction& tx) {
  auto query =
      tx.sql(fmt::format("SELECT {} FROM reports ORDER BY workspace, instance", kReportColumns));
  std::vector<Report> all;
  while (query.step()) all.push_back(read_report(query.row()));
  return all;
}

Result<std::vector<ConfigChange>> config_changes(Transaction& tx, const WorkspaceName& name,
                                                 int limit) {
  auto query = tx.sql(
      "SELECT workspace_name, change_type, old_config, new_config, changed_by, changed_at FROM "
      "config_changes WHERE workspace_name = ? ORDER BY rowid DESC LIMIT ?");
  query.bind(name, limit);
  std::vector<ConfigChange> changes;
  while (query.step()) {
    Row row = query.row();
    changes.push_back({.workspace = row.as<WorkspaceName>(),
                       .change_type = row.text(),
                       .old_config = row.text(),
                       .new_config = row.text(),
                       .changed_by = row.text(),
                       .changed_at = row.instant()});
  }
  return changes;
}

Result<std::vector<Workspace>> workspaces(Transaction& tx) {
  auto query = tx.sql(fmt::format("{} ORDER BY w.name", kSelectWorkspaces));
  std::vector<Workspace> all;
  while (query.step()) all.push_back(read_workspace(query.row()));
  return all;
}

Result<Workspace> workspace(Transaction& tx, const WorkspaceName& name) {
  static const std::string text = fmt::format("{} WHERE w.name = ?", kSelectWorkspaces);
  auto query = tx.sql(text);
  query.bind(name);
  if (query.step()) return read_workspace(query.row());
  return std::unexpected(no_such_workspace(name));
}

Result<Workspace> update_workspace(Transaction& tx, const Workspace& row, Instant now) {
  const Result<Workspace> before = workspace(tx, row.name);
  if (!before) return before;
  auto change = with_peoples_choices(*before, row, now);
  if (!change) return std::unexpected(change.error());
  if (change->row == *before) return before;
  change->row = without_retry(tx, *before, std::move(change->row), now);
  save_workspace(tx, *before, change->row, now);
  if (change->outdates_plans) outdate_plans(tx, row.name);
  if (change->starts_anew) {
    tx.sql("UPDATE schedules SET cursor = max(cursor, ?) WHERE workspace = ?").run(now, row.name);
  }
  return workspace(tx, row.name);
}

Status remove_workspace(Transaction& tx, const WorkspaceName& name, const std::string& by,
                        Instant now) {
  const Result<Workspace> before = workspace(tx, name);
  if (!before) return std::unexpected(before.error());
  {
    auto active = tx.sql("SELECT id FROM runs WHERE workspace = ? AND status = 'running'");
    active.bind(name);
    if (active.step()) {
      return fail(ErrorKind::kConflict, fmt::format("run {} of workspace {} is active: cancel it, "
                                                    "or wait for its end",
                                                    active.row().text(), name.value));
    }
    auto locked = tx.sql("SELECT id FROM state_locks WHERE workspace = ?");
    locked.bind(name);
    if (locked.step()) {
      return fail(ErrorKind::kConflict, fmt::format("the state of workspace {} is locked by {}",
                                                    name.value, locked.row().text()));
    }
  }
  // Children before parents.
  tx.sql("DELETE FROM run_logs WHERE run IN (SELECT id FROM runs WHERE workspace = ?)").run(name);
  tx.sql("DELETE FROM run_attempts WHERE run IN (SELECT id FROM runs WHERE workspace = ?)")
      .run(name);
  tx.sql("DELETE FROM runs WHERE workspace = ?").run(name);
  tx.sql("DELETE FROM occurrences WHERE workspace = ?").run(name);
  tx.sql("DELETE FROM state_versions WHERE workspace = ?").run(name);
  tx.sql("DELETE FROM schedules WHERE workspace = ?").run(name);
  tx.sql("DELETE FROM reports WHERE workspace = ?").run(name);
  tx.sql("DELETE FROM job_events WHERE workspace = ?").run(name);
  tx.sql("DELETE FROM job_states WHERE workspace = ?").run(name);
  tx.sql("DELETE FROM workspace_states WHERE name = ?").run(name);
  record_change(tx, name, "removed", before->current.config, "", by, now);
  tx.announce(Change::Topic::kWorkspace, name.value);
  return {};
}

Result<std::vector<ScheduleCursor>> cursors(Transaction& tx) {
  auto query = tx.sql(kSelectCursors);
  std::vector<ScheduleCursor> all;
  while (query.step()) all.push_back(read_cursor(query.row()));
  return all;
}

Result<ScheduleCursor> cursor(Transaction& tx, const WorkspaceName& name) {
  static const std::string text = fmt::format("{} WHERE workspace = ?", kSelectCursors);
  auto query = tx.sql(text);
  query.bind(name);
  if (query.step()) return read_cursor(query.row());
  return std::unexpected(no_such_workspace(name));
}

void save_workspace(Transaction& tx, const Workspace& before, Workspace changed, Instant now) {
  if (changed == before) return;
  const Workspace& w = changed;
  const DeployedColumns deployed(w.deployed);
  // Optimistic locking: 0 rows would be a silent overwrite.
  const std::int64_t rows =
      tx.sql(
            "UPDATE workspace_states SET enabled = ?, status = ?, detached = ?, held = ?, "
            "hold_until = ?, hold_reason = ?, deployment_mode = ?, template_name = ?, "
            "template_bundle = ?, folder_content = ?, description = ?, config = ?, bundle = ?, "
            "inputs_hash = ?, deployed_config = ?, "
            "deployed_bundle = ?, deployed_inputs_hash = ?, deployed_mode = ?, last_deployed = ?, "
            "last_destroyed = ?, last_deploy_error = ?, last_destroy_error = ?, "
            "last_config_modified = ?, ttl_expires_at = ?, failed_destroys = ?, retry_at = ?, "
            "updated_at = ?, version = version + 1 WHERE name = ? AND version = ?")
          .run(w.enabled, to_string(w.status), w.detached, w.held, w.hold_until, w.hold_reason,
               or_null(w.mode), w.template_name, w.template_bundle, w.folder_content, w.description,
               w.current.config, w.current.bundle, w.current.inputs_hash, deployed.config,
               deployed.bundle, deployed.inputs_hash, w.deployed_mode, w.last_deployed,
               w.last_destroyed, or_null(w.last_deploy_error), or_null(w.last_destroy_error),
               w.last_config_modified, w.ttl_expires_at, w.failed_destroys, w.retry_at, now, w.name,
               before.version);
  if (rows != 1) {
    throw SqlError(SQLITE_INTERNAL,
                   Error{ErrorKind::kInternal,
                         fmt::format("workspace {} changed inside a transaction", w.name.value)});
  }
  tx.announce(Change::Topic::kWorkspace, w.name.value);
}

void outdate_plans(Transaction& tx, const WorkspaceName& name) {
  tx.sql("UPDATE schedules SET config_version = config_version + 1 WHERE workspace = ?").run(name);
}

std::string lock_file(Transaction& tx, const WorkspaceName& name) {
  auto query = tx.sql("SELECT lock_file FROM workspace_states WHERE name = ?");
  query.bind(name);
  return query.step() ? query.row().text() : "";
}

void set_lock_file(Transaction& tx, const WorkspaceName& name, const std::string& text) {
  tx.sql("UPDATE workspace_states SET lock_file = ? WHERE name = ?").run(text, name);
}

Status put_bundle(Transaction& tx, const BundleHash& hash, const std::string& content) {
  // A bundle that a pruning has marked is new again.
  tx.sql(
        "INSERT INTO bundles (hash, content) VALUES (?, ?) ON CONFLICT (hash) DO UPDATE SET "
        "unreferenced_since = NULL WHERE unreferenced_since IS NOT NULL")
      .run(hash, Blob{content});
  return {};
}

Result<std::string> bundle(Transaction& tx, const BundleHash& hash) {
  auto query = tx.sql("SELECT content FROM bundles WHERE hash = ?");
  query.bind(hash);
  if (query.step()) return query.row().text();
  return fail(ErrorKind::kNotFound, fmt::format("there is no bundle {}", hash.value));
}

bool has_bundle(Transaction& tx, const BundleHash& hash) {
  auto query = tx.sql("SELECT 1 FROM bundles WHERE hash = ?");
  query.bind(hash);
  return query.step();
}

}  // namespace provisioner::sqlite
