#include "runner/trampoline.hpp"

#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <vector>

namespace provisioner::runner {
namespace {

constexpr int kNothingStarted = 125;
constexpr int kCannotExecute = 127;

// What the child needs to become the command. It shares the trampoline's memory until then.
struct Birth {
  const TrampolineOptions& options;
  std::vector<char*> argv;
  pid_t trampoline;
};

void tell(int line, TrampolineRecord record) {
  // A runner that is gone has no use for it.
  if (line >= 0) send(line, &record, sizeof(record), MSG_NOSIGNAL | MSG_DONTWAIT);
}

int become(void* birth) {
  const auto& [options, argv, trampoline] = *static_cast<const Birth*>(birth);
  if (options.group) setpgid(0, 0);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  signal(SIGPIPE, SIG_DFL);
  prctl(PR_SET_PDEATHSIG, SIGINT);
  // The trampoline may have died before the line above: then nobody would ever tell.
  if (getppid() != trampoline) _exit(kNothingStarted);
  // Before the command is there: whatever happens to the trampoline, the runner looks after it.
  tell(kTrampolineLine, {TrampolineRecord::Kind::kStarted, getpid(), 0});
  execv(argv[0], argv.data());
  const int error = errno;
  std::array<char, 512> text{};
  const int size = std::snprintf(text.data(), text.size(), "cannot execute %s: %s\n", argv[0],
                                 std::strerror(error));
  const auto length = std::min(text.size() - 1, static_cast<std::size_t>(std::max(size, 0)));
  if (write(STDERR_FILENO, text.data(), length) < 0) _exit(kCannotExecute);  // nobody to tell
  _exit(kCannotExecute);
}

// As vfork(2) does it: the trampoline goes on when the child executes, so none of its pages is
// copied, which costs as much as all else that it does.
pid_t start(Birth& birth) {
  alignas(16) static std::array<char, 64 * 1024> stack;
  return clone(become, stack.data() + stack.size(), CLONE_VM | CLONE_VFORK | SIGCHLD, &birth);
}

// The pipes' end shall be seen when the child, and who inherited from it, have closed them.
void leave_output_to_the_child() {
  const int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
  if (nowhere < 0) return;
  dup2(nowhere, STDOUT_FILENO);
  dup2(nowhere, STDERR_FILENO);
  close(nowhere);
}

// Nobody masks secrets any more, so the output of an orphan goes nowhere. False at its end.
bool discard(int fd) {
  std::array<char, 4096> buffer;
  const ssize_t got = read(fd, buffer.data(), buffer.size());
  return got > 0 || (got < 0 && (errno == EAGAIN || errno == EINTR));
}

}  // namespace

int run_trampoline(const TrampolineOptions& options) {
  constexpr std::array kOurs = {kTrampolineLine, kTrampolineOutput, kTrampolineError};
  for (const int fd : kOurs) fcntl(fd, F_SETFD, FD_CLOEXEC);
  close_range(kOurs.back() + 1, ~0u, 0);

  sigset_t mask;
  sigemptyset(&mask);
  for (const int signal : {SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGQUIT}) sigaddset(&mask, signal);
  sigprocmask(SIG_BLOCK, &mask, nullptr);
  const int signals = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
  if (signals < 0) return kNothingStarted;
  if (options.command.empty() || getppid() != options.parent) return kNothingStarted;

  Birth birth{options, {}, getpid()};
  for (const auto& word : options.command) birth.argv.push_back(const_cast<char*>(word.c_str()));
  birth.argv.push_back(nullptr);
  const pid_t child = start(birth);
  if (child < 0) {
    std::fprintf(stderr, "cannot start a process: %s\n", std::strerror(errno));
    return kNothingStarted;
  }

  leave_output_to_the_child();

  int line = kTrampolineLine;
  std::array output = {kTrampolineOutput, kTrampolineError};
  bool interrupted = false;
  const auto interrupt = [&] {
    if (interrupted) return;
    interrupted = true;
    kill(options.group ? -child : child, SIGINT);
  };

  while (true) {
    // While the runner lives it reads the output; poll() ignores negative descriptors.
    const bool orphan = line < 0;
    std::array<pollfd, 4> wake = {{{signals, POLLIN, 0},
                                   {line, POLLIN, 0},
                                   {orphan ? output[0] : -1, POLLIN, 0},
                                   {orphan ? output[1] : -1, POLLIN, 0}}};
    poll(wake.data(), wake.size(), -1);
    signalfd_siginfo info;
    while (read(signals, &info, sizeof(info)) == static_cast<ssize_t>(sizeof(info))) {
      if (info.ssi_signo == SIGTERM) interrupt();
    }
    int status = 0;
    if (waitpid(child, &status, WNOHANG) == child) {
      tell(line, {TrampolineRecord::Kind::kEnded, child, status});
      return 0;
    }
    for (std::size_t i = 0; i < output.size(); ++i) {
      if (wake[2 + i].revents != 0 && !discard(output[i])) output[i] = -1;
    }
    if (line < 0 || wake[1].revents == 0) continue;
    char word = 0;
    const ssize_t got = recv(line, &word, 1, MSG_DONTWAIT);
    if (got == 1 && word == kInterrupt) interrupt();
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) {
      interrupt();  // the runner is gone
      close(line);
      line = -1;
    }
  }
}

}  // namespace provisioner::runner
