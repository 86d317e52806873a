// Who uses a template. Pure.
#pragma once

#include <string>
#include <vector>

#include "base/ids.hpp"
#include "model/template.hpp"
#include "model/workspace.hpp"

namespace provisioner {

struct TemplateUser {
  WorkspaceName workspace;
  std::string job;         // that deploys it; "" = the workspace itself is made of it
  bool is_current = true;  // of a workspace itself: it has the present content

  friend bool operator==(const TemplateUser&, const TemplateUser&) = default;
};

// In the order of `workspaces`. A workspace whose own tofu files win over the template it names
// uses it all the same: it would be made of it without them.
std::vector<TemplateUser> users_of(const Template& row, const std::vector<Workspace>& workspaces);

// "shop", "shop (job site)".
std::string shown(const TemplateUser& user);

}  // namespace provisioner
