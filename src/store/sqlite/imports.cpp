#include "store/sqlite/imports.hpp"

#include <algorithm>

#include "store/sqlite/jobs.hpp"
#include "store/sqlite/records.hpp"
#include "store/sqlite/states.hpp"
#include "store/sqlite/templates.hpp"
#include "store/sqlite/workspaces.hpp"

namespace provisioner::sqlite {
namespace {

bool has_runs(Transaction& tx, const WorkspaceName& name) {
  auto query = tx.sql("SELECT 1 FROM runs WHERE workspace = ? LIMIT 1");
  query.bind(name);
  return query.step();
}

// Whether there is a new version.
Result<bool> import_state(Transaction& tx, const ImportRequest::Item& item,
                          const std::optional<StateVersion>& current, Instant now) {
  const auto& state = item.workspace.state;
  if (!state || (current && current->meta.sha256 == state->meta.sha256)) return false;
  const StateSlot slot{.workspace = item.publication.workspace, .job = ""};
  const auto written = push_state(tx, slot, state->meta, state->body, std::string(kImporter), now);
  if (!written) return std::unexpected(written.error());
  return true;
}

// Whether a row is new, or another one.
Result<bool> import_jobs(Transaction& tx, const ImportRequest::Item& item, Instant now) {
  if (item.workspace.jobs.empty()) return false;
  const auto present = jobs(tx, item.publication.workspace);
  if (!present) return std::unexpected(present.error());
  bool changed = false;
  for (const Job& imported : item.workspace.jobs) {
    const auto found = std::ranges::find(*present, imported.name, &Job::name);
    const auto before = found == present->end() ? std::nullopt : std::optional(*found);
    const Job after = after_import(before, imported);
    if (before == after) continue;
    save_job(tx, after, now);
    changed = true;
  }
  return changed;
}

Status import_template(Transaction& tx, const ImportedTemplate& imported) {
  const auto present = template_named(tx, imported.row.name);
  if (present) return {};
  if (present.error().kind != ErrorKind::kNotFound) return std::unexpected(present.error());
  if (auto put = put_bundle(tx, imported.row.bundle, imported.content); !put) return put;
  const auto row = put_template(tx, imported.row);
  if (!row) return std::unexpected(row.error());
  return {};
}

Result<ImportOutcome> import_workspace(Transaction& tx, const ImportRequest::Item& item,
                                       Instant now) {
  const WorkspaceName& name = item.publication.workspace;
  const StateSlot slot{.workspace = name, .job = ""};
  const Result<Workspace> before = workspace(tx, name);
  const auto current = current_state(tx, slot);
  if (!current) return std::unexpected(current.error());
  if (auto kept = kept_by_import(has_runs(tx, name), *current, item.workspace); !kept.empty()) {
    return ImportOutcome{name, ImportFate::kKept, std::move(kept)};
  }
  if (auto put = put_bundle(tx, item.publication.definition.bundle, item.workspace.bundle); !put) {
    return std::unexpected(put.error());
  }
  const bool is_there =
      before && is_published(*before, item.publication.definition, item.workspace);
  const auto published = is_there ? before : publish(tx, item.publication, now);
  if (!published) return std::unexpected(published.error());
  const Workspace after = after_import(*published, item.workspace);
  const bool new_lock_file =
      !item.workspace.lock_file.empty() && lock_file(tx, name) != item.workspace.lock_file;
  const auto new_state = import_state(tx, item, *current, now);
  if (!new_state) return std::unexpected(new_state.error());
  const auto new_jobs = import_jobs(tx, item, now);
  if (!new_jobs) return std::unexpected(new_jobs.error());
  const bool changes =
      !before || *new_state || *new_jobs || new_lock_file || changes_anything(*before, after);
  if (!changes) return ImportOutcome{name, ImportFate::kUnchanged, ""};
  if (new_lock_file) set_lock_file(tx, name, item.workspace.lock_file);
  // The state's own writing moved the row already.
  const Result<Workspace> row = workspace(tx, name);
  if (!row) return std::unexpected(row.error());
  Workspace target = after;
  target.version = row->version;
  target.updated_at = row->updated_at;
  save_workspace(tx, *row, std::move(target), now);
  outdate_plans(tx, name);
  tx.sql("UPDATE schedules SET cursor = max(cursor, ?) WHERE workspace = ?")
      .run(item.publication.first_cursor, name);
  return ImportOutcome{name, before ? ImportFate::kChanged : ImportFate::kAdded, ""};
}

}  // namespace

Result<std::vector<ImportOutcome>> import_installation(Transaction& tx,
                                                       const ImportRequest& request, Instant now) {
  for (const auto& imported : request.templates) {
    if (auto done = import_template(tx, imported); !done) return std::unexpected(done.error());
  }
  std::vector<ImportOutcome> outcomes;
  for (const auto& item : request.items) {
    auto outcome = import_workspace(tx, item, now);
    if (!outcome) return std::unexpected(outcome.error());
    outcomes.push_back(std::move(*outcome));
  }
  if (const auto noted = setting_or_insert(tx, "imported_from", request.source); !noted) {
    return std::unexpected(noted.error());
  }
  return outcomes;
}

Result<std::string> imported_from(Transaction& tx) {
  auto query = tx.sql("SELECT value FROM cluster_settings WHERE key = 'imported_from'");
  return query.step() ? query.row().text() : "";
}

}  // namespace provisioner::sqlite
