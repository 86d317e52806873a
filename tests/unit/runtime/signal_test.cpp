#include "runtime/signal.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <exception>
#include <thread>

#include "runtime/offload.hpp"

namespace provisioner {
namespace {

using namespace std::chrono_literals;

TEST(Signal, WakesAWaiterAndReportsIt) {
  boost::asio::io_context loop;
  SystemClock clock(loop.get_executor());
  Signal signal(loop.get_executor());
  std::optional<bool> notified;
  boost::asio::co_spawn(
      loop,
      [&]() -> Task<> { notified = co_await signal.wait_until(clock, clock.boot_now() + 60s); },
      boost::asio::detached);
  boost::asio::post(loop, [&] { signal.notify(); });
  loop.run();
  EXPECT_EQ(notified, true);
}

TEST(Signal, RemembersAWakeUpThatCameBeforeTheWait) {
  boost::asio::io_context loop;
  SystemClock clock(loop.get_executor());
  Signal signal(loop.get_executor());
  signal.notify();
  std::optional<bool> notified;
  boost::asio::co_spawn(
      loop,
      [&]() -> Task<> { notified = co_await signal.wait_until(clock, clock.boot_now() + 60s); },
      boost::asio::detached);
  loop.run();
  EXPECT_EQ(notified, true);
}

TEST(Signal, EndsAWaitAtItsOwnDeadlineOnly) {
  boost::asio::io_context loop;
  SystemClock clock(loop.get_executor());
  Signal signal(loop.get_executor());
  std::optional<bool> early, late, without_deadline;
  const auto start = clock.boot_now();
  boost::asio::co_spawn(
      loop,
      [&]() -> Task<> {
        early = co_await signal.wait_until(clock, start + 10ms);
        EXPECT_FALSE(late || without_deadline) << "these wait on";
        signal.notify();
      },
      boost::asio::detached);
  boost::asio::co_spawn(
      loop, [&]() -> Task<> { late = co_await signal.wait_until(clock, start + 60s); },
      boost::asio::detached);
  boost::asio::co_spawn(
      loop,
      [&]() -> Task<> {
        co_await signal.wait();
        without_deadline = true;
      },
      boost::asio::detached);
  loop.run();
  EXPECT_EQ(early, false);
  EXPECT_EQ(late, true);
  EXPECT_EQ(without_deadline, true) << "a notification wakes all who wait";
}

TEST(Signal, ReportsTheDeadline) {
  boost::asio::io_context loop;
  SystemClock clock(loop.get_executor());
  Signal signal(loop.get_executor());
  std::optional<bool> notified;
  const auto start = clock.boot_now();
  boost::asio::co_spawn(
      loop, [&]() -> Task<> { notified = co_await signal.wait_until(clock, start + 20ms); },
      boost::asio::detached);
  loop.run();
  EXPECT_EQ(notified, false);
  EXPECT_GE(clock.boot_now(), start + 20ms);
}

TEST(Clock, WallSleepUntilAPastInstantReturnsAtOnce) {
  boost::asio::io_context loop;
  SystemClock clock(loop.get_executor());
  bool woke = false;
  boost::asio::co_spawn(
      loop,
      [&]() -> Task<> {
        co_await clock.sleep_until_wall(clock.now() - 1h);
        co_await clock.sleep_until_wall(Instant(Duration(0)));
        woke = true;
      },
      boost::asio::detached);
  loop.run();
  EXPECT_TRUE(woke);
}

TEST(Offload, RunsElsewhereAndResumesOnTheLoop) {
  boost::asio::io_context loop;
  Offload offload(1);
  const auto loop_thread = std::this_thread::get_id();
  std::thread::id work_thread;
  std::thread::id after;
  boost::asio::co_spawn(
      loop,
      [&]() -> Task<> {
        work_thread = co_await offload.run([] { return std::this_thread::get_id(); });
        after = std::this_thread::get_id();
      },
      boost::asio::detached);
  loop.run();
  EXPECT_TRUE(work_thread != loop_thread);
  EXPECT_TRUE(after == loop_thread);
}

TEST(Offload, LetsACancelledCallerWaitForWorkThatHasBegun) {
  boost::asio::io_context loop;
  Offload offload(2);
  std::atomic<bool> begun = false, cancelled = false, worked = false;
  boost::asio::cancellation_signal cancel;
  std::exception_ptr thrown;
  boost::asio::co_spawn(
      loop,
      [&]() -> Task<> {
        co_await offload.run([&] {
          begun = true;
          while (!cancelled) std::this_thread::yield();
          // The cancellation has its own way to the pool: it gets the time to come first.
          std::this_thread::sleep_for(10ms);
          return worked = true;
        });
      },
      boost::asio::bind_cancellation_slot(cancel.slot(),
                                          [&](std::exception_ptr error) { thrown = error; }));
  while (!begun) loop.run_for(1ms);
  cancel.emit(boost::asio::cancellation_type::terminal);
  cancelled = true;
  loop.run();
  EXPECT_TRUE(worked);
}

}  // namespace
}  // namespace provisioner
