// What may be concluded about an attempt that the store shows as running. Pure: facts in, a verdict
// with its reason out; the same sentence goes to the log and the run.
#pragma once

#include <string>

#include "execution/process_proof.hpp"
#include "model/run.hpp"

namespace provisioner::execution {

enum class GuardState {
  kUnknown,  // never registered, or not ours to look at
  kAlive,    // a process with its pid and its start time lives
  kDead,
};

struct AttemptFacts {
  AttemptRow row;
  InstanceId me;
  Habitat here;
  // This daemon has claimed it and is about to start its guard, or sees its guard alive.
  bool in_hand = false;
  GuardState guard = GuardState::kUnknown;
  bool lease_expired = false;  // as LeaseObserver saw it
};

enum class AdoptionAction {
  kWatch,        // the guard lives: wait for its end
  kEnd,          // kill the process set, prove it empty, sweep, then report it interrupted
  kEndUnproved,  // its lease has ended where we cannot look: report it interrupted, sweep nothing
  kWait,         // nothing may be said yet
};

struct AdoptionVerdict {
  AdoptionAction action = AdoptionAction::kWait;
  std::string reason;
};

AdoptionVerdict judge(const AttemptFacts& facts);

}  // namespace provisioner::execution
