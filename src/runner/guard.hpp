// The guard of an attempt: the parent of the runner and the subreaper of everything the attempt
// starts. It ends the attempt in time, whatever happens (guard_plan.hpp decides), and leaves an
// exit record once nothing of it lives. After the start it uses no heap, no network, no store.
#pragma once

#include <string>

#include "base/ids.hpp"
#include "base/time.hpp"

namespace provisioner::runner {

struct GuardOptions {
  std::string runner;     // the program provisioner-runner
  std::string socket;     // of the daemon, for the runner
  std::string directory;  // of the attempt
  RunId run;
  Attempt attempt;
  // Until the runner has registered and knows the lease: everything ends that long after the start.
  Duration first_lease = std::chrono::seconds(60);
};

// The body of `provisioner-guard guard`. Takes the claim from the environment variable
// PROVISIONER_CLAIM, hands it to the runner and wipes it. Returns the process's exit code: 0 when
// the set is proved empty, however the runner ended; 1 when the runner could not be started.
int run_guard(const GuardOptions& options);

}  // namespace provisioner::runner
