// `provisioner migrate import`: no daemon has a part in it.
#pragma once

#include <string>

#include "base/error.hpp"
#include "cli/command_line.hpp"

namespace provisioner {

// What was imported, as JSON (docs/coming-from-the-file-based-version.md). kConflict while a daemon
// uses the store; else the errors of settings, store and files.
Result<std::string> migrate_import(const cli::ImportWish& wish);

}  // namespace provisioner
