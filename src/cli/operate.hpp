// Commands that become runs of a workspace.
#pragma once

#include <string>
#include <string_view>

#include "cli/session.hpp"

namespace provisioner::cli {

// "/api/v1/workspaces/shop<rest>"
std::string workspace_path(const std::string& workspace, std::string_view rest = "");

struct OperationOptions {
  std::string workspace;
  std::string mode;
  bool queue = false;
  bool detach = false;
  bool upgrade = false;
};

// Asks for the run and follows it, or prints its id. `verb` is the last piece of the route:
// "deploy", "destroy", which asks first. The outcome is session.code.
void operate(Session& session, const OperationOptions& options, std::string_view verb);

// POSTs `body` to `target`, whose answer is a run, and follows it, or prints its id.
void start_run(Session& session, const std::string& target, const std::string& body, bool detach);

}  // namespace provisioner::cli
