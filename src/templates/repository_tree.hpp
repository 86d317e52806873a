// Whether a folder of a commit can be a template's content, found before anything is written. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"

namespace provisioner {

struct TreeEntry {
  std::string mode;  // "100644", "040000", "120000" a link, "160000" a submodule
  std::string id;
  std::size_t size = 0;  // of a file
  std::string path;      // from the top of the repository

  bool is_folder() const { return mode == "040000"; }
  bool is_link() const { return mode == "120000"; }
  bool is_submodule() const { return mode == "160000"; }
};

// What `git ls-tree -r -t -l -z` prints. kCorrupt.
Result<std::vector<TreeEntry>> parse_tree(std::string_view printed);

// `path` ("" = the top) is a folder with tofu files, without submodules, of at most 64 MB. kInvalid
// says which of it is not so, and where tofu files are instead.
Status check_tree(const std::vector<TreeEntry>& entries, const std::string& path);

// The id of the folder `path`; "" when there is none.
std::string folder_id(const std::vector<TreeEntry>& entries, const std::string& path);

}  // namespace provisioner
