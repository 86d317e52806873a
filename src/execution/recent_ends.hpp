// Whether the store still knows what it acknowledged.
#pragma once

#include <deque>
#include <optional>
#include <string>

#include "base/ids.hpp"
#include "base/time.hpp"
#include "model/on_interrupt.hpp"
#include "model/run.hpp"
#include "runtime/clock.hpp"
#include "runtime/task.hpp"
#include "store/store.hpp"
#include "telemetry/log.hpp"

namespace provisioner::execution {

// The ends of attempts that the store acknowledged to this daemon lately. A database with
// asynchronous replication forgets some of them when it fails over to a server without the last
// commits, and then nothing in it says that resources are further than their states: this daemon
// does. Every fail-over ends the leader's term, so it asks again after each change of the term.
// Loop only; what an earlier daemon was told is gone with it.
class RecentEnds {
 public:
  struct Parts {
    Store& store;
    Clock& clock;
    Logger log;
    InstanceId me;
    OnInterrupt on_interrupt = OnInterrupt::kHold;
  };
  explicit RecentEnds(Parts parts) : parts_(std::move(parts)) {}

  void acknowledged(const Run& run, const AttemptResult& result);

  // Until cancelled: whoever is missing is logged and recorded as a cluster event, and its
  // workspace is held for a person, unless runs.on_interrupt says to go on.
  Task<> run();
  // One look; false when the store did not answer all of it.
  Task<bool> look();

  static constexpr Duration kLookEvery = std::chrono::seconds(5);
  // No stand-by that is worth promoting is further behind.
  static constexpr Duration kRemembered = std::chrono::minutes(10);
  static constexpr std::size_t kMost = 1000;

 private:
  struct End {
    Run run;
    RunStatus status = RunStatus::kSucceeded;
    Instant at;
    BootInstant remembered_since;
  };
  Task<bool> check(End end);
  Task<> tell(End end, bool is_unknown);

  Parts parts_;
  std::deque<End> ends_;  // oldest first
  std::optional<LeaderFence> looked_in_;
};

}  // namespace provisioner::execution
