// This instance among the others: its row, its beats, what people ask of it.
#pragma once

#include <functional>
#include <string>

#include "base/error.hpp"
#include "model/leadership.hpp"
#include "runtime/clock.hpp"
#include "runtime/signal.hpp"
#include "runtime/task.hpp"
#include "store/store.hpp"
#include "telemetry/log.hpp"

namespace provisioner {

// Loop only. The references outlive run().
class Membership {
 public:
  struct Parts {
    boost::asio::any_io_executor loop;
    Store& store;
    Clock& clock;
    Logger log;
    std::function<bool()> ready;    // whether this instance serves
    std::function<void()> changed;  // draining, clock or id are not as they were
  };
  // `me` with id, incarnation, version, home and start.
  Membership(Parts parts, Instance me);

  // Takes the row of this instance's id. kConflict when another instance lives under it: one whose
  // row still moves while it is watched. An earlier incarnation of the same home is dead, since
  // this one holds the lock on its state directory.
  Task<Status> enter();

  // Beats until cancelled, or until another instance has taken the id: then id_lost() says who.
  Task<> run();

  // Says good-bye, so that nobody waits for this instance.
  Task<> leave();

  // Whether no other instance was alive when this one entered.
  bool was_first() const { return was_first_; }

  bool draining() const { return draining_; }
  // False while this host's clock and the store's differ by more than kClockTolerance: it may not
  // plan then.
  bool clock_agrees() const { return clock_agrees_; }
  const std::string& id_lost() const { return id_lost_; }

  static constexpr Duration kBeatEvery = std::chrono::seconds(5);
  static constexpr Duration kClockTolerance = std::chrono::seconds(5);

 private:
  Instance now() const;
  Task<> beat();
  Task<Status> enter_again(Error taken);
  Task<> compare_clocks();

  Parts parts_;
  Instance me_;
  Signal look_;
  Store::Subscription subscription_;
  bool was_first_ = false;
  bool draining_ = false;
  bool clock_agrees_ = true;
  std::string id_lost_;
};

}  // namespace provisioner
