#include "cli/foreground.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>

namespace provisioner::cli {
namespace {

namespace asio = boost::asio;

// Ignores the terminal's signals while it lives. Those that were ignored before (nohup) stay
// ignored, in the child too.
class TerminalSignals {
 public:
  TerminalSignals() {
    sigemptyset(&changed_);
    for (std::size_t i = 0; i < kSignals.size(); ++i) {
      struct sigaction ignore{};
      ignore.sa_handler = SIG_IGN;
      sigaction(kSignals[i], &ignore, &before_[i]);
      if (before_[i].sa_handler != SIG_IGN) sigaddset(&changed_, kSignals[i]);
    }
  }
  TerminalSignals(const TerminalSignals&) = delete;
  TerminalSignals& operator=(const TerminalSignals&) = delete;
  ~TerminalSignals() {
    for (std::size_t i = 0; i < kSignals.size(); ++i) sigaction(kSignals[i], &before_[i], nullptr);
  }

  const sigset_t& changed() const { return changed_; }

 private:
  static constexpr std::array<int, 3> kSignals = {SIGINT, SIGQUIT, SIGHUP};
  std::array<struct sigaction, kSignals.size()> before_{};
  sigset_t changed_{};
};

std::vector<char*> pointers(std::vector<std::string>& words) {
  std::vector<char*> result;
  for (auto& word : words) result.push_back(word.data());
  result.push_back(nullptr);
  return result;
}

Result<pid_t> spawn(ForegroundCommand& command, sigset_t to_default) {
  std::vector<std::string> environment;
  for (const auto& [name, value] : command.environment) environment.push_back(name + "=" + value);
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  if (!command.output.empty()) {
    posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&files, 1, command.output.c_str(),
                                     O_WRONLY | O_CREAT | O_APPEND, 0600);
    posix_spawn_file_actions_adddup2(&files, 1, 2);
  }
  posix_spawn_file_actions_addclosefrom_np(&files, 3);
  posix_spawn_file_actions_addchdir_np(&files, command.directory.c_str());
  sigaddset(&to_default, SIGTERM);
  sigaddset(&to_default, SIGPIPE);
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &to_default);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  pid_t pid = -1;
  const int error = posix_spawn(&pid, command.words.front().c_str(), &files, &attributes,
                                pointers(command.words).data(), pointers(environment).data());
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&files);
  if (error != 0) return fail_errno(fmt::format("starting {}", command.words.front()), error);
  return pid;
}

// glibc 2.36 declares its pidfd_open() for C only.
int open_process(pid_t pid) { return static_cast<int>(syscall(SYS_pidfd_open, pid, 0)); }

}  // namespace

Task<Result<int>> run_in_foreground(ForegroundCommand command) {
  const auto loop = co_await asio::this_coro::executor;
  const TerminalSignals terminal;
  asio::signal_set terminate(loop, SIGTERM);
  const auto pid = spawn(command, terminal.changed());
  if (!pid) co_return std::unexpected(pid.error());
  terminate.async_wait([child = *pid](boost::system::error_code cancelled, int) {
    if (!cancelled) kill(child, SIGTERM);
  });
  if (const int process = open_process(*pid); process >= 0) {
    asio::posix::stream_descriptor ended(loop, process);
    boost::system::error_code waitpid_tells_more;
    co_await ended.async_wait(asio::posix::stream_descriptor::wait_read,
                              asio::redirect_error(asio::use_awaitable, waitpid_tells_more));
  } else {
    const int why = errno;
    kill(*pid, SIGKILL);  // nobody would answer it
    waitpid(*pid, nullptr, 0);
    co_return fail_errno("watching a child", why);
  }
  int status = 0;
  while (waitpid(*pid, &status, 0) < 0) {
    if (errno != EINTR) co_return fail_errno("waiting for a child", errno);
  }
  co_return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

}  // namespace provisioner::cli
