#include "runtime/signal.hpp"

#include <boost/asio/cancellation_state.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "runtime/alarm.hpp"
#include "runtime/first_of.hpp"

namespace provisioner {
namespace {

bool is_cancelled(const boost::asio::cancellation_state& waiter) {
  return waiter.cancelled() != boost::asio::cancellation_type::none;
}

}  // namespace

// The timer never rings. Its expiry counts the notifications, so that whoever is woken knows
// whether it was one.
void Signal::notify() {
  pending_ = true;
  wake_.expires_at(wake_.expiry() - boost::asio::steady_timer::duration(1));
}

Task<> Signal::wait() {
  const auto waiter = co_await boost::asio::this_coro::cancellation_state;
  const auto before = wake_.expiry();
  while (!pending_ && wake_.expiry() == before && !is_cancelled(waiter)) {
    boost::system::error_code cancelled_is_the_wake_up;
    co_await wake_.async_wait(
        boost::asio::redirect_error(boost::asio::use_awaitable, cancelled_is_the_wake_up));
  }
  pending_ = false;
}

Task<bool> Signal::wait_until(Clock& clock, BootInstant deadline) {
  if (pending_) {
    pending_ = false;
    co_return true;
  }
  if (dynamic_cast<SystemClock*>(&clock) == nullptr) {  // a simulated one has no alarms
    co_return co_await first_of(wait(), clock.sleep_until(deadline)) == 0;
  }
  // The same without two coroutines and what waits for the first of them: few things are done as
  // often. Others who wait may be woken, too, and wait on.
  Alarm alarm(wake_.get_executor(), [this] { wake_.cancel(); });
  alarm.set(deadline);
  const auto waiter = co_await boost::asio::this_coro::cancellation_state;
  const auto before = wake_.expiry();
  do {
    boost::system::error_code cancelled_is_the_wake_up;
    co_await wake_.async_wait(
        boost::asio::redirect_error(boost::asio::use_awaitable, cancelled_is_the_wake_up));
  } while (wake_.expiry() == before && !is_cancelled(waiter) && clock.boot_now() < deadline);
  if (wake_.expiry() == before) co_return false;
  pending_ = false;
  co_return true;
}

}  // namespace provisioner
