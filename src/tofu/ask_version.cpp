// The one process that this room starts: `<binary> version -json`.
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>

#include "tofu/binary.hpp"
#include "tofu/command_line.hpp"

namespace provisioner::tofu {
namespace {

class Descriptor {
 public:
  explicit Descriptor(int fd = -1) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }
  void close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }

 private:
  int fd_;
};

// PATH and HOME, and no look for a newer release.
std::vector<std::string> child_environment() {
  std::vector<std::string> environment = {"CHECKPOINT_DISABLE=1"};
  for (const char* name : {"PATH", "HOME"}) {
    if (const char* value = ::getenv(name))
      environment.push_back(fmt::format("{}={}", name, value));
  }
  return environment;
}

std::vector<char*> c_strings(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

Result<pid_t> spawn(const Binary& binary, int output) {
  std::vector<std::string> arguments = {binary.path.string()};
  for (std::string& argument : version_arguments()) arguments.push_back(std::move(argument));
  std::vector<std::string> environment = child_environment();

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, output, 1);
  posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addclosefrom_np(&actions, 3);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
  pid_t pid = -1;
  const int error = posix_spawn(&pid, binary.path.c_str(), &actions, &attributes,
                                c_strings(arguments).data(), c_strings(environment).data());
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return fail_errno(fmt::format("starting {}", binary.path.string()), error);
  return pid;
}

// Everything the child prints, until it closes its end or the timer fires.
Result<std::string> read_until(int output, int timer, std::string_view whose) {
  constexpr std::size_t kMost = 64 * 1024;
  std::string text;
  while (text.size() < kMost) {
    std::array<pollfd, 2> waits = {pollfd{output, POLLIN, 0}, pollfd{timer, POLLIN, 0}};
    if (::poll(waits.data(), waits.size(), -1) < 0) {
      if (errno == EINTR) continue;
      return fail_errno(fmt::format("waiting for {}", whose), errno);
    }
    if (waits[0].revents == 0) {
      return fail(ErrorKind::kTimeout, fmt::format("{} version: no answer in time", whose));
    }
    std::array<char, 4096> piece;
    const ssize_t count = ::read(output, piece.data(), piece.size());
    if (count == 0) break;
    if (count < 0) {
      if (errno == EINTR) continue;
      return fail_errno(fmt::format("reading from {}", whose), errno);
    }
    text.append(piece.data(), static_cast<std::size_t>(count));
  }
  return text;
}

}  // namespace

Result<Binary> ask_version(Binary binary, Duration timeout) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return fail_errno("making a pipe", errno);
  Descriptor from_child(ends[0]);
  Descriptor to_us(ends[1]);
  Descriptor timer(::timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC));
  if (timer.get() < 0) return fail_errno("making a timer", errno);
  const auto whole = std::chrono::duration_cast<std::chrono::seconds>(timeout);
  const itimerspec alarm = {{},
                            {whole.count(), std::chrono::nanoseconds(timeout - whole).count() + 1}};
  if (::timerfd_settime(timer.get(), 0, &alarm, nullptr) != 0) {
    return fail_errno("setting a timer", errno);
  }

  const Result<pid_t> pid = spawn(binary, to_us.get());
  if (!pid) return std::unexpected(pid.error());
  to_us.close();
  const Result<std::string> output =
      read_until(from_child.get(), timer.get(), binary.path.string());
  // It has printed all it will ever print for us: nothing is lost by ending it.
  if (!output) ::kill(*pid, SIGKILL);
  from_child.close();
  int status = 0;
  while (::waitpid(*pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (!output) return std::unexpected(output.error());
  Result<std::string> version = parse_version_json(*output);
  if (!version) return fail(binary.path.string(), version.error());
  binary.version = *version;
  return binary;
}

}  // namespace provisioner::tofu
