#include "runner/process.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>

#include "runner/trampoline.hpp"
#include "runtime/first_of.hpp"

namespace provisioner::runner {
namespace {

namespace asio = boost::asio;

struct Pair {
  int ours = -1;
  int theirs = -1;
  void close_both() {
    if (ours >= 0) close(ours);
    if (theirs >= 0) close(theirs);
    ours = theirs = -1;
  }
};

// A descriptor of ours that the child's arrangement would overwrite moves out of the way.
int above_standard(int fd) {
  if (fd < 0 || fd > kTrampolineError) return fd;
  const int moved = fcntl(fd, F_DUPFD_CLOEXEC, kTrampolineError + 1);
  close(fd);
  return moved;
}

Pair make_pipe() {
  int ends[2] = {-1, -1};
  if (pipe2(ends, O_CLOEXEC) != 0) return {};
  return {above_standard(ends[0]), above_standard(ends[1])};
}

Pair make_line() {
  int ends[2] = {-1, -1};
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) return {};
  return {above_standard(ends[0]), above_standard(ends[1])};
}

std::vector<char*> pointers(const std::vector<std::string>& words) {
  std::vector<char*> result;
  for (const auto& word : words) result.push_back(const_cast<char*>(word.c_str()));
  result.push_back(nullptr);
  return result;
}

// Where the trampoline's own program is open when it is executed. It closes it.
constexpr int kProgram = kTrampolineError + 1;

int spawn_trampoline(int starter, const Command& command, const Pair& line, const Pair& output,
                     const Pair& error, pid_t& pid) {
  std::vector<std::string> arguments = {
      "provisioner-guard",       "exec-child", "--parent", fmt::format("{}", getpid()), "--group",
      command.group ? "1" : "0", "--"};
  arguments.insert(arguments.end(), command.words.begin(), command.words.end());

  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&files, output.theirs, 1);
  posix_spawn_file_actions_adddup2(&files, error.theirs, 2);
  posix_spawn_file_actions_adddup2(&files, line.theirs, kTrampolineLine);
  posix_spawn_file_actions_adddup2(&files, output.ours, kTrampolineOutput);
  posix_spawn_file_actions_adddup2(&files, error.ours, kTrampolineError);
  // After the others: one of them may have been at this number.
  posix_spawn_file_actions_adddup2(&files, starter, kProgram);
  posix_spawn_file_actions_addclosefrom_np(&files, kProgram + 1);
  posix_spawn_file_actions_addchdir_np(&files, command.directory.c_str());
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  const std::string program = fmt::format("/proc/self/fd/{}", kProgram);
  const int failed = posix_spawn(&pid, program.c_str(), &files, &attributes,
                                 pointers(arguments).data(), pointers(command.environment).data());
  posix_spawn_file_actions_destroy(&files);
  posix_spawnattr_destroy(&attributes);
  return failed;
}

// Orphans become ours before their parent's end is reported.
bool is_our_child(pid_t pid) {
  siginfo_t info{};
  return waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

}  // namespace

Reaper::Reaper(asio::any_io_executor loop) : signals_(loop, SIGCHLD), some_ended_(loop) {
  listen();
}

void Reaper::listen() {
  signals_.async_wait([this](boost::system::error_code error, int) {
    if (error) return;
    reap();
    listen();
  });
}

void Reaper::reap() {
  while (true) {
    int status = 0;
    const pid_t pid = waitpid(-1, &status, WNOHANG);
    if (pid <= 0) return;
    some_ended_.notify();
    const auto found = watched_.find(pid);
    if (found == watched_.end()) continue;
    found->second.status = status;
    if (found->second.ended != nullptr) found->second.ended->notify();
  }
}

void Reaper::watch(pid_t pid, Signal* ended) { watched_[pid] = {ended, std::nullopt}; }

void Reaper::forget(pid_t pid) { watched_.erase(pid); }

std::optional<int> Reaper::status_of(pid_t pid) const {
  const auto found = watched_.find(pid);
  return found == watched_.end() ? std::nullopt : found->second.status;
}

Result<std::unique_ptr<Process>> Process::start(asio::any_io_executor loop, Reaper& reaper,
                                                int starter, const Command& command,
                                                OnOutput on_output) {
  Pair line = make_line(), output = make_pipe(), error = make_pipe();
  pid_t pid = 0;
  int failed = EMFILE;
  if (line.ours >= 0 && output.ours >= 0 && error.ours >= 0) {
    failed = spawn_trampoline(starter, command, line, output, error, pid);
  }
  if (failed != 0) {
    for (Pair* pair : {&line, &output, &error}) pair->close_both();
    return fail_errno(fmt::format("starting {}", command.words.front()), failed);
  }
  for (const Pair* pair : {&line, &output, &error}) close(pair->theirs);
  return std::unique_ptr<Process>(
      new Process(loop, reaper, pid, line.ours, output.ours, error.ours, std::move(on_output)));
}

Process::Process(asio::any_io_executor loop, Reaper& reaper, pid_t trampoline, int line, int output,
                 int error, OnOutput on_output)
    : reaper_(reaper),
      trampoline_(trampoline),
      line_(loop, line),
      output_(loop, output),
      error_(loop, error),
      on_output_(std::move(on_output)),
      ended_(loop) {
  reaper_.watch(trampoline_, &ended_);
  output_.non_blocking(true);
  error_.non_blocking(true);
}

Process::~Process() {
  reaper_.forget(trampoline_);
  if (child_ != 0) reaper_.forget(child_);
}

void Process::interrupt() {
  if (interrupted_) return;
  interrupted_ = true;
  send(line_.native_handle(), &kInterrupt, 1, MSG_NOSIGNAL | MSG_DONTWAIT);
}

Task<> Process::read_all(Stream stream, asio::posix::stream_descriptor& pipe) {
  std::array<char, 16384> buffer;
  while (true) {
    boost::system::error_code error;
    const std::size_t got = co_await pipe.async_read_some(
        asio::buffer(buffer), asio::redirect_error(asio::use_awaitable, error));
    if (got > 0) on_output_(stream, std::string_view(buffer.data(), got));
    if (error) co_return;
  }
}

// What is in the pipe when the child has ended is all that it wrote; grandchildren may still hold
// the pipe open and are not waited for.
void Process::drain(Stream stream, asio::posix::stream_descriptor& pipe) {
  std::array<char, 16384> buffer;
  while (true) {
    const ssize_t got = read(pipe.native_handle(), buffer.data(), buffer.size());
    if (got <= 0) return;
    on_output_(stream, std::string_view(buffer.data(), static_cast<std::size_t>(got)));
  }
}

Task<> Process::hear_trampoline() {
  while (!status_) {
    boost::system::error_code error;
    co_await line_.async_wait(asio::posix::stream_descriptor::wait_read,
                              asio::redirect_error(asio::use_awaitable, error));
    if (error) co_return;
    TrampolineRecord record;
    const ssize_t got = recv(line_.native_handle(), &record, sizeof(record), MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    if (got != static_cast<ssize_t>(sizeof(record))) break;  // the trampoline has ended
    if (record.kind == TrampolineRecord::Kind::kEnded) {
      status_ = record.status;
    } else {
      child_ = record.pid;
      reaper_.watch(child_, &ended_);
    }
  }
  // Somebody killed the trampoline: the kernel has interrupted the child, which is ours now.
  while (!status_) {
    status_ = reaper_.status_of(child_ != 0 ? child_ : trampoline_);
    if (!status_ && child_ != 0 && reaper_.status_of(trampoline_) && !is_our_child(child_)) {
      // The trampoline saw its end and could not tell any more. Whatever it was, nobody knows.
      status_ = SIGKILL;
    }
    if (!status_) co_await ended_.wait();
  }
}

Task<Result<ProcessExit>> Process::wait() {
  const auto read_both = [this]() -> Task<> {
    const auto loop = co_await asio::this_coro::executor;
    co_await asio::experimental::make_parallel_group(
        asio::co_spawn(loop, read_all(Stream::kOutput, output_), asio::deferred),
        asio::co_spawn(loop, read_all(Stream::kError, error_), asio::deferred))
        .async_wait(asio::experimental::wait_for_all(), asio::use_awaitable);
    boost::system::error_code the_child_has_ended;
    co_await asio::steady_timer(loop, asio::steady_timer::time_point::max())
        .async_wait(asio::redirect_error(asio::use_awaitable, the_child_has_ended));
  };
  try {
    co_await first_of(hear_trampoline(), read_both());
  } catch (const boost::system::system_error& error) {
    co_return fail(ErrorKind::kInternal, fmt::format("waiting for a child: {}", error.what()));
  }
  drain(Stream::kOutput, output_);
  drain(Stream::kError, error_);
  if (!status_) co_return fail(ErrorKind::kCancelled, "nobody waits for the child any more");
  ProcessExit exit;
  if (WIFSIGNALED(*status_)) {
    exit.signal = WTERMSIG(*status_);
  } else {
    exit.code = WEXITSTATUS(*status_);
  }
  co_return exit;
}

}  // namespace provisioner::runner
