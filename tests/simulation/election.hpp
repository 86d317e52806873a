// An election server in the manner of etcd (leases, a key, revisions), and the election that a
// simulated daemon plays with it.
#pragma once

#include <map>
#include <optional>
#include <set>

#include "election/election.hpp"
#include "tests/simulation/host.hpp"
#include "tests/simulation/link.hpp"
#include "tests/simulation/observer.hpp"

namespace provisioner::simulation {

// Linearizable; its own clock decides when a lease ends.
class ElectionServer {
 public:
  using Session = std::int64_t;
  explicit ElectionServer(World& world) : world_(world) {}

  Result<Session> grant(Duration ttl);
  // Takes the key if it is free; true when it belongs to `session`. Prolongs the lease.
  Result<bool> acquire(Session session);
  // kFenced when lease or key are gone.
  Result<bool> prove(Session session);
  Result<bool> resign(Session session);
  std::int64_t revision_of_key() const { return key_ ? key_->revision : 0; }
  std::int64_t highest_that_led = 0;  // only for a wrong design

  // Faults.
  bool away = false;
  void delete_key();                // by hand
  void revoke_all();                // leases end early
  void prolong_all(Duration time);  // a new leader of the cluster: leases end late
  void save_snapshot();
  void restore_snapshot();  // revisions go back, old leases live again

 private:
  struct Key {
    Session owner = 0;
    std::int64_t revision = 0;
  };
  struct State {
    std::optional<Key> key;
    std::map<Session, std::pair<Duration, Duration>> leases;  // ttl, end
    std::int64_t revision = 0;
  };
  void expire();
  // Others write to the cluster, too.
  void others_write();

  World& world_;
  Duration last_write_{0};
  std::optional<Key> key_;
  std::map<Session, std::pair<Duration, Duration>> leases_;
  std::int64_t revision_ = 0;
  Session last_session_ = 0;
  std::optional<State> snapshot_;
};

class SimulatedElection final : public Election {
 public:
  struct Parts {
    World& world;
    ElectionServer& server;
    const Link& link;
    Host& host;
    ProcessPtr daemon;
    Observer& observer;
    InstanceId me;
    ElectionTiming timing;
  };
  explicit SimulatedElection(Parts parts)
      : parts_(std::move(parts)), clock_(parts_.host, parts_.daemon) {}

  Task<Result<BootInstant>> campaign() override;
  Task<Result<BootInstant>> renew() override;
  Task<> resign() override;
  // Nothing in the simulation asks: views decide nothing, and a session of the dead ends by its
  // ttl.
  Task<Result<ElectionView>> observe() override { co_return ElectionView{}; }
  Task<Status> release(std::string) override {
    co_return fail(ErrorKind::kUnavailable, "nobody releases for the dead here");
  }
  ElectionTiming timing() const override { return parts_.timing; }
  std::string describe() const override { return "simulated"; }

 private:
  template <typename T>
  Task<Result<T>> ask(std::function<Result<T>()> at_server);
  BootInstant deadline_of(BootInstant sent) const;

  Parts parts_;
  HostClock clock_;
  std::optional<ElectionServer::Session> session_;
};

}  // namespace provisioner::simulation
