// What the daemon makes of its own process.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "base/error.hpp"
#include "base/time.hpp"

namespace provisioner {

// Not dumpable (no core with secrets, no ptrace by others of the same user), SIGPIPE ignored, as
// many descriptors as are allowed.
void harden_process();

// Takes the credentials of stores and elections out of this process's environment. Who needs them
// has read them before.
void remove_own_credentials();

// Where this program stands, and with it those that it starts.
std::filesystem::path own_directory();

// Tells systemd (sd_notify(3)): "READY=1", "STOPPING=1", "STATUS=...". Nothing without systemd.
void notify_systemd(const std::string& state);

// How often systemd wants to hear "WATCHDOG=1" of this process, or it kills it (WatchdogSec=);
// nothing where it does not watch.
std::optional<Duration> systemd_watchdog();

}  // namespace provisioner
