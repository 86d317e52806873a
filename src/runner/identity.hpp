// Where the processes of this attempt live, as the daemon records it.
#pragma once

#include <sys/types.h>

#include <string>

#include "model/run.hpp"

namespace provisioner::runner {

// Of the machine, the boot and the pid namespace of this process, with `guard` as the guard.
ProcessIdentity identity_of(pid_t guard, const std::string& directory);

}  // namespace provisioner::runner
