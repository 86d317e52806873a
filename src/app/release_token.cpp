#include "app/release_token.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <fstream>

namespace provisioner {
namespace {

std::filesystem::path file_of(const std::filesystem::path& state_dir) {
  return state_dir / "leadership.token";
}

}  // namespace

Status ReleaseToken::set(const std::string& token) const {
  Status told;
  const std::string line = token + "\n";
  // Shorter than PIPE_BUF: whole or not at all. The parent reads at once, so it never fills up.
  if (pipe_ >= 0 && ::write(pipe_, line.data(), line.size()) < 0 && errno != EPIPE) {
    told = fail_errno("telling the parent how to free the leadership", errno);
  }
  if (token.empty()) {
    forget_release_token(state_dir_);
    return told;
  }
  const auto file = file_of(state_dir_);
  const auto fresh = file.string() + ".new";
  const int fd = ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return fail_errno(fmt::format("writing {}", fresh), errno);
  const bool written = ::write(fd, line.data(), line.size()) == static_cast<ssize_t>(line.size());
  const int error = errno;
  ::close(fd);
  if (!written) return fail_errno(fmt::format("writing {}", fresh), error);
  if (std::rename(fresh.c_str(), file.c_str()) != 0) {
    return fail_errno(fmt::format("writing {}", file.string()), errno);
  }
  return told;
}

Result<std::string> kept_release_token(const std::filesystem::path& state_dir) {
  errno = 0;
  std::ifstream file(file_of(state_dir));
  std::string token;
  if (!file && errno == ENOENT) return token;
  if (!file || !std::getline(file, token)) {
    return fail_errno(fmt::format("reading {}", file_of(state_dir).string()), errno);
  }
  return token;
}

void forget_release_token(const std::filesystem::path& state_dir) {
  std::error_code is_gone_anyway;
  std::filesystem::remove(file_of(state_dir), is_gone_anyway);
}

}  // namespace provisioner
