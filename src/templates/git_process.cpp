#include "templates/git_process.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <span>
#include <stdexcept>
#include <utility>

namespace provisioner {
namespace {

constexpr std::size_t kMostErrorText = 16 * 1024;

// Before each command. Whatever the user's or the machine's configuration says, no program of the
// fetched repository runs, and a peer that says nothing is given up.
constexpr const char* kSettings[] = {"core.hooksPath=/dev/null",
                                     "core.fsmonitor=false",
                                     "core.symlinks=true",
                                     "core.autocrlf=false",
                                     "submodule.recurse=false",
                                     "fetch.recurseSubmodules=false",
                                     "gc.auto=0",
                                     "maintenance.auto=false",
                                     "filter.lfs.smudge=",
                                     "filter.lfs.process=",
                                     "filter.lfs.required=false",
                                     "advice.detachedHead=false",
                                     "init.defaultBranch=main",
                                     "http.lowSpeedLimit=1000",
                                     "http.lowSpeedTime=30"};

class Descriptor {
 public:
  explicit Descriptor(int fd = -1) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    close();
    fd_ = std::exchange(other.fd_, -1);
    return *this;
  }
  ~Descriptor() { close(); }
  int get() const { return fd_; }
  void close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }

 private:
  int fd_;
};

struct Pipe {
  Descriptor from, to;
};
Result<Pipe> make_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return fail_errno("making a pipe", errno);
  return Pipe{Descriptor(ends[0]), Descriptor(ends[1])};
}

std::vector<char*> c_strings(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

// In a session of its own, so that all it starts can be ended, and ssh finds no terminal.
Result<pid_t> spawn(std::vector<std::string> arguments, std::vector<std::string>& environment,
                    int out, int err) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, out, 1);
  posix_spawn_file_actions_adddup2(&actions, err, 2);
  posix_spawn_file_actions_addclosefrom_np(&actions, 3);
  // No repository that the daemon happens to stand in lends its configuration.
  posix_spawn_file_actions_addchdir_np(&actions, "/");
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setflags(&attributes,
                           POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSID);
  pid_t pid = -1;
  const int error = ::posix_spawnp(&pid, "git", &actions, &attributes, c_strings(arguments).data(),
                                   c_strings(environment).data());
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  if (error == ENOENT) {
    return fail(ErrorKind::kNotFound, "git is not installed on the daemon's machine");
  }
  if (error != 0) return fail_errno("starting git", error);
  return pid;
}

// Reads what there is. False at its end.
bool read_some(int fd, std::string& into, std::size_t most) {
  std::array<char, 65536> piece;
  const ssize_t count = ::read(fd, piece.data(), piece.size());
  if (count < 0) return errno == EINTR || errno == EAGAIN;
  const auto size = static_cast<std::size_t>(count);
  into.append(piece.data(), std::min(size, most - std::min(most, into.size())));
  return count > 0;
}

// Until the program has ended. What it started and left behind may still hold its pipes.
Status listen(int process, int timer, int stop, Pipe& out, Pipe& err, std::size_t most,
              GitAnswer& answer) {
  for (bool ended = false; !ended;) {
    std::array<pollfd, 5> waits = {pollfd{process, POLLIN, 0}, pollfd{timer, POLLIN, 0},
                                   pollfd{stop, POLLIN, 0}, pollfd{out.from.get(), POLLIN, 0},
                                   pollfd{err.from.get(), POLLIN, 0}};
    if (::poll(waits.data(), waits.size(), -1) < 0) {
      if (errno == EINTR) continue;
      return fail_errno("waiting for git", errno);
    }
    if (waits[2].revents != 0) return fail(ErrorKind::kCancelled, "the daemon stops");
    ended = waits[0].revents != 0;
    if (!ended && waits[1].revents != 0) return fail(ErrorKind::kTimeout, "it took too long");
    for (auto [pipe, text, limit] :
         {std::tuple{&out, &answer.out, most + 1}, {&err, &answer.err, kMostErrorText}}) {
      const auto& wait = waits[pipe == &out ? 3 : 4];
      if (pipe->from.get() < 0 || wait.revents == 0) continue;
      if (!read_some(pipe->from.get(), *text, limit)) pipe->from.close();
    }
    if (answer.out.size() > most) return fail(ErrorKind::kInvalid, "git says more than expected");
  }
  // The rest of what it said, as far as it is there.
  for (auto [pipe, text, limit] :
       {std::tuple{&out, &answer.out, most + 1}, {&err, &answer.err, kMostErrorText}}) {
    if (pipe->from.get() < 0) continue;
    ::fcntl(pipe->from.get(), F_SETFL, O_NONBLOCK);
    while (text->size() < limit) {
      const auto before = text->size();
      if (!read_some(pipe->from.get(), *text, limit) || text->size() == before) break;
    }
  }
  if (answer.out.size() > most) return fail(ErrorKind::kInvalid, "git says more than expected");
  return {};
}

}  // namespace

StopFlag::StopFlag() : fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (fd_ < 0) throw std::runtime_error("cannot make an eventfd");
}
StopFlag::~StopFlag() { ::close(fd_); }
void StopFlag::raise() const { ::eventfd_write(fd_, 1); }

Result<Git> Git::prepare(const Environment& environment, Duration patience,
                         std::shared_ptr<const StopFlag> stop) {
  Environment child = child_environment(environment, {});
  child["LC_ALL"] = "C";
  child["GIT_ALLOW_PROTOCOL"] = "https:ssh:file";
  child["GIT_TERMINAL_PROMPT"] = "0";
  child["GIT_ASKPASS"] = "true";
  child["GIT_LFS_SKIP_SMUDGE"] = "1";
  child["GIT_SSH_COMMAND"] =
      "ssh -oBatchMode=yes -oConnectTimeout=20 -oServerAliveInterval=15 -oServerAliveCountMax=3";
  std::vector<std::string> texts;
  for (const auto& [name, value] : child) texts.push_back(fmt::format("{}={}", name, value));

  Descriptor timer(::timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC));
  if (timer.get() < 0) return fail_errno("making a timer", errno);
  const auto whole = std::chrono::duration_cast<std::chrono::seconds>(patience);
  const itimerspec alarm = {
      {}, {whole.count(), std::chrono::nanoseconds(patience - whole).count() + 1}};
  if (::timerfd_settime(timer.get(), 0, &alarm, nullptr) != 0) {
    return fail_errno("setting a timer", errno);
  }
  const int fd = ::dup(timer.get());
  if (fd < 0) return fail_errno("making a timer", errno);
  ::fcntl(fd, F_SETFD, FD_CLOEXEC);
  return Git(std::move(texts), fd, std::move(stop));
}

Git::Git(std::vector<std::string> environment, int timer, std::shared_ptr<const StopFlag> stop)
    : environment_(std::move(environment)), timer_(timer), stop_(std::move(stop)) {}

Git::Git(Git&& other) noexcept
    : environment_(std::move(other.environment_)),
      timer_(std::exchange(other.timer_, -1)),
      stop_(std::move(other.stop_)) {}

Git::~Git() {
  if (timer_ >= 0) ::close(timer_);
}

Result<GitAnswer> Git::run(std::vector<std::string> arguments, std::size_t most_output) {
  std::vector<std::string> all = {"git"};
  for (const char* setting : kSettings) {
    all.emplace_back("-c");
    all.emplace_back(setting);
  }
  for (std::string& argument : arguments) all.push_back(std::move(argument));
  auto out = make_pipe();
  if (!out) return std::unexpected(out.error());
  auto err = make_pipe();
  if (!err) return std::unexpected(err.error());
  const auto pid = spawn(std::move(all), environment_, out->to.get(), err->to.get());
  if (!pid) return std::unexpected(pid.error());
  out->to.close();
  err->to.close();
  const Descriptor process(static_cast<int>(::syscall(SYS_pidfd_open, *pid, 0)));
  GitAnswer answer;
  const Status heard = process.get() < 0 ? Status(fail_errno("watching git", errno))
                                         : listen(process.get(), timer_, stop_->fd(), *out, *err,
                                                  most_output, answer);
  // Its session: a transport that hangs, a helper in the background.
  ::kill(-*pid, SIGKILL);
  int status = 0;
  while (::waitpid(*pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (!heard) return std::unexpected(heard.error());
  answer.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return answer;
}

}  // namespace provisioner
