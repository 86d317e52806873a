#include "runner/say.hpp"

#include <fmt/format.h>
#include <unistd.h>

namespace provisioner::runner {

void say(std::string_view sentence) {
  const std::string line = fmt::format("runner: {}\n", sentence);
  if (::write(STDERR_FILENO, line.data(), line.size()) < 0) return;  // nobody left to tell
}

}  // namespace provisioner::runner
