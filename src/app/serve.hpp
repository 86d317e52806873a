// `provisioner serve`: from flags to a running daemon, and to its exit code.
#pragma once

#include <map>
#include <string>

namespace provisioner {

// Returns when the daemon has stopped: 0 after SIGTERM or SIGINT, 2 for wrong settings, 4 when
// another daemon uses the same state directory, 1 for anything else that keeps it from starting.
// What is wrong has been said on standard error.
int serve(std::map<std::string, std::string> flags);

}  // namespace provisioner
