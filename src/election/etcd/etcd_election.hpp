// The election through etcd.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <cstdint>
#include <optional>
#include <string>

#include "base/ids.hpp"
#include "election/election.hpp"
#include "election/etcd/members.hpp"
#include "runtime/clock.hpp"
#include "runtime/random.hpp"
#include "runtime/signal.hpp"

namespace provisioner {

// A candidate's session is a lease and one key that hangs on it, below a common prefix; the keys
// are a queue in the order of their creation, and its head may lead. That it is the head is
// believed only of a linearizable transaction, made at the same member that has just prolonged the
// lease; that somebody else's key went away (a watch) is a reason to look sooner and no more.
// Revisions order the queue and fence nothing: they go back when etcd is restored from a snapshot.
class EtcdElection final : public Election {
 public:
  // `timing.ttl` is rounded up to whole seconds, and further by etcd; timing() then says what it
  // granted. The references outlive the object.
  EtcdElection(const boost::asio::any_io_executor& loop, Clock& clock, Random& random,
               EtcdSettings settings, ElectionTiming timing, InstanceId me,
               Incarnation incarnation);
  ~EtcdElection() override;

  Task<Result<BootInstant>> campaign() override;
  Task<Result<BootInstant>> renew() override;
  Task<> resign() override;
  Task<Result<ElectionView>> observe() override;
  Task<Status> release(std::string token) override;
  ElectionTiming timing() const override { return timing_; }
  std::string describe() const override;

 private:
  struct Session {
    std::int64_t lease = 0;
    std::string key;
    std::int64_t create_revision = 0;  // 0 = not known yet
    BootInstant deadline{};            // when the lease may have ended, less the margin
    bool won = false;
  };
  struct Look {
    BootInstant deadline{};
    etcd::Standing standing;
  };

  Task<Status> open_session();
  // Looks who is the head of the queue, after prolonging the lease if asked to. kFenced: the
  // session is lost.
  Task<Result<Look>> look(bool prolong);
  Task<> queue(Result<BootInstant>& won);
  Task<> watch_queue();
  Task<Status> give_up(Session session);

  Clock& clock_;
  Random& random_;
  EtcdSettings settings_;
  ElectionTiming timing_;
  InstanceId me_;
  Incarnation incarnation_;
  etcd::Members members_;
  etcd::Members watched_;   // a watch takes its connection for itself
  etcd::Members observed_;  // so do questions from elsewhere
  bool observing_ = false;
  Signal hint_;
  std::optional<Session> session_;
};

}  // namespace provisioner
