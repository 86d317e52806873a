// Which files of a folder are not content.
//
// `.provisionerignore` understands what most people use of .gitignore: `#` comments, blank lines,
// `*` and `?` (not across '/'), `**`, a leading '/' or a '/' in the middle (relative to the
// folder), a trailing '/' (folders only), a leading '!' (content after all; the last matching line
// wins). Below an ignored folder nothing is looked at.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace provisioner {

// What never is content: .git, .terraform, *.tfstate*, *.tfplan, editor temporaries. `name` is the
// last part of a path.
bool is_never_content(std::string_view name, bool is_folder);

class IgnorePatterns {
 public:
  IgnorePatterns() = default;
  explicit IgnorePatterns(std::string_view file_text);

  // `path` is relative to the folder, with '/'.
  bool ignores(std::string_view path, bool is_folder) const;

 private:
  struct Pattern {
    std::string glob;
    bool anchored = false, folders_only = false, negated = false;
  };
  std::vector<Pattern> patterns_;
};

}  // namespace provisioner
