// The folders of workspaces/, and the files of jobs/.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "base/ids.hpp"

namespace provisioner {

struct FolderProblem {
  std::string folder;   // the name as it stands on disk; of a job its file's
  std::string message;  // "workspaces/my shop: ... rename the folder, for example to my-shop"
};

struct FolderScan {
  std::vector<WorkspaceName> workspaces;  // by name; of a standalone job its home
  std::vector<FolderProblem> problems;
};

// One level, blocking. Hidden entries and plain files are not workspaces; a stray *.json or *.tf
// there is a problem, since somebody meant something by it. kNotFound when the directory is
// missing.
Result<FolderScan> scan_workspaces(const std::filesystem::path& workspaces_dir);

// The *.json files of jobs/. Hidden entries and other files are none; a folder there is a problem.
// kNotFound when the directory is missing.
Result<FolderScan> scan_standalone_jobs(const std::filesystem::path& jobs_dir);

}  // namespace provisioner
