#include "tests/support/mounted_over.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <stdexcept>
#include <utility>
#include <vector>

namespace provisioner::testing {
namespace {

bool write_text(const char* file, const std::string& text) {
  std::ofstream stream(file);
  stream << text << std::flush;
  return stream.good();
}

// Moves this process into namespaces of its own.
std::string enter_own_namespaces() {
  const uid_t user = geteuid();
  const gid_t group = getegid();
  const int namespaces = user == 0 ? CLONE_NEWNS : CLONE_NEWNS | CLONE_NEWUSER;
  if (unshare(namespaces) != 0) {
    return fmt::format("this machine permits no mount namespace: {}", std::strerror(errno));
  }
  if (user != 0 && !(write_text("/proc/self/setgroups", "deny") &&
                     write_text("/proc/self/uid_map", fmt::format("0 {} 1", user)) &&
                     write_text("/proc/self/gid_map", fmt::format("0 {} 1", group)))) {
    return "this machine permits no user namespace";
  }
  // Nothing of it reaches the rest of the machine.
  if (mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    return fmt::format("this machine permits no private mounts: {}", std::strerror(errno));
  }
  return "";
}

void must(int result, const std::string& doing) {
  if (result != 0) throw std::runtime_error(doing + ": " + std::strerror(errno));
}

}  // namespace

std::string MountedOver::why_impossible() {
  static const std::string reason = enter_own_namespaces();
  return reason;
}

MountedOver MountedOver::small(const std::filesystem::path& directory, std::size_t bytes) {
  must(mount("tmpfs", directory.c_str(), "tmpfs", 0, fmt::format("size={}", bytes).c_str()),
       "mounting a small filesystem");
  return MountedOver(directory);
}

MountedOver MountedOver::read_only(const std::filesystem::path& directory) {
  must(mount(directory.c_str(), directory.c_str(), nullptr, MS_BIND, nullptr), "binding");
  MountedOver mounted(directory);
  must(mount(nullptr, directory.c_str(), nullptr,
             MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV, nullptr),
       "taking the right to write");
  return mounted;
}

MountedOver::MountedOver(MountedOver&& other) noexcept
    : directory_(std::exchange(other.directory_, {})) {}

MountedOver::~MountedOver() {
  if (!directory_.empty()) umount2(directory_.c_str(), MNT_DETACH);
}

void fill_up(const std::filesystem::path& file) {
  const int fd = open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (fd < 0) throw std::runtime_error("filling up: " + std::string(std::strerror(errno)));
  // Smaller and smaller pieces, so that not a page is left.
  for (std::size_t size = std::size_t{1} << 20; size > 0; size /= 2) {
    const std::vector<char> piece(size, 'x');
    while (write(fd, piece.data(), size) > 0) {
    }
  }
  const int reason = errno;
  close(fd);
  if (reason != ENOSPC) throw std::runtime_error("filling up: " + std::string(strerror(reason)));
}

}  // namespace provisioner::testing
