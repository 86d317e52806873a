// `provisioner serve`: from flags to a running daemon, and to its exit code.
#pragma once

#include <map>
#include <string>

namespace provisioner {

// Returns when the daemon has stopped: 0 after SIGTERM or SIGINT, 2 for wrong settings, 4 when
// another daemon uses the same state directory, 1 for anything else that keeps it from starting.
// What is wrong has been said on standard error.
int serve(std::map<std::string, std::string> flags);

// `provisioner cluster release`: frees the leadership of this state directory's daemon, which is
// dead. For a service manager after the daemon's end. 0 when there was nothing to free, too; 4 when
// a daemon lives here.
int release_leadership(std::map<std::string, std::string> flags);

}  // namespace provisioner
