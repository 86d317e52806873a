// One workspace, from its folder to what is published; and one standalone job, from its file.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "base/ids.hpp"
#include "config/bundle.hpp"
#include "config/content_check.hpp"
#include "config/workspace_file.hpp"
#include "model/workspace.hpp"
#include "model/workspace_spec.hpp"

namespace provisioner {

// A folder by itself, before its template is laid under it.
struct WorkspaceFolder {
  std::string shown;           // "workspaces/shop", for messages
  std::filesystem::path path;  // absolute
  ParsedWorkspace parsed;
  std::string config_hash;  // of the configuration's text
  Bundle own;
  std::vector<std::filesystem::path> included;  // absolute
  // The template whose files belong to the content; "" = none is named, or the folder's own tofu
  // files win over it (overlay.hpp).
  std::string wanted_template;
};

// A template's content, as the store has it.
struct TemplateContent {
  BundleHash hash;
  std::shared_ptr<const std::string> bytes;
};

struct LoadedWorkspace {
  WorkspaceSpec spec;
  Definition definition;
  std::string schedule_hash;
  std::string bundle;          // bytes for Store::put_bundle(definition.bundle)
  BundleHash template_bundle;  // of the template whose files are in it; "" = none are
  BundleHash own_bundle;       // of the folder alone
  std::vector<std::filesystem::path> included;  // absolute, for FolderWatcher::watch_also
  std::vector<std::string> warnings;
};

// Reads, parses and bundles the folder `workspaces_dir`/`name`. Blocking: call it under Offload;
// calls for different workspaces may run in parallel.
// kUnavailable: the folder changed meanwhile, settle and repeat. kNotFound: the folder is gone.
// Others are for people and concern this workspace alone.
Result<WorkspaceFolder> read_workspace_folder(const std::filesystem::path& workspaces_dir,
                                              const WorkspaceName& name);

// The same as if config.json held `config`: whether a change of it would do.
Result<WorkspaceFolder> read_workspace_folder_with(const std::filesystem::path& workspaces_dir,
                                                   const WorkspaceName& name,
                                                   std::string_view config);

// Lays the folder over `base`, the content of its wanted template, and checks the whole. Without
// `base`, a folder that wants one is not checked, and a warning says so. Blocking; calls may run in
// parallel if `scan` allows it. An empty `scan` skips what only the content's own files can tell.
Result<LoadedWorkspace> load_workspace(WorkspaceFolder folder, const ContentScan& scan,
                                       const TemplateContent* base);

// Both, where no store is at hand.
Result<LoadedWorkspace> load_workspace(const std::filesystem::path& workspaces_dir,
                                       const WorkspaceName& name, const ContentScan& scan);

// The same of the file `jobs_dir`/`job`.json: its content is empty.
Result<WorkspaceFolder> read_standalone_job(const std::filesystem::path& jobs_dir,
                                            const JobName& job);
LoadedWorkspace load_standalone_job(WorkspaceFolder file);

}  // namespace provisioner
