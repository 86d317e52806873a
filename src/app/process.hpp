// What the daemon makes of its own process.
#pragma once

#include <string>

#include "base/error.hpp"

namespace provisioner {

// Not dumpable (no core with secrets, no ptrace by others of the same user), SIGPIPE ignored, as
// many descriptors as are allowed.
void harden_process();

// Takes the credentials of stores and elections out of this process's environment. Who needs them
// has read them before.
void remove_own_credentials();

// Tells systemd (sd_notify(3)): "READY=1", "STOPPING=1", "STATUS=...". Nothing without systemd.
void notify_systemd(const std::string& state);

}  // namespace provisioner
