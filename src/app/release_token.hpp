// The token with which others free the leadership of a daemon that died (Election::release).
#pragma once

#include <filesystem>
#include <string>

#include "base/error.hpp"

namespace provisioner {

// Says it to the parent through `pipe` (-1: there is none), a line each, and keeps it in the state
// directory for `provisioner cluster release`.
class ReleaseToken {
 public:
  ReleaseToken(std::filesystem::path state_dir, int pipe)
      : state_dir_(std::move(state_dir)), pipe_(pipe) {}

  // "" = there is nothing to free. kIo: who waits for the ttl instead is told so.
  Status set(const std::string& token) const;

 private:
  std::filesystem::path state_dir_;
  int pipe_;
};

// What the last daemon of this state directory left; "" = nothing.
Result<std::string> kept_release_token(const std::filesystem::path& state_dir);

void forget_release_token(const std::filesystem::path& state_dir);

}  // namespace provisioner
