// What the files of a workspace say that matters before tofu reads them. A scanner of blocks, no
// evaluator: it knows comments, strings with templates and heredocs, and understands nothing else.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"

namespace provisioner::tofu {

struct ContentFile {
  std::string name;  // relative to the workspace, for messages
  std::string_view text;
};

struct ModuleSource {
  std::string file;
  std::int64_t line = 0;  // of the source argument; 0 in JSON files
  std::string source;

  // "./x" and "../x"; everything else is fetched from somewhere.
  bool is_local() const { return source.starts_with("./") || source.starts_with("../"); }
  friend bool operator==(const ModuleSource&, const ModuleSource&) = default;
};

struct ContentFacts {
  std::optional<std::string> backend;        // the kind in `terraform { backend "<kind>" {} }`
  bool cloud = false;                        // `terraform { cloud {} }`
  std::vector<ModuleSource> modules;         // in order of appearance
  std::set<std::string> variables;           // declared input variables
  std::set<std::string> required_providers;  // local names in `terraform { required_providers {} }`

  bool keeps_own_state() const { return backend.has_value() || cloud; }
};

// "*.tf", "*.tofu", "*.tf.json" or "*.tofu.json". Files of other names are not content.
bool is_content_file(std::string_view name);

// kInvalid with file and line when a string, comment, heredoc or block never ends, or a JSON
// file is none. A file that is well-formed for the scanner may still be an error for tofu.
Result<ContentFacts> scan_content(std::span<const ContentFile> files);

}  // namespace provisioner::tofu
