#include "store/import.hpp"

#include <fmt/format.h>

namespace provisioner {
namespace {

// So that a hold of an import is told from a person's.
std::string reason_of_hold(const ImportedWorkspace& imported) {
  return fmt::format("{}: {}", kImporter, imported.hold_reason);
}

bool is_held_by_import(const Workspace& workspace) {
  return workspace.held && workspace.hold_reason.starts_with(fmt::format("{}: ", kImporter));
}

Workspace without_hold(Workspace workspace) {
  workspace.held = false;
  workspace.hold_until.reset();
  workspace.hold_reason.clear();
  return workspace;
}

}  // namespace

std::string_view to_string(ImportFate fate) {
  switch (fate) {
    case ImportFate::kAdded: return "added";
    case ImportFate::kChanged: return "changed";
    case ImportFate::kUnchanged: return "unchanged";
    case ImportFate::kKept: return "kept";
  }
  return "";
}

Workspace after_import(const Workspace& published, const ImportedWorkspace& imported) {
  Workspace w = published;
  w.status = imported.status;
  w.mode = imported.mode;
  w.deployed_mode = imported.mode;
  w.detached = imported.detached;
  w.deployed.reset();
  if (may_have_resources(w) && imported.has_content) w.deployed = w.current;
  w.last_deployed = imported.last_deployed;
  w.last_destroyed = imported.last_destroyed;
  w.last_deploy_error = imported.last_deploy_error;
  w.last_destroy_error = imported.last_destroy_error;
  if (imported.hold_reason.empty()) return is_held_by_import(w) ? without_hold(std::move(w)) : w;
  if (w.held && !is_held_by_import(w)) return w;
  w.held = true;
  w.hold_until.reset();
  w.hold_reason = reason_of_hold(imported);
  return w;
}

bool is_published(const Workspace& before, const Definition& definition,
                  const ImportedWorkspace& imported) {
  return imported.detached && before.detached && before.current == definition;
}

bool changes_anything(const Workspace& before, const Workspace& after) {
  Workspace a = without_hold(before), b = without_hold(after);
  a.updated_at = b.updated_at;
  a.version = b.version;
  return a != b;
}

Job after_import(const std::optional<Job>& before, const Job& imported) {
  Job job = before.value_or(imported);
  job.status = imported.status;
  job.last_run = imported.last_run;
  job.last_success = imported.last_success;
  job.last_failure = imported.last_failure;
  job.last_error = imported.last_error;
  job.last_exit_code = imported.last_exit_code;
  job.run_count = imported.run_count;
  job.success_count = imported.success_count;
  job.failure_count = imported.failure_count;
  return job;
}

std::string kept_by_import(bool has_runs, const std::optional<StateVersion>& state,
                           const ImportedWorkspace& imported) {
  if (has_runs) return "runs of this version have worked on it";
  if (!state || state->written_by == kImporter) return "";
  if (imported.state && imported.state->meta.sha256 == state->meta.sha256) return "";
  return fmt::format("its state was written by {}", state->written_by);
}

}  // namespace provisioner
