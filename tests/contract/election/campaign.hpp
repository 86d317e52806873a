// A campaign that goes on while the test does something else.
#pragma once

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <chrono>

#include "tests/contract/election/places.hpp"

namespace provisioner::testing {

class Campaign {
 public:
  Campaign(Place& place, Election& election) : place_(place) {
    boost::asio::co_spawn(place.loop(), election.campaign(),
                          boost::asio::bind_cancellation_slot(
                              cancel_.slot(), [this](std::exception_ptr, Result<BootInstant> won) {
                                ended_ = true;
                                won_ = std::move(won);
                              }));
  }
  ~Campaign() {
    cancel();
    turn_until(place_.loop(), [&] { return ended_; });
  }

  bool ended() const { return ended_; }
  bool ends_within(std::chrono::milliseconds patience) {
    return turn_until(place_.loop(), [&] { return ended_; }, patience);
  }
  const Result<BootInstant>& won() const { return won_; }
  void cancel() {
    if (!ended_) cancel_.emit(boost::asio::cancellation_type::terminal);
  }

 private:
  Place& place_;
  boost::asio::cancellation_signal cancel_;
  bool ended_ = false;
  Result<BootInstant> won_ = fail(ErrorKind::kInternal, "not ended");
};

}  // namespace provisioner::testing
