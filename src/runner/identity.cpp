#include "runner/identity.hpp"

#include <fmt/format.h>

#include <charconv>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "base/text.hpp"

namespace provisioner::runner {
namespace {

std::string first_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

// Field 22 of /proc/<pid>/stat; fields count from the end of the name, which may hold anything.
std::int64_t start_of(pid_t pid) {
  std::ifstream file(fmt::format("/proc/{}/stat", pid));
  const std::string text(std::istreambuf_iterator<char>(file), {});
  const auto name_end = text.rfind(')');
  if (name_end == std::string::npos) return 0;
  const auto fields = split(trim(std::string_view(text).substr(name_end + 1)), ' ');
  constexpr std::size_t kStart = 22 - 3;
  std::int64_t start = 0;
  if (fields.size() > kStart) {
    std::from_chars(fields[kStart].data(), fields[kStart].data() + fields[kStart].size(), start);
  }
  return start;
}

}  // namespace

ProcessIdentity identity_of(pid_t guard, const std::string& directory) {
  ProcessIdentity identity;
  identity.machine_id = first_line("/etc/machine-id");
  identity.boot_id = first_line("/proc/sys/kernel/random/boot_id");
  std::error_code unreadable_stays_empty;
  identity.pid_namespace =
      std::filesystem::read_symlink("/proc/self/ns/pid", unreadable_stays_empty).string();
  identity.guard_pid = guard;
  identity.guard_start = start_of(guard);
  identity.directory = directory;
  return identity;
}

}  // namespace provisioner::runner
