#include "runtime/signal.hpp"

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "runtime/first_of.hpp"

namespace provisioner {

void Signal::notify() {
  pending_ = true;
  wake_.cancel();
}

Task<> Signal::wait() {
  if (!pending_) {
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
  co_return co_await first_of(wait(), clock.sleep_until(deadline)) == 0;
}

}  // namespace provisioner
