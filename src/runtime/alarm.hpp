// A deadline that rings: cheap to set and to clear again for every request of a connection.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <functional>
#include <memory>

#include "base/time.hpp"

namespace provisioner {

// One timerfd on CLOCK_BOOTTIME. Calls `ring` on the loop at or after the deadline, once, unless
// cleared or set anew before. Only an alarm that is set keeps the loop at work. Loop only.
class Alarm {
 public:
  Alarm(const boost::asio::any_io_executor& loop, std::function<void()> ring);
  ~Alarm();
  Alarm(const Alarm&) = delete;
  Alarm& operator=(const Alarm&) = delete;

  void set(BootInstant at);
  void clear();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace provisioner
