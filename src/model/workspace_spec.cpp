#include "model/workspace_spec.hpp"

#include <set>

namespace provisioner {

std::vector<std::string> WorkspaceSpec::modes() const {
  std::set<std::string> names;
  for (const auto& rule : rules) {
    if (!rule.mode.empty()) names.insert(rule.mode);
  }
  return {names.begin(), names.end()};
}

}  // namespace provisioner
