// What a workspace needs besides its schedule: changes, the ttl, the retry of a failed destroy, and
// runs that wait for other workspaces. Pure.
#pragma once

#include <optional>
#include <string>

#include "base/time.hpp"
#include "model/run.hpp"
#include "scheduler/situation.hpp"

namespace provisioner {

struct Waiting {
  RunId run;
  std::string waiting_for;  // "" = released
  friend bool operator==(const Waiting&, const Waiting&) = default;
};

// At most one of `run` and `waiting` is set.
struct Decision {
  std::optional<NewRun> run;         // its id is still empty
  std::optional<Instant> clear_ttl;  // the ttl is used up or stale
  bool clear_retry = false;
  std::optional<Waiting> waiting;  // the queued run waits for something else now
  std::string sentence;            // "" = nothing to do

  bool nothing() const { return !run && !clear_ttl && !clear_retry && !waiting; }
};

// For a moment at which plan() found nothing that acts.
Decision reconcile(const Situation& s);

// The next instant at which reconcile() may decide otherwise without any event: a ttl, a retry or
// the end of a hold. nullopt: only an event can change its mind.
std::optional<Instant> next_look(const Situation& s);

}  // namespace provisioner
