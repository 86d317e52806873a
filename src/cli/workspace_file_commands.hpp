// workspace add | update: what edits a workspace's config.json, on this machine.
#pragma once

#include "cli/session.hpp"

namespace provisioner::cli {

void add_workspace_file_commands(CLI::App& noun, Session& session);

}  // namespace provisioner::cli
