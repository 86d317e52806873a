// The runner of an attempt: it registers with its daemon, renews the lease, runs the steps, hands
// over log and states, reports the result. One loop on the main thread.
#pragma once

#include <string>

#include "base/ids.hpp"
#include "base/time.hpp"

namespace provisioner::runner {

struct RunnerOptions {
  std::string socket;     // of the daemon
  std::string directory;  // of the attempt
  RunId run;
  Attempt attempt;
  ClaimId claim;
  int line = -1;     // to the guard
  int starter = -1;  // the program provisioner-guard, for its role exec-child
  Duration first_lease = std::chrono::seconds(60);
};

// The body of `provisioner-runner run`. Returns when the result was accepted, or nobody wants it
// any more, and no process of the attempt but the guard lives. The exit code is 0 then; 1 when the
// attempt could not begin, or its result could not be delivered before the lease ended.
int run_runner(RunnerOptions options);

}  // namespace provisioner::runner
