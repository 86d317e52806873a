// workspace validate: what the daemon would say of a folder, without a daemon.
#pragma once

#include "cli/session.hpp"

namespace provisioner::cli {

void add_validate_command(CLI::App& noun, Session& session);

}  // namespace provisioner::cli
