// Watching a run: its log on standard output, a live progress line on the terminal.
#pragma once

#include <string>

#include "base/error.hpp"
#include "cli/session.hpp"

namespace provisioner::cli {

// Streams the log of run `id` until it ends (reconnecting when the daemon restarts), says how it
// ended and returns the exit code. Ctrl-C detaches: the run goes on, and its name is told.
// With --output json the log goes to standard error and the run's JSON to standard output.
int follow_run(Session& session, const std::string& id);

// Prints what there is of its log by now. Returns the exit code.
int print_log(Session& session, const std::string& id);

}  // namespace provisioner::cli
