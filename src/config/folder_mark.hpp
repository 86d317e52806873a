// What a folder held when it was read last: enough to see, without parsing, that it holds it still.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/ids.hpp"

namespace provisioner {

struct FolderMark {
  std::string config_hash;  // of the configuration's text
  BundleHash own;           // of the rest; "" of a standalone job, which is its text alone
  std::vector<std::string> include;
};

// Blocking. False also for what cannot be read: whoever reads it again learns why.
bool holds_the_same(const std::filesystem::path& workspaces_dir, const WorkspaceName& name,
                    const FolderMark& mark);
bool holds_the_same(const std::filesystem::path& job_file, const FolderMark& mark);

}  // namespace provisioner
