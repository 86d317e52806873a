// One workspace, from its folder to what is published.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "base/ids.hpp"
#include "config/bundle.hpp"
#include "config/workspace_file.hpp"
#include "model/workspace.hpp"
#include "model/workspace_spec.hpp"

namespace provisioner {

// What a *.tf, *.tofu or *.json file of the content says. The scanner lives in the room tofu; the
// caller passes it in.
struct ContentFacts {
  std::vector<ModuleSource> modules;   // ModuleSource::file may stay empty
  std::vector<std::string> variables;  // names of `variable` blocks
};
using ContentScan =
    std::function<Result<ContentFacts>(std::string_view path, std::string_view text)>;

struct LoadedWorkspace {
  WorkspaceSpec spec;
  Definition definition;
  std::string schedule_hash;
  std::string bundle;                           // bytes for Store::put_bundle(definition.bundle)
  std::vector<std::filesystem::path> included;  // absolute, for FolderWatcher::watch_also
  std::vector<std::string> warnings;
};

// Reads, parses, bundles and checks the folder `workspaces_dir`/`name`. Blocking: call it under
// Offload; calls for different workspaces may run in parallel if `scan` allows it.
// kUnavailable: the folder changed meanwhile, settle and repeat. kNotFound: the folder is gone.
// Others are for people and concern this workspace alone.
// An empty `scan` skips what only the content's own files can tell.
Result<LoadedWorkspace> load_workspace(const std::filesystem::path& workspaces_dir,
                                       const WorkspaceName& name, const ContentScan& scan);

}  // namespace provisioner
