// The attempt's secret on its way from the daemon to the runner: an environment variable, wiped as
// soon as it was read, because children of the same user could read /proc/<pid>/environ.
#pragma once

#include "base/ids.hpp"

namespace provisioner::runner {

inline constexpr const char* kClaimVariable = "PROVISIONER_CLAIM";

// Reads and wipes. Empty when there is none.
ClaimId take_claim();

// Overwrites the value where the kernel shows it, and removes the variable.
void wipe_claim();

}  // namespace provisioner::runner
