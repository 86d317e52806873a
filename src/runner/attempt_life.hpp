// What goes on beside the steps of an attempt, for as long as it lives: heartbeats, the watch for a
// cancel, the log's way to the daemon, the guard's line, and the clock that ends it all.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/signal_set.hpp>
#include <cstdint>
#include <memory>
#include <string>

#include "runner/daemon.hpp"
#include "runner/log_spool.hpp"
#include "runner/process.hpp"
#include "runner/process_set.hpp"
#include "runner/protocol.hpp"
#include "runner/stop.hpp"
#include "runtime/clock.hpp"
#include "runtime/task.hpp"

namespace provisioner::runner {

// Loop only. The coroutines that begin() starts refer to this object until the loop has stopped.
class AttemptLife {
 public:
  struct Parts {
    boost::asio::any_io_executor loop;
    Clock& clock;
    Daemon& daemon;
    Course& course;
    Reaper& reaper;
    std::string tag;  // of the attempt, as its processes carry it
    pid_t guard = 0;
    int guard_line = -1;
  };
  explicit AttemptLife(Parts parts);

  // From the start on: the guard's line, signals, and the end of the first lease.
  void begin();

  // `registered_at` is when the acknowledged registration was sent: the run's timeout counts from
  // it.
  void go_on(const Assignment& assignment, BootInstant registered_at);

  // Sends `log` on as it grows.
  void ship(const LogSpool& log);

  // What of the log goes with the result, because it has not arrived yet: a batch at most, what
  // stood before it was sent. `text` is empty when nothing is left, or it cannot be sent. Nothing
  // is sent from here afterwards.
  struct LogEnd {
    std::int64_t offset = 0;
    std::string text;
  };
  Task<LogEnd> end_of_log();

  // Kills all processes of the attempt but the guard and this one, until this one has no
  // descendant.
  Task<> end_the_others();

  // Tells the guard that the rest is its affair.
  void finished();

 private:
  void stop(StopCause cause);
  void tell_deadline();
  Task<> hear_guard();
  Task<> hear_signals();
  Task<> keep_time();
  Task<> kill_when_time_is_up();
  Task<> beat(BootInstant registered_at);
  Task<> watch();
  Task<> ship_log();
  // Stops when the daemon says that the attempt is over or cancelled.
  void heed(const Result<http::Response>& answer);

  Parts parts_;
  boost::asio::posix::stream_descriptor guard_line_;
  boost::asio::signal_set signals_;
  std::unique_ptr<ProcessSet> processes_;  // made when something is to be killed
  Signal moved_;                           // a deadline or the timeout is another one now
  Signal ship_now_;                        // nothing more comes: the log need not gather
  bool ending_ = false;                    // the same
  Signal shipped_all_but_the_end_;
  Duration heartbeat_ = std::chrono::seconds(10);
  std::optional<BootInstant> timeout_at_;
  const LogSpool* log_ = nullptr;
  std::int64_t shipped_ = 0;
  bool shipping_ = false;  // ship_log() is at work
  bool cannot_ship_ = false;
};

}  // namespace provisioner::runner
