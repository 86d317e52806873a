// workspace remove: forgets a workspace, and puts its folder aside if told to.
#pragma once

#include "cli/session.hpp"

namespace provisioner::cli {

void add_remove_command(CLI::App& noun, Session& session);

}  // namespace provisioner::cli
