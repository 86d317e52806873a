// The only door to time. Decisions take instants as arguments; shells get a Clock.
#pragma once

#include <boost/asio/any_io_executor.hpp>

#include "base/time.hpp"
#include "runtime/task.hpp"

namespace provisioner {

// A simulated implementation may stand in for the system's: nothing else in the project reads time.
class Clock {
 public:
  virtual ~Clock() = default;

  // CLOCK_REALTIME: may jump in both directions.
  virtual Instant now() const = 0;

  // CLOCK_BOOTTIME: counts through suspend, never jumps.
  virtual BootInstant boot_now() const = 0;

  // Returns at or after `deadline`; a deadline in the past returns at once. Cancellable by asio
  // cancellation; it then returns early without an exception.
  virtual Task<> sleep_until(BootInstant deadline) = 0;

  // Returns at or after the wall clock shows `at`, or as soon as somebody sets the wall clock: the
  // caller looks at now() again. Cancellable like sleep_until.
  virtual Task<> sleep_until_wall(Instant at) = 0;

  Task<> sleep_for(Duration d);
};

// timerfd on CLOCK_BOOTTIME, and on CLOCK_REALTIME with TFD_TIMER_CANCEL_ON_SET.
class SystemClock final : public Clock {
 public:
  explicit SystemClock(boost::asio::any_io_executor loop) : loop_(std::move(loop)) {}

  Instant now() const override;
  BootInstant boot_now() const override;
  Task<> sleep_until(BootInstant deadline) override;
  Task<> sleep_until_wall(Instant at) override;

 private:
  boost::asio::any_io_executor loop_;
};

}  // namespace provisioner
