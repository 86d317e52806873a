// migrate: what moves a store elsewhere, or another version into it. It needs no daemon.
#pragma once

#include "cli/command_line.hpp"
#include "cli/session.hpp"

namespace provisioner::cli {

void add_migrate_commands(CLI::App& noun, Session& session, const Programs& programs);

}  // namespace provisioner::cli
