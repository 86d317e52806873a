#include "store/postgres/imports.hpp"

#include <algorithm>

#include "store/postgres/jobs.hpp"
#include "store/postgres/records.hpp"
#include "store/postgres/states.hpp"
#include "store/postgres/templates.hpp"
#include "store/postgres/workspaces.hpp"

namespace provisioner::postgres {
namespace {

// Whether there is a new version.
Task<Result<bool>> import_state(Transaction& tx, const ImportRequest::Item& item,
                                const std::optional<StateVersion>& current, Instant now) {
  const auto& state = item.workspace.state;
  if (!state || (current && current->meta.sha256 == state->meta.sha256)) co_return false;
  const StateSlot slot{.workspace = item.publication.workspace, .job = ""};
  const auto written =
      co_await push_state(tx, slot, state->meta, state->body, std::string(kImporter), now);
  if (!written) co_return std::unexpected(written.error());
  co_return true;
}

// Whether a row is new, or another one.
Task<Result<bool>> import_jobs(Transaction& tx, const ImportRequest::Item& item, Instant now) {
  if (item.workspace.jobs.empty()) co_return false;
  const auto present = co_await jobs(tx, item.publication.workspace);
  if (!present) co_return std::unexpected(present.error());
  bool changed = false;
  for (const Job& imported : item.workspace.jobs) {
    const auto found = std::ranges::find(*present, imported.name, &Job::name);
    const auto before = found == present->end() ? std::nullopt : std::optional(*found);
    const Job after = after_import(before, imported);
    if (before == after) continue;
    save_job(tx, after, now);
    changed = true;
  }
  co_return changed;
}

Task<Status> import_template(Transaction& tx, const ImportedTemplate& imported) {
  const auto present = co_await template_named(tx, imported.row.name);
  if (present) co_return Status();
  if (present.error().kind != ErrorKind::kNotFound) co_return std::unexpected(present.error());
  if (auto put = co_await put_bundle(tx, imported.row.bundle, imported.content); !put) {
    co_return put;
  }
  const auto row = co_await put_template(tx, imported.row);
  if (!row) co_return std::unexpected(row.error());
  co_return Status();
}

Task<Result<ImportOutcome>> import_workspace(Transaction& tx, const ImportRequest::Item& item,
                                             Instant now) {
  const WorkspaceName& name = item.publication.workspace;
  const StateSlot slot{.workspace = name, .job = ""};
  const Result<Workspace> before = co_await lock_workspace(tx, name);
  const auto current = co_await current_state(tx, slot);
  if (!current) co_return std::unexpected(current.error());
  const bool has_runs =
      !(co_await tx.query("SELECT 1 FROM runs WHERE workspace = $1 LIMIT 1", name)).empty();
  if (auto kept = kept_by_import(has_runs, *current, item.workspace); !kept.empty()) {
    co_return ImportOutcome{name, ImportFate::kKept, std::move(kept)};
  }
  if (auto put = co_await put_bundle(tx, item.publication.definition.bundle, item.workspace.bundle);
      !put) {
    co_return std::unexpected(put.error());
  }
  const bool is_there =
      before && is_published(*before, item.publication.definition, item.workspace);
  const auto published = is_there ? before : co_await publish(tx, item.publication, now);
  if (!published) co_return std::unexpected(published.error());
  const Workspace after = after_import(*published, item.workspace);
  bool new_lock_file = false;
  if (!item.workspace.lock_file.empty()) {
    const auto present = co_await lock_file(tx, name);
    if (!present) co_return std::unexpected(present.error());
    new_lock_file = *present != item.workspace.lock_file;
  }
  const auto new_state = co_await import_state(tx, item, *current, now);
  if (!new_state) co_return std::unexpected(new_state.error());
  const auto new_jobs = co_await import_jobs(tx, item, now);
  if (!new_jobs) co_return std::unexpected(new_jobs.error());
  const bool changes =
      !before || *new_state || *new_jobs || new_lock_file || changes_anything(*before, after);
  if (!changes) co_return ImportOutcome{name, ImportFate::kUnchanged, ""};
  if (new_lock_file) set_lock_file(tx, name, item.workspace.lock_file);
  // The state's own writing moved the row already.
  const Result<Workspace> row = co_await lock_workspace(tx, name);
  if (!row) co_return std::unexpected(row.error());
  Workspace target = after;
  target.version = row->version;
  target.updated_at = row->updated_at;
  save_workspace(tx, *row, std::move(target), now);
  outdate_plans(tx, name);
  tx.send("UPDATE schedules SET cursor = greatest(cursor, $1) WHERE workspace = $2",
          item.publication.first_cursor, name);
  co_return ImportOutcome{name, before ? ImportFate::kChanged : ImportFate::kAdded, ""};
}

}  // namespace

Task<Result<std::vector<ImportOutcome>>> import_installation(Transaction& tx,
                                                             const ImportRequest& request,
                                                             Instant now) {
  for (const auto& imported : request.templates) {
    if (auto done = co_await import_template(tx, imported); !done) {
      co_return std::unexpected(done.error());
    }
  }
  std::vector<ImportOutcome> outcomes;
  for (const auto& item : request.items) {
    auto outcome = co_await import_workspace(tx, item, now);
    if (!outcome) co_return std::unexpected(outcome.error());
    outcomes.push_back(std::move(*outcome));
  }
  const auto noted = co_await setting_or_insert(tx, "imported_from", request.source);
  if (!noted) co_return std::unexpected(noted.error());
  co_return outcomes;
}

Task<Result<std::string>> imported_from(Transaction& tx) {
  const Rows rows =
      co_await tx.query("SELECT value FROM cluster_settings WHERE key = 'imported_from'");
  co_return rows.empty() ? std::string() : rows[0].text();
}

}  // namespace provisioner::postgres
