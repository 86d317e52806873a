// The wrong designs that the simulator must notice (docs/simulation.md says what each is). One at a
// time, switched on at run time.
#pragma once

#include <array>
#include <string_view>

namespace provisioner::simulation {

enum class Mutation {
  kNone,
  // In the simulated outside world: an adapter or a store that does it wrong.
  kDeadlineFromAnswer,      // the election's deadline counts from the answer, not from the request
  kObservedLeader,          // "still me" is taken from a late notification instead of a proof
  kNoTermFence,             // the store takes decisions of any term
  kRevisionAsFence,         // the election's revision stands in for the store's term
  kNoAttemptFence,          // the store takes states of any attempt
  kDeathOfOnePid,           // the guard is dead, so the process set is
  kEndedWithoutComparison,  // an attempt is ended although it has moved on
  kLostSessionWaits,        // a candidate whose session ended waits for ever
  kLeaseFromAnswer,         // the runner's lease counts from the answer, not from the request
  // In copies of the product's own files (mutations.txt).
  kDeadlineIgnored,     // the deadline is not looked at when the fence is asked for
  kNoNewCampaign,       // after a defeat nobody campaigns again
  kLeaderWithoutStore,  // a leader that the store does not answer stays
  kProofBeforeReading,  // a term is claimed with a proof older than the row it replaces
  kLateWin,             // a win that was answered too late counts
  kNoCheckAfterAwait,   // nobody looks again after the store was read
  kWallClockLease,      // run leases end by the wall clock
  kEndedWithoutTerm,    // the attempts of others are ended without a term
};

inline Mutation active_mutation = Mutation::kNone;  // one thread, one simulation at a time
inline bool mutated(Mutation which) { return active_mutation == which; }

struct NamedMutation {
  Mutation mutation;
  std::string_view name;
};
inline constexpr std::array kMutations = {
    NamedMutation{Mutation::kDeadlineFromAnswer, "deadline_from_answer"},
    NamedMutation{Mutation::kObservedLeader, "observed_leader"},
    NamedMutation{Mutation::kNoTermFence, "no_term_fence"},
    NamedMutation{Mutation::kRevisionAsFence, "revision_as_fence"},
    NamedMutation{Mutation::kNoAttemptFence, "no_attempt_fence"},
    NamedMutation{Mutation::kDeathOfOnePid, "death_of_one_pid"},
    NamedMutation{Mutation::kEndedWithoutComparison, "ended_without_comparison"},
    NamedMutation{Mutation::kLostSessionWaits, "lost_session_waits"},
    NamedMutation{Mutation::kLeaseFromAnswer, "lease_from_answer"},
    NamedMutation{Mutation::kDeadlineIgnored, "deadline_ignored"},
    NamedMutation{Mutation::kNoNewCampaign, "no_new_campaign"},
    NamedMutation{Mutation::kLeaderWithoutStore, "leader_without_store"},
    NamedMutation{Mutation::kProofBeforeReading, "proof_before_reading"},
    NamedMutation{Mutation::kLateWin, "late_win"},
    NamedMutation{Mutation::kNoCheckAfterAwait, "no_check_after_await"},
    NamedMutation{Mutation::kWallClockLease, "wall_clock_lease"},
    NamedMutation{Mutation::kEndedWithoutTerm, "ended_without_term"},
};

}  // namespace provisioner::simulation
