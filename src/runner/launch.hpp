// The daemon's side of starting an attempt.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <string>

#include "base/error.hpp"
#include "base/ids.hpp"
#include "base/time.hpp"

namespace provisioner::runner {

struct GuardLaunch {
  std::filesystem::path guard;      // the program provisioner-guard
  std::filesystem::path runner;     // the program provisioner-runner
  std::filesystem::path socket;     // of this daemon
  std::filesystem::path directory;  // of the attempt; exists, with content/
  AttemptFence fence;
  // The guard ends everything that long after its start unless the runner has registered.
  Duration first_lease = std::chrono::seconds(60);
};

// Starts the guard in a session of its own, with none of our descriptors, nothing of our
// environment but PATH, and guard.log as its output. Returns its pid: the caller waits for it, or
// leaves it to init when the daemon ends. Call it from the main thread. Blocks for a millisecond.
Result<pid_t> launch_guard(const GuardLaunch& launch);

}  // namespace provisioner::runner
