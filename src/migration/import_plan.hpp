// What each workspace of an old installation becomes, and why.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "base/ids.hpp"
#include "config/loader.hpp"
#include "migration/old_installation.hpp"
#include "store/store.hpp"

namespace provisioner::migration {

// The sentence and the place that a status has afterwards.
struct Decision {
  WorkspaceStatus status = WorkspaceStatus::kPending;
  std::string deploy_error, destroy_error;
  std::vector<std::string> holds;  // why nothing may happen by itself
  std::vector<std::string> notes;  // what a person should know
};

// Compares what scheduler.json says with what terraform.tfstate says. Pure.
Decision decide(const OldWorkspace& old, bool own_backend);

// "3 resources", "no resources", "no terraform.tfstate", "cannot be read".
std::string witness_of(const OldWorkspace& old);

struct ImportEntry {
  WorkspaceName workspace;
  std::string old_status;  // "" = unknown to scheduler.json
  std::string witness;
  std::vector<std::string> notes;  // the reasons of a hold first
};

struct ImportPlan {
  std::vector<ImportedTemplate> templates;  // that the store has not
  std::vector<ImportRequest::Item> items;
  std::vector<ImportEntry> entries;   // beside the items
  std::vector<std::string> problems;  // of what is not imported at all
};

struct ImportPlanOptions {
  std::filesystem::path workspaces_dir;
  std::filesystem::path jobs_dir;  // of standalone jobs
  InstanceId reporter;  // in whose name the daemon will publish the folders
  // That the store has already: they count, not the old ones of their names.
  std::map<std::string, TemplateContent> templates;
  Instant now;
};

// Reads the folders of `workspaces_dir`, and decides. All workspaces of both: a folder that the old
// version never deployed must not be a surprise either. Blocking.
Result<ImportPlan> plan_import(const OldInstallation& old, const ImportPlanOptions& options);

}  // namespace provisioner::migration
