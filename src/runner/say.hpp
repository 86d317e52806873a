// What the runner says of itself. The last line becomes its last words for the daemon.
#pragma once

#include <string_view>

namespace provisioner::runner {

// "runner: <sentence>" on standard error. Never fails: where that is a file on a full disk, the
// words are lost, and nothing else is.
void say(std::string_view sentence);

}  // namespace provisioner::runner
