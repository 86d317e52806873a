// `provisioner migrate copy`: no daemon has a part in it.
#pragma once

#include <string>

#include "base/error.hpp"
#include "cli/command_line.hpp"

namespace provisioner {

// What was copied, as JSON (docs/guide.md). Errors: of the settings and of copy_store().
Result<std::string> migrate_copy(const cli::CopyWish& wish);

}  // namespace provisioner
