// migrate: what moves a store elsewhere. It needs no daemon.
#pragma once

#include "cli/command_line.hpp"
#include "cli/session.hpp"

namespace provisioner::cli {

void add_migrate_commands(CLI::App& noun, Session& session, const Programs& programs);

}  // namespace provisioner::cli
