#include "config/files.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace provisioner {
namespace {

bool is_same_version(const struct stat& a, const struct stat& b) {
  return a.st_size == b.st_size && a.st_mtim.tv_sec == b.st_mtim.tv_sec &&
         a.st_mtim.tv_nsec == b.st_mtim.tv_nsec && a.st_ctim.tv_sec == b.st_ctim.tv_sec &&
         a.st_ctim.tv_nsec == b.st_ctim.tv_nsec;
}

}  // namespace

Descriptor& Descriptor::operator=(Descriptor&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

Descriptor::~Descriptor() {
  if (fd_ >= 0) ::close(fd_);
}

int Descriptor::release() { return std::exchange(fd_, -1); }

Status append_file(int folder_fd, const char* name, bool follow, std::size_t most,
                   const std::string& shown, std::string& content) {
  // Not blocking: a named pipe put in the file's place must not stop the reader.
  const int flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | (follow ? 0 : O_NOFOLLOW);
  const Descriptor file(::openat(folder_fd, name, flags));
  const auto doing = [&] { return fmt::format("reading {}", shown); };
  if (!file.is_open()) return fail_errno(doing(), errno);
  struct stat before{};
  if (::fstat(file.get(), &before) != 0) return fail_errno(doing(), errno);
  if (!S_ISREG(before.st_mode)) {
    return fail(ErrorKind::kInvalid, fmt::format("{} is not a file", shown));
  }
  const auto size = static_cast<std::size_t>(before.st_size);
  if (size > most) {
    return fail(ErrorKind::kInvalid, fmt::format("{} has {:.1f} MB, at most {:.1f} MB are read",
                                                 shown, static_cast<double>(size) / 1048576.0,
                                                 static_cast<double>(most) / 1048576.0));
  }
  const auto begin = content.size();
  content.resize(begin + size);
  std::size_t done = 0;
  while (done < size) {
    const auto count = ::read(file.get(), content.data() + begin + done, size - done);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail_errno(doing(), errno);
    if (count == 0) break;
    done += static_cast<std::size_t>(count);
  }
  struct stat after{};
  if (::fstat(file.get(), &after) != 0) return fail_errno(doing(), errno);
  if (done != size || !is_same_version(before, after)) {
    content.resize(begin);
    return fail(ErrorKind::kUnavailable, fmt::format("{} changed while it was read", shown));
  }
  return {};
}

}  // namespace provisioner
