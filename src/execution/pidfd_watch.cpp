#include "execution/pidfd_watch.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "execution/process_proof.hpp"

namespace provisioner::execution {

Result<std::unique_ptr<GuardWatch>> PidfdWatch::open(const boost::asio::any_io_executor& loop,
                                                     pid_t pid,
                                                     std::optional<std::int64_t> expected_start,
                                                     std::function<void()> on_exit) {
  const int descriptor = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
  if (descriptor < 0) {
    const auto kind = errno == ESRCH ? ErrorKind::kNotFound : ErrorKind::kIo;
    return fail(kind, fmt::format("watching process {}: {}", pid,
                                  fail_errno("pidfd_open", errno).error().message));
  }
  std::unique_ptr<PidfdWatch> watch(new PidfdWatch(loop, descriptor));
  // Looked at after the descriptor was opened, so that it is this process that has the start time.
  if (expected_start) {
    const auto start = start_time_of(pid);
    if (!start || *start != *expected_start) {
      return fail(ErrorKind::kNotFound, fmt::format("guard {} has ended", pid));
    }
  }
  watch->pidfd_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                           [alive = watch->alive_,
                            on_exit = std::move(on_exit)](const boost::system::error_code& error) {
                             if (!error && *alive) on_exit();
                           });
  return watch;
}

bool PidfdWatch::exited() {
  pollfd readable{pidfd_.native_handle(), POLLIN, 0};
  if (poll(&readable, 1, 0) <= 0) return false;
  siginfo_t info{};
  // ECHILD: not our child (any more), so not ours to reap.
  waitid(P_PIDFD, static_cast<id_t>(pidfd_.native_handle()), &info, WEXITED | WNOHANG);
  return true;
}

void PidfdWatch::terminate() {
  // ESRCH: it has exited, which its watcher hears anyway.
  syscall(SYS_pidfd_send_signal, pidfd_.native_handle(), SIGTERM, nullptr, 0);
}

}  // namespace provisioner::execution
