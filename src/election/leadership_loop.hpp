// Keeps this instance in the race for leadership, for as long as it lives.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "election/election.hpp"
#include "election/term.hpp"
#include "runtime/backoff.hpp"
#include "runtime/clock.hpp"
#include "runtime/random.hpp"
#include "runtime/signal.hpp"
#include "store/store.hpp"
#include "telemetry/log.hpp"

namespace provisioner {

// session -> campaign -> claim a term -> lead -> (lost | resigned) -> a new session.
// When a person asks for another leader, this one resigns, and candidates that are not meant let
// the others go first, for the length of a ttl. Leading needs both the election and the store: a
// leader that the store answered nothing for a whole ttl resigns. Loop only. The references outlive
// run().
class LeadershipLoop {
 public:
  LeadershipLoop(const boost::asio::any_io_executor& loop, Election& election, Store& store,
                 Clock& clock, Random& random, InstanceId me, Logger log);

  // Returns after stop(), when leadership has been handed back to the store and the election.
  Task<> run();
  void stop();

  // While true, this instance neither leads nor campaigns: a person drains it.
  void stand_aside(bool aside);

  // The fence for decisions, while this instance leads and its deadline has not passed: the clock
  // is read at each call, so ask again after every await (I6).
  std::optional<LeaderFence> fence() const;

  // Until when fence() holds if nothing renews it; absent while this instance does not lead.
  std::optional<BootInstant> deadline() const;

  // Called on the loop whenever the answer of fence() became another one, except by the mere
  // passing of the deadline.
  void on_change(std::function<void()> listener) { listeners_.push_back(std::move(listener)); }

 private:
  Task<Status> lead_once();
  // Whether, by this row, somebody else was asked to lead, and may still be expected to.
  bool must_yield(const Leadership& row);
  Task<> let_others_first();
  // To the store and the election; nothing is decided any more.
  Task<> hand_back(LeaderFence fence);
  Task<> tell(std::string action, Term term, std::string outcome);
  Task<Result<BootInstant>> campaign_or_stop();
  // Renews until leadership is lost (the error says why) or stop() is called.
  Task<Status> stay_leader();
  void become(std::optional<WonTerm> won);

  Election& election_;
  Store& store_;
  Clock& clock_;
  Random& random_;
  InstanceId me_;
  Logger log_;
  Store::Subscription subscription_;
  Signal look_;
  bool stopping_ = false;
  bool aside_ = false;
  // The wish for another leader that this instance follows at present.
  struct Yielding {
    std::string wish;
    BootInstant until;
  };
  std::optional<Yielding> yielding_;
  std::optional<WonTerm> won_;
  std::vector<std::function<void()>> listeners_;
};

}  // namespace provisioner
