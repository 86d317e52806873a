// The folders of workspaces/.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "base/ids.hpp"

namespace provisioner {

struct FolderProblem {
  std::string folder;   // the name as it stands on disk
  std::string message;  // "workspaces/my shop: ... rename the folder, for example to my-shop"
};

struct FolderScan {
  std::vector<WorkspaceName> workspaces;  // by name
  std::vector<FolderProblem> problems;
};

// One level, blocking. Hidden entries and plain files are not workspaces; a stray *.json or *.tf
// there is a problem, since somebody meant something by it. kNotFound when the directory is
// missing.
Result<FolderScan> scan_workspaces(const std::filesystem::path& workspaces_dir);

}  // namespace provisioner
