// Why and until when an attempt may go on. One object that everything in the runner looks at.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/time.hpp"
#include "model/run.hpp"
#include "runtime/signal.hpp"

namespace provisioner::runner {

enum class StopCause {
  kCancelled,  // somebody asked
  kTimedOut,   // the run's own timeout
  kFenced,     // the attempt is over for the store: nothing it says counts
  kLeaseLost,  // no heartbeat was acknowledged in time
  kGuardDied,
  kTerminated,  // a signal asked this process to end
};

// "the run was cancelled", for log and result.
std::string sentence_of(StopCause cause);

// What an attempt that was stopped ends as; kInterrupted is tried again.
RunStatus status_of(StopCause cause);

// The lease and the one decision to stop. The first cause stays, but that kFenced overrides all.
class Course {
 public:
  struct Lease {
    Duration length{0}, margin{0}, stop_allowance{0};
  };

  explicit Course(const boost::asio::any_io_executor& loop) : stopped_(loop) {}

  // Before the registration: `deadline` as the guard knows it.
  void begin(BootInstant deadline, Lease lease);

  // The registration sent at `sent` was acknowledged with this lease. Returns the deadline.
  BootInstant grant(BootInstant sent, Lease lease);

  // A request sent at `sent` was acknowledged. Returns the new deadline: nothing of the attempt may
  // live after it.
  BootInstant renew(BootInstant sent);

  BootInstant deadline() const { return deadline_; }
  // When to begin to stop, so that everything has ended by the deadline.
  BootInstant stop_at() const { return deadline_ - lease_.stop_allowance; }

  void stop(StopCause cause, BootInstant now);
  bool stopping() const { return cause_.has_value(); }
  bool fenced() const { return cause_ == StopCause::kFenced; }
  std::optional<StopCause> cause() const { return cause_; }
  // When what did not stop is killed. Only while stopping.
  BootInstant kill_at() const;
  // How long to go on asking the daemon for something that tofu waits for: while tofu works, until
  // the lease makes it stop; while it stops, for the first quarter of its time.
  BootInstant patience_ends() const;

  // Called once, when the stop begins.
  void on_stop(std::function<void()> listener) { listeners_.push_back(std::move(listener)); }
  Task<> until_stopped() { return stopped_.wait(); }

 private:
  BootInstant deadline_;
  Lease lease_;
  std::optional<StopCause> cause_;
  BootInstant stopped_at_;
  std::vector<std::function<void()>> listeners_;
  Signal stopped_;
};

}  // namespace provisioner::runner
