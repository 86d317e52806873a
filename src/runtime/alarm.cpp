#include "runtime/alarm.hpp"

#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <cerrno>
#include <cstdint>
#include <system_error>

namespace provisioner {

// Lives as long as the wait on the timer does, which may outlive the alarm by a turn of the loop.
struct Alarm::State : std::enable_shared_from_this<State> {
  State(const boost::asio::any_io_executor& loop, int fd, std::function<void()> what)
      : timer(loop, fd), ring(std::move(what)) {}

  void wait() {
    timer.async_wait(
        boost::asio::posix::stream_descriptor::wait_read,
        [self = shared_from_this(), era = era](const boost::system::error_code& error) {
          if (error || era != self->era) return;
          ++self->era;
          // The timer may have been set later after it had become readable.
          std::uint64_t expirations = 0;
          const auto got = ::read(self->timer.native_handle(), &expirations, sizeof expirations);
          if (got == sizeof expirations) return self->ring();
          self->wait();
        });
  }

  boost::asio::posix::stream_descriptor timer;
  std::function<void()> ring;
  std::uint64_t era = 0;  // a wait counts only in its own
};

Alarm::Alarm(const boost::asio::any_io_executor& loop, std::function<void()> ring) {
  const int fd = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
  // As in runtime/clock.cpp: without timers no promise about time can be kept.
  if (fd < 0) throw std::system_error(errno, std::generic_category(), "timerfd_create");
  state_ = std::make_shared<State>(loop, fd, std::move(ring));
}

Alarm::~Alarm() {
  ++state_->era;
  boost::system::error_code closed_all_the_same;
  state_->timer.close(closed_all_the_same);
}

void Alarm::set(BootInstant at) {
  clear();
  itimerspec spec{};
  // A zero it_value would disarm the timer instead of firing it.
  const auto nanos = std::chrono::nanoseconds(std::max(at.time_since_epoch(), Duration(1))).count();
  spec.it_value.tv_sec = nanos / 1'000'000'000;
  spec.it_value.tv_nsec = nanos % 1'000'000'000;
  if (timerfd_settime(state_->timer.native_handle(), TFD_TIMER_ABSTIME, &spec, nullptr) != 0) {
    throw std::system_error(errno, std::generic_category(), "timerfd_settime");
  }
  state_->wait();
}

void Alarm::clear() {
  ++state_->era;
  boost::system::error_code nothing_waits;
  state_->timer.cancel(nothing_waits);
}

}  // namespace provisioner
