// Time in a test's hands.
#pragma once

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <functional>
#include <list>
#include <optional>
#include <stdexcept>

#include "runtime/clock.hpp"

namespace provisioner::testing {

// Stands still unless it is moved. Sleepers wake when the loop is turned afterwards. Loop only.
class SimulatedClock final : public Clock {
 public:
  SimulatedClock(boost::asio::io_context& loop, Instant wall) : loop_(loop), wall_(wall) {}

  Instant now() const override { return wall_; }
  BootInstant boot_now() const override { return boot_; }

  Task<> sleep_until(BootInstant deadline) override {
    if (deadline > boot_) co_await sleep({.boot = deadline});
  }
  Task<> sleep_until_wall(Instant at) override {
    if (at > wall_) co_await sleep({.wall = at});
  }

  // As much time passes on both clocks.
  void advance(Duration d) {
    boot_ += d;
    wall_ += d;
    wake([this](const Sleeper& s) {
      return (s.boot && *s.boot <= boot_) || (s.wall && *s.wall <= wall_);
    });
  }
  void advance_to(Instant at) { advance(at - wall_); }

  // Somebody sets the wall clock: those who wait for it look again.
  void set_wall(Instant at) {
    wall_ = at;
    wake([](const Sleeper& s) { return s.wall.has_value(); });
  }

  std::size_t sleepers() const { return sleepers_.size(); }

 private:
  struct Sleeper {
    std::optional<BootInstant> boot;
    std::optional<Instant> wall;
    boost::asio::steady_timer* timer = nullptr;
  };

  Task<> sleep(Sleeper sleeper) {
    boost::asio::steady_timer timer(loop_, std::chrono::steady_clock::time_point::max());
    sleeper.timer = &timer;
    const auto place = sleepers_.insert(sleepers_.end(), sleeper);
    boost::system::error_code cancelled_is_the_wake_up;
    co_await timer.async_wait(
        boost::asio::redirect_error(boost::asio::use_awaitable, cancelled_is_the_wake_up));
    sleepers_.erase(place);
  }

  void wake(const std::function<bool(const Sleeper&)>& is_due) {
    for (const auto& sleeper : sleepers_) {
      if (is_due(sleeper)) sleeper.timer->cancel();
    }
  }

  boost::asio::io_context& loop_;
  Instant wall_;
  BootInstant boot_{std::chrono::hours(1)};
  std::list<Sleeper> sleepers_;
};

// Turns the loop until `condition` holds; false when `patience` (of real time) is over.
inline bool turn_until(boost::asio::io_context& loop, const std::function<bool()>& condition,
                       std::chrono::milliseconds patience = std::chrono::seconds(20)) {
  const auto end = std::chrono::steady_clock::now() + patience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() >= end) return false;
    loop.restart();
    loop.run_one_for(std::chrono::milliseconds(5));
  }
  return true;
}

}  // namespace provisioner::testing
