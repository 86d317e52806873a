#include "runtime/directory_lock.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string>
#include <utility>

#include "base/text.hpp"

namespace provisioner {
namespace {

std::string read_pid(int descriptor) {
  std::array<char, 32> text{};
  const ssize_t size = pread(descriptor, text.data(), text.size(), 0);
  if (size <= 0) return "";
  return std::string(trim(std::string_view(text.data(), static_cast<std::size_t>(size))));
}

std::unexpected<Error> fail_io(const std::filesystem::path& file, int error_number) {
  return fail(ErrorKind::kIo, fmt::format("locking {}: {}", file.native(),
                                          std::generic_category().message(error_number)));
}

}  // namespace

Result<DirectoryLock> DirectoryLock::take(const std::filesystem::path& directory) {
  const auto file = directory / "provisioner.lock";
  const int descriptor = open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (descriptor < 0) return fail_io(file, errno);
  DirectoryLock lock(descriptor);
  if (flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return fail_io(file, errno);
    const std::string pid = read_pid(descriptor);
    return fail(ErrorKind::kConflict,
                fmt::format("another provisioner ({}) uses {}: stop it, or choose another state "
                            "directory",
                            pid.empty() ? "just starting" : "pid " + pid, directory.native()));
  }
  const std::string pid = fmt::format("{}\n", getpid());
  if (ftruncate(descriptor, 0) != 0 ||
      pwrite(descriptor, pid.data(), pid.size(), 0) != static_cast<ssize_t>(pid.size())) {
    return fail_io(file, errno);
  }
  return lock;
}

DirectoryLock::DirectoryLock(DirectoryLock&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)) {}

DirectoryLock::~DirectoryLock() {
  if (descriptor_ >= 0) close(descriptor_);  // nothing was written that could fail to arrive
}

}  // namespace provisioner
