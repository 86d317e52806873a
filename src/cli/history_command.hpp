// workspace history: the ledger of a workspace's occurrences.
#pragma once

#include "cli/session.hpp"

namespace provisioner::cli {

void add_history_command(CLI::App& noun, Session& session);

}  // namespace provisioner::cli
