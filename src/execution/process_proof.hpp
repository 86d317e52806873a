// Proof that the processes of an attempt are dead. It concerns the whole set
// (runner/process_set.hpp says who belongs to it), not one pid: tofu outlives a killed parent, and
// a local-exec child outlives a killed tofu. Everything here reads /proc and blocks: call it behind
// Offload.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

#include "base/error.hpp"
#include "base/ids.hpp"
#include "base/time.hpp"

namespace provisioner::execution {

// Where a daemon lives. Only the same machine, boot and pid namespace may speak about the death of
// processes.
struct Habitat {
  std::string machine_id;     // "" when the machine has none
  std::string boot_id;        // "" when it cannot be read
  std::string pid_namespace;  // "pid:[4026531836]", as ProcessIdentity has it
  bool container = false;     // a changed boot id then proves nothing
};
Habitat this_habitat();

// Start time in clock ticks since boot; kNotFound when no such process lives (a zombie does not).
Result<std::int64_t> start_time_of(pid_t pid);

bool is_process_set_empty(const RunId& run, Attempt attempt);

// Kills the attempt's processes with SIGKILL until none is left, looking again each time because a
// process may fork between the look and the blow. Returns in how many looks something lived.
// kTimeout names one that lives on (e.g. in uninterruptible sleep): the attempt must then not be
// reported as dead.
Result<std::int64_t> kill_process_set(const RunId& run, Attempt attempt, Duration patience);

}  // namespace provisioner::execution
