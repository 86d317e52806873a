#include "runner/guard.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "runner/claim.hpp"
#include "runner/guard_line.hpp"
#include "runner/guard_plan.hpp"
#include "runner/process_set.hpp"

namespace provisioner::runner {
namespace {

// The runner's descriptors: its end of the line, and this program.
constexpr int kRunnerEnd = 3;
constexpr int kRunnerStarter = 4;

BootInstant boot_now() {
  timespec t{};
  clock_gettime(CLOCK_BOOTTIME, &t);
  return BootInstant(std::chrono::seconds(t.tv_sec) +
                     std::chrono::duration_cast<Duration>(std::chrono::nanoseconds(t.tv_nsec)));
}

void say(const char* what, const char* detail) {
  std::array<char, 512> line{};
  const int size = std::snprintf(line.data(), line.size(), "guard: %s: %s\n", what, detail);
  if (size <= 0) return;
  const auto length = std::min(static_cast<std::size_t>(size), line.size() - 1);
  if (write(STDERR_FILENO, line.data(), length) < 0) return;  // nobody left to tell
}

pid_t start_runner(const GuardOptions& options, int line) {
  const std::vector<std::string> arguments = {"provisioner-runner",
                                              "run",
                                              "--socket",
                                              options.socket,
                                              "--directory",
                                              options.directory,
                                              "--run",
                                              options.run.value,
                                              "--attempt",
                                              std::to_string(options.attempt.value),
                                              "--line",
                                              std::to_string(kRunnerEnd),
                                              "--starter",
                                              std::to_string(kRunnerStarter),
                                              "--first-lease-us",
                                              std::to_string(options.first_lease.count())};
  std::vector<char*> argv;
  for (const auto& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);

  // By descriptor, so that an upgrade meanwhile does not change the program under the runner. Its
  // number lies above those that it and the line get there.
  const int self = open("/proc/self/exe", O_PATH | O_CLOEXEC);
  const int starter = fcntl(self, F_DUPFD_CLOEXEC, kRunnerStarter + 1);
  close(self);
  const int runner_line = fcntl(line, F_DUPFD_CLOEXEC, kRunnerStarter + 1);
  if (starter < 0 || runner_line < 0) {
    say("cannot prepare", std::strerror(errno));
    return -1;
  }

  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_adddup2(&files, runner_line, kRunnerEnd);
  posix_spawn_file_actions_adddup2(&files, starter, kRunnerStarter);
  posix_spawn_file_actions_addclosefrom_np(&files, kRunnerStarter + 1);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  pid_t pid = 0;
  const int error =
      posix_spawn(&pid, options.runner.c_str(), &files, &attributes, argv.data(), environ);
  close(starter);
  close(runner_line);
  posix_spawn_file_actions_destroy(&files);
  posix_spawnattr_destroy(&attributes);
  if (error == 0) return pid;
  say("cannot start the runner", std::strerror(error));
  return -1;
}

// Everything that the guard needs after the start.
struct Watch {
  pid_t runner = 0;
  int runner_status = 0;  // as waitpid gives it
  int line = -1;
  int signals = -1;
  int timer = -1;
  std::int64_t kills = 0;
  std::array<char, 4096> record_path{};
  std::array<char, 4096> record_temporary{};
};

void set_timer(int timer, BootInstant at) {
  itimerspec spec{};
  // A zero time would disarm the timer.
  const auto micros = std::max<std::int64_t>(at.time_since_epoch().count(), 1);
  spec.it_value.tv_sec = micros / 1'000'000;
  spec.it_value.tv_nsec = micros % 1'000'000 * 1'000;
  timerfd_settime(timer, TFD_TIMER_ABSTIME, &spec, nullptr);
}

// Waits for the dead among our children, so that no zombie passes for the living.
void reap(Watch& watch, GuardPlan& plan) {
  int status = 0;
  while (true) {
    const pid_t pid = waitpid(-1, &status, WNOHANG);
    if (pid <= 0) return;
    if (pid != watch.runner) continue;
    watch.runner_status = status;
    plan.runner_exited(boot_now());
  }
}

void take_signals(Watch& watch, const GuardPlan& plan) {
  signalfd_siginfo info;
  while (read(watch.signals, &info, sizeof(info)) == static_cast<ssize_t>(sizeof(info))) {
    // Whoever asks the guard to end means the attempt: the runner stops tofu in its good order.
    if (info.ssi_signo != SIGCHLD && plan.runner_lives()) kill(watch.runner, SIGTERM);
  }
}

void take_records(Watch& watch, GuardPlan& plan) {
  bool closed = false;
  while (const auto record = hear_runner(watch.line, closed)) {
    switch (record->kind) {
      case GuardRecord::Kind::kDeadline:
        plan.move_deadline(BootInstant(Duration(record->value)));
        break;
      case GuardRecord::Kind::kStopAllowance:
        plan.set_stop_allowance(Duration(record->value));
        break;
      case GuardRecord::Kind::kStopping: plan.runner_stops(); break;
      case GuardRecord::Kind::kFinished: plan.runner_finished(); break;
    }
  }
  if (closed) {
    close(watch.line);
    watch.line = -1;
  }
}

void leave_record(const Watch& watch, std::string_view cause) {
  // A runner that ends so has delivered its result: the store knows more than this page.
  const bool all_went_well =
      WIFEXITED(watch.runner_status) && WEXITSTATUS(watch.runner_status) == 0;
  if (all_went_well && cause == "finished" && watch.kills == 0) return;
  timespec wall{};
  clock_gettime(CLOCK_REALTIME, &wall);
  const bool signalled = WIFSIGNALED(watch.runner_status);
  std::array<char, 256> text{};
  const int size = std::snprintf(
      text.data(), text.size(),
      R"({"cause":"%.*s","%s":%d,"kills":%lld,"at_us":%lld})"
      "\n",
      static_cast<int>(cause.size()), cause.data(), signalled ? "runner_signal" : "runner_exit",
      signalled ? WTERMSIG(watch.runner_status) : WEXITSTATUS(watch.runner_status),
      static_cast<long long>(watch.kills),
      static_cast<long long>(wall.tv_sec) * 1'000'000 + wall.tv_nsec / 1'000);
  const int fd =
      open(watch.record_temporary.data(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0 || write(fd, text.data(), static_cast<std::size_t>(size)) != size || fsync(fd) != 0 ||
      rename(watch.record_temporary.data(), watch.record_path.data()) != 0) {
    say("cannot write the exit record", std::strerror(errno));
  }
  if (fd >= 0) close(fd);
}

bool copy_path(std::array<char, 4096>& into, const std::string& path) {
  if (path.size() >= into.size()) return false;
  std::memcpy(into.data(), path.c_str(), path.size() + 1);
  return true;
}

int watch_until_empty(Watch& watch, GuardPlan& plan, ProcessSet& set) {
  while (true) {
    take_signals(watch, plan);
    if (watch.line >= 0) take_records(watch, plan);
    reap(watch, plan);
    const bool others_live = !plan.runner_lives() && has_children() && set.look(getpid(), 0) > 0;
    const GuardDecision decision = plan.decide(boot_now(), others_live);
    switch (decision.act) {
      case GuardAct::kEnd: leave_record(watch, plan.cause()); return 0;
      case GuardAct::kKillRunner:
        say("killing the runner", "it does not stop before its lease ends");
        kill(watch.runner, SIGKILL);
        break;
      case GuardAct::kKillAll:
        // The runner first: it could start something else.
        if (plan.runner_lives()) kill(watch.runner, SIGKILL);
        set.look(getpid(), 0);
        set.signal_all(SIGKILL);
        ++watch.kills;
        break;
      case GuardAct::kWait: break;
    }
    constexpr Duration kDying = std::chrono::milliseconds(5);  // what was killed takes a moment
    set_timer(watch.timer, decision.act == GuardAct::kWait ? decision.until : boot_now() + kDying);
    std::array<pollfd, 3> wake = {
        {{watch.timer, POLLIN, 0}, {watch.signals, POLLIN, 0}, {watch.line, POLLIN, 0}}};
    poll(wake.data(), wake.size(), -1);
  }
}

}  // namespace

int run_guard(const GuardOptions& options) {
  static ProcessSet set(attempt_tag(options.run, options.attempt),
                        ProcessSet::Carriers::kBornAfterUs);
  Watch watch;
  const std::string record = options.directory + "/exit";
  if (!copy_path(watch.record_path, record) ||
      !copy_path(watch.record_temporary, record + ".new")) {
    say("cannot prepare", "the attempt directory's path is too long");
    return 1;
  }

  sigset_t mask;
  sigemptyset(&mask);
  for (const int signal : {SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGQUIT}) sigaddset(&mask, signal);
  sigprocmask(SIG_BLOCK, &mask, nullptr);
  signal(SIGPIPE, SIG_IGN);
  watch.signals = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
  watch.timer = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
  int line[2] = {-1, -1};
  if (watch.signals < 0 || watch.timer < 0 || prctl(PR_SET_CHILD_SUBREAPER, 1) != 0 ||
      socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, line) != 0) {
    say("cannot prepare", std::strerror(errno));
    return 1;
  }
  watch.line = line[0];

  // Nothing to stop in good order before the runner has registered; then it says what it needs.
  GuardPlan plan(boot_now() + options.first_lease, Duration(0));
  watch.runner = start_runner(options, line[1]);
  close(line[1]);
  if (watch.runner < 0) return 1;
  wipe_claim();
  return watch_until_empty(watch, plan, set);
}

}  // namespace provisioner::runner
