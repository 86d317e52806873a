// The election through the PostgreSQL that is the store.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <functional>
#include <memory>
#include <string>

#include "base/ids.hpp"
#include "election/election.hpp"
#include "runtime/clock.hpp"
#include "runtime/random.hpp"
#include "runtime/signal.hpp"
#include "store/postgres_settings.hpp"

namespace provisioner {

namespace postgres {
class Connection;
class Pool;
}  // namespace postgres

// A session is a row of `leader_election` with a random claim, and every step is one statement that
// compares the claim. The row's `lease_expiry` is for people: nobody's wall clock ends a session. A
// candidate takes the row over when it was freed, or when the candidate itself saw it unchanged for
// its whole time to live on its own CLOCK_BOOTTIME. No advisory lock: a stopped process would hold
// it for ever. That somebody resigned is told by a notification, a reason to look sooner.
//
// The store has been opened before (it makes the table). It uses connections of its own, three at
// most, so that a renewal never queues behind the store's work.
class PostgresElection final : public Election {
 public:
  // The references outlive the object.
  PostgresElection(const boost::asio::any_io_executor& loop, Clock& clock, Random& random,
                   PostgresSettings settings, ElectionTiming timing, InstanceId me);
  ~PostgresElection() override;

  Task<Result<BootInstant>> campaign() override;
  Task<Result<BootInstant>> renew() override;
  Task<> resign() override;
  Task<Result<ElectionView>> observe() override;
  Task<Status> release(std::string token) override;
  ElectionTiming timing() const override { return timing_; }
  std::string describe() const override { return "postgres"; }

 private:
  struct Seat {
    ClaimId claim;  // empty: free
    InstanceId leader;
    Instant expiry;      // changes with every renewal
    Duration granted{};  // how long a renewal lasts
    Duration left{};     // by the server's clock, for people

    bool is_same_as(const Seat& other) const {
      return claim == other.claim && expiry == other.expiry;
    }
  };
  template <typename T>
  using Work = std::function<Task<T>(postgres::Connection&, BootInstant deadline)>;

  // Runs `work` to its end, or to `patience`, even when the caller is cancelled.
  template <typename T>
  Task<Result<T>> ask(Duration patience, Work<T> work);
  Task<Result<Seat>> look(Duration patience);
  Task<Result<bool>> take(Seat seen);
  Task<Status> give_up(ClaimId claim);
  Task<> compete(Result<BootInstant>& won);
  Task<> listen();

  boost::asio::any_io_executor loop_;
  Clock& clock_;
  Random& random_;
  ElectionTiming timing_;
  InstanceId me_;
  std::shared_ptr<postgres::Pool> pool_;
  Signal hint_;
  ClaimId claim_;  // of the session; empty without one
  bool won_ = false;
  BootInstant deadline_{};
};

}  // namespace provisioner
