// A wake-up for coroutines on one loop: "look again".
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>

#include "runtime/clock.hpp"
#include "runtime/task.hpp"

namespace provisioner {

// notify() wakes everyone who waits and is remembered for the next who comes, so a wake-up between
// "I looked" and "I wait" is not lost. Not thread-safe: loop only.
class Signal {
 public:
  explicit Signal(const boost::asio::any_io_executor& loop) : wake_(loop) {
    wake_.expires_at(boost::asio::steady_timer::time_point::max());
  }

  void notify();

  // True when notified, false when `deadline` came first.
  Task<bool> wait_until(Clock& clock, BootInstant deadline);

  // Returns when notified, or when the awaiting coroutine is cancelled.
  Task<> wait();

 private:
  boost::asio::steady_timer wake_;
  bool pending_ = false;
};

}  // namespace provisioner
