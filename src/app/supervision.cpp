#include "app/supervision.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <system_error>
#include <tuple>
#include <utility>

#include "base/time.hpp"

namespace provisioner {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Duration kFirstPause = milliseconds(100);
constexpr Duration kLongestPause = seconds(10);
constexpr Duration kHealthyLife = seconds(60);

constexpr std::array kPassedOn = {SIGTERM, SIGINT, SIGHUP, SIGQUIT};

sigset_t watched_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : kPassedOn) sigaddset(&set, number);
  sigaddset(&set, SIGCHLD);
  return set;
}

// What cannot fail on a machine that can run the daemon at all: crash.
int checked(int outcome, const char* what) {
  if (outcome < 0) throw std::system_error(errno, std::generic_category(), what);
  return outcome;
}

class Parent {
 public:
  explicit Parent(const Supervised& supervised) : supervised_(supervised) {
    // Its environment holds the credentials that the daemon takes out of its own.
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    std::ignore = signal(SIGPIPE, SIG_IGN);  // a reader of its log that went away
    const sigset_t watched = watched_signals();
    checked(sigprocmask(SIG_BLOCK, &watched, &before_), "sigprocmask");
    signals_ = checked(signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK), "signalfd");
  }
  ~Parent() { close(signals_); }
  Parent(const Parent&) = delete;
  Parent& operator=(const Parent&) = delete;

  // Nothing in the child, which has become the daemon; `daemon_code` is then its exit code.
  std::optional<int> run_daemon(int& daemon_code);

  bool stopping() const { return stopping_; }
  const std::string& token() const { return token_; }
  void pause(Duration d);
  static Duration now() {
    timespec t{};
    clock_gettime(CLOCK_BOOTTIME, &t);
    return seconds(t.tv_sec) + milliseconds(t.tv_nsec / 1'000'000);
  }

 private:
  void take_signals();
  void read_tokens(int pipe);
  void reap();

  const Supervised& supervised_;
  sigset_t before_{};
  int signals_ = -1;
  pid_t daemon_ = -1;
  std::optional<int> status_;
  bool stopping_ = false;
  std::string unread_, token_;
};

std::optional<int> Parent::run_daemon(int& daemon_code) {
  std::array<int, 2> pipe{};
  checked(pipe2(pipe.data(), O_CLOEXEC | O_NONBLOCK), "pipe2");
  token_.clear();
  unread_.clear();
  status_.reset();
  daemon_ = checked(fork(), "fork");
  if (daemon_ == 0) {
    // Away from the terminal's signals, which would reach it twice.
    setpgid(0, 0);
    sigprocmask(SIG_SETMASK, &before_, nullptr);
    close(pipe[0]);
    close(std::exchange(signals_, -1));
    daemon_code = supervised_.serve(pipe[1]);
    return std::nullopt;
  }
  close(pipe[1]);
  while (!status_) {
    std::array<pollfd, 2> wait = {{{.fd = signals_, .events = POLLIN, .revents = 0},
                                   {.fd = pipe[0], .events = POLLIN, .revents = 0}}};
    if (poll(wait.data(), wait.size(), -1) < 0 && errno != EINTR) checked(-1, "poll");
    take_signals();
    if (wait[1].revents != 0) read_tokens(pipe[0]);
    // A closed pipe would wake the loop without end.
    if ((wait[1].revents & (POLLHUP | POLLERR)) != 0 && !status_) {
      pollfd only{.fd = signals_, .events = POLLIN, .revents = 0};
      poll(&only, 1, -1);
      take_signals();
    }
  }
  read_tokens(pipe[0]);  // its last words
  close(pipe[0]);
  return status_;
}

void Parent::take_signals() {
  signalfd_siginfo info{};
  while (read(signals_, &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
    const int number = static_cast<int>(info.ssi_signo);
    if (number == SIGCHLD) {
      reap();
      continue;
    }
    if (number != SIGHUP) stopping_ = true;
    if (daemon_ > 0 && !status_) kill(daemon_, number);
  }
}

void Parent::reap() {
  int status = 0;
  for (pid_t pid = 0; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
    if (pid == daemon_) status_ = status;
  }
}

void Parent::read_tokens(int pipe) {
  std::array<char, 4096> piece{};
  for (ssize_t size = 0; (size = read(pipe, piece.data(), piece.size())) > 0;) {
    unread_.append(piece.data(), static_cast<std::size_t>(size));
  }
  for (std::size_t end = 0; (end = unread_.find('\n')) != std::string::npos;) {
    token_ = unread_.substr(0, end);
    unread_.erase(0, end + 1);
  }
}

void Parent::pause(Duration d) {
  const Duration end = now() + d;
  for (Duration left = d; left > Duration::zero() && !stopping_; left = end - now()) {
    pollfd wait{.fd = signals_, .events = POLLIN, .revents = 0};
    poll(&wait, 1, static_cast<int>(std::chrono::ceil<milliseconds>(left).count()));
    take_signals();
  }
}

}  // namespace

int supervise(const Supervised& supervised) {
  Parent parent(supervised);
  Duration pause = kFirstPause;
  while (true) {
    const Duration begun = Parent::now();
    int daemon_code = 0;
    const auto status = parent.run_daemon(daemon_code);
    if (!status) return daemon_code;

    std::string released = "it held no leadership";
    if (!parent.token().empty()) {
      const Status freed = supervised.release(parent.token());
      released = freed ? "its leadership is free" : freed.error().message;
    }
    if (WIFEXITED(*status)) {
      if (WEXITSTATUS(*status) != 0) {
        supervised.report(
            fmt::format("the daemon ended with code {}; {}", WEXITSTATUS(*status), released));
      }
      return WEXITSTATUS(*status);
    }
    const int signal = WTERMSIG(*status);
    const std::string end = fmt::format("the daemon was ended by signal {} ({}); {}", signal,
                                        strsignal(signal), released);
    if (parent.stopping()) {
      supervised.report(end);
      return 128 + signal;
    }
    supervised.report(end + "; starting it again");
    if (Parent::now() - begun >= kHealthyLife) pause = kFirstPause;
    parent.pause(pause);
    if (parent.stopping()) return 0;
    pause = std::min(pause * 2, kLongestPause);
  }
}

}  // namespace provisioner
