#include "runtime/clock.hpp"

#include <fmt/format.h>
#include <sys/timerfd.h>
#include <time.h>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <system_error>

namespace provisioner {
namespace {

Duration read_clock(clockid_t id) {
  timespec t{};
  clock_gettime(id, &t);
  return std::chrono::seconds(t.tv_sec) +
         std::chrono::duration_cast<Duration>(std::chrono::nanoseconds(t.tv_nsec));
}

// A machine that has no descriptor left for a timer cannot keep any promise about time: crash.
Task<> wait_timer(boost::asio::any_io_executor loop, clockid_t id, int flags, Duration at) {
  const int fd = timerfd_create(id, TFD_CLOEXEC | TFD_NONBLOCK);
  if (fd < 0) throw std::system_error(errno, std::generic_category(), "timerfd_create");
  boost::asio::posix::stream_descriptor timer(loop, fd);
  itimerspec spec{};
  // A zero it_value would disarm the timer instead of firing it.
  const auto nanos = std::chrono::nanoseconds(std::max(at, Duration(1))).count();
  spec.it_value.tv_sec = nanos / 1'000'000'000;
  spec.it_value.tv_nsec = nanos % 1'000'000'000;
  if (timerfd_settime(fd, flags, &spec, nullptr) != 0) {
    throw std::system_error(errno, std::generic_category(), "timerfd_settime");
  }
  boost::system::error_code ignored_cancellation;
  co_await timer.async_wait(
      boost::asio::posix::stream_descriptor::wait_read,
      boost::asio::redirect_error(boost::asio::use_awaitable, ignored_cancellation));
}

}  // namespace

Task<> Clock::sleep_for(Duration d) { co_await sleep_until(boot_now() + d); }

Instant SystemClock::now() const { return Instant(read_clock(CLOCK_REALTIME)); }

BootInstant SystemClock::boot_now() const { return BootInstant(read_clock(CLOCK_BOOTTIME)); }

Task<> SystemClock::sleep_until(BootInstant deadline) {
  co_await wait_timer(loop_, CLOCK_BOOTTIME, TFD_TIMER_ABSTIME, deadline.time_since_epoch());
}

Task<> SystemClock::sleep_until_wall(Instant at) {
  co_await wait_timer(loop_, CLOCK_REALTIME, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET,
                      at.time_since_epoch());
}

}  // namespace provisioner
