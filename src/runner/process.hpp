// One child of the runner (tofu, or a custom command) with its trampoline and its two pipes.
#pragma once

#include <sys/types.h>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/signal_set.hpp>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "runtime/signal.hpp"
#include "runtime/task.hpp"

namespace provisioner::runner {

// Waits for every child that ends: the trampolines, and orphans that came to us because the runner
// is a subreaper. One per process. Loop only.
class Reaper {
 public:
  explicit Reaper(boost::asio::any_io_executor loop);

  // Keep the status of `pid` when it ends. `ended` is notified.
  void watch(pid_t pid, Signal* ended);
  void forget(pid_t pid);
  // As waitpid gives it; absent while it lives.
  std::optional<int> status_of(pid_t pid) const;

  // Notified when children were waited for.
  Signal& some_ended() { return some_ended_; }

 private:
  struct Watched {
    Signal* ended = nullptr;
    std::optional<int> status;
  };
  void listen();
  void reap();

  boost::asio::signal_set signals_;
  std::map<pid_t, Watched> watched_;
  Signal some_ended_;
};

struct Command {
  std::vector<std::string> words;        // the program's absolute path and its arguments
  std::vector<std::string> environment;  // whole, NAME=VALUE
  std::string directory;
  bool group = false;  // interrupt its process group instead of the one process
};

struct ProcessExit {
  int code = 0;    // of exit(), when signal is 0
  int signal = 0;  // that ended it; 0 = none
  bool ended_well() const { return code == 0 && signal == 0; }
};

enum class Stream { kOutput, kError };

class Process {
 public:
  static constexpr int kLowestStarter = 16;  // out of the way of the child's arrangement

  using OnOutput = std::function<void(Stream stream, std::string_view piece)>;

  // `starter` is a descriptor of the program provisioner-guard, kLowestStarter or above. Call it
  // from the main thread: the kernel's death signal belongs to the thread that spawns.
  static Result<std::unique_ptr<Process>> start(boost::asio::any_io_executor loop, Reaper& reaper,
                                                int starter, const Command& command,
                                                OnOutput on_output);
  ~Process();  // does not end the child

  // Hands over all output and returns when the child has ended. Does not wait for grandchildren
  // that keep the pipes open. Call it once.
  Task<Result<ProcessExit>> wait();

  // The one SIGINT. Later calls do nothing.
  void interrupt();

 private:
  Process(boost::asio::any_io_executor loop, Reaper& reaper, pid_t trampoline, int line, int output,
          int error, OnOutput on_output);
  Task<> read_all(Stream stream, boost::asio::posix::stream_descriptor& pipe);
  Task<> hear_trampoline();
  void drain(Stream stream, boost::asio::posix::stream_descriptor& pipe);

  Reaper& reaper_;
  pid_t trampoline_;
  boost::asio::posix::stream_descriptor line_;
  boost::asio::posix::stream_descriptor output_;
  boost::asio::posix::stream_descriptor error_;
  OnOutput on_output_;
  Signal ended_;
  pid_t child_ = 0;
  std::optional<int> status_;
  bool interrupted_ = false;
};

}  // namespace provisioner::runner
