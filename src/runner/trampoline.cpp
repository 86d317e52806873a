#include "runner/trampoline.hpp"

#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>

namespace provisioner::runner {
namespace {

constexpr int kNothingStarted = 125;
constexpr int kCannotExecute = 127;

// `gate` opens once the runner can know of this child: whatever happens then, it is looked after.
[[noreturn]] void become(const TrampolineOptions& options, pid_t trampoline, int gate) {
  char opened = 0;
  if (read(gate, &opened, 1) != 1) _exit(kNothingStarted);
  if (options.group) setpgid(0, 0);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  signal(SIGPIPE, SIG_DFL);
  prctl(PR_SET_PDEATHSIG, SIGINT);
  // The trampoline may have died before the line above: then nobody would ever tell.
  if (getppid() != trampoline) _exit(kNothingStarted);
  std::vector<char*> argv;
  for (const auto& word : options.command) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  execv(argv[0], argv.data());
  std::fprintf(stderr, "cannot execute %s: %s\n", argv[0], std::strerror(errno));
  _exit(kCannotExecute);
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

void tell(int line, TrampolineRecord record) {
  // A runner that is gone has no use for it.
  if (line >= 0) send(line, &record, sizeof(record), MSG_NOSIGNAL | MSG_DONTWAIT);
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

  int gate[2] = {-1, -1};
  if (pipe2(gate, O_CLOEXEC) != 0) return kNothingStarted;
  const pid_t self = getpid();
  const pid_t child = fork();
  if (child < 0) {
    std::fprintf(stderr, "cannot start a process: %s\n", std::strerror(errno));
    return kNothingStarted;
  }
  if (child == 0) {
    close(gate[1]);
    become(options, self, gate[0]);
  }
  if (options.group) setpgid(child, child);  // whoever of the two is first

  leave_output_to_the_child();

  int line = kTrampolineLine;
  std::array output = {kTrampolineOutput, kTrampolineError};
  bool interrupted = false;
  const auto interrupt = [&] {
    if (interrupted) return;
    interrupted = true;
    kill(options.group ? -child : child, SIGINT);
  };
  tell(line, {TrampolineRecord::Kind::kStarted, child, 0});
  if (write(gate[1], "", 1) != 1) return kNothingStarted;
  close(gate[0]);
  close(gate[1]);

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
