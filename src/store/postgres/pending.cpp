// What is still to be written: each function moves from here to the file that its header names.
#include "store/postgres/attempts.hpp"
#include "store/postgres/retention.hpp"
#include "store/postgres/runs.hpp"
#include "store/postgres/states.hpp"

namespace provisioner::postgres {
namespace {

std::unexpected<Error> pending() { return fail(ErrorKind::kInternal, "not written yet"); }

}  // namespace

// --- runs.cpp
Task<Result<Run>> enqueue(Transaction&, const NewRun&, WhenBusy) { co_return pending(); }
Task<Status> set_waiting(Transaction&, const LeaderFence&, const RunId&, const std::string&) {
  co_return pending();
}
Task<Result<Run>> request_cancel(Transaction&, const RunId&, Instant) { co_return pending(); }
Task<Result<Run>> run(Transaction&, const RunId&) { co_return pending(); }
Task<Result<std::vector<Run>>> runs(Transaction&, const RunFilter&) { co_return pending(); }

// --- attempts.cpp
Task<Result<std::optional<ClaimedRun>>> claim_next(Transaction&, const ClaimRequest&) {
  co_return pending();
}
Task<Result<std::optional<ClaimedRun>>> find_claim(Transaction&, const ClaimId&) {
  co_return pending();
}
Task<Status> register_attempt(Transaction&, const AttemptFence&, const ProcessIdentity&) {
  co_return pending();
}
Task<Result<HeartbeatAnswer>> heartbeat(Transaction&, const AttemptFence&, Instant) {
  co_return pending();
}
Task<Status> finish_attempt(Transaction&, const AttemptFence&, const AttemptResult&, Instant) {
  co_return pending();
}
Task<Result<InterruptionOutcome>> interrupt_attempt(Transaction&, const std::optional<LeaderFence>&,
                                                    const Interruption&, Instant) {
  co_return pending();
}
Task<Result<std::vector<AttemptRow>>> running_attempts(Transaction&) { co_return pending(); }
Task<Result<std::vector<AttemptRow>>> attempts(Transaction&, const RunId&) { co_return pending(); }
Task<Result<WorkspaceName>> check_attempt(Transaction&, const AttemptFence&) {
  co_return pending();
}
Task<Status> append_log(Transaction&, const AttemptFence&, std::int64_t, const std::string&) {
  co_return pending();
}
Task<Result<std::vector<LogChunk>>> log(Transaction&, const RunId&, Attempt, std::int64_t,
                                        std::int64_t) {
  co_return pending();
}

// --- states.cpp
Task<Result<std::optional<StateLock>>> lock_state(Transaction&, const StateSlot&,
                                                  const std::optional<AttemptFence>&,
                                                  const StateLock&) {
  co_return pending();
}
Task<Status> unlock_state(Transaction&, const StateSlot&, const std::optional<AttemptFence>&,
                          const std::string&) {
  co_return pending();
}
Task<Result<std::optional<StateLock>>> state_lock(Transaction&, const StateSlot&) {
  co_return pending();
}
Task<Result<std::optional<StateLock>>> force_unlock(Transaction&, const StateSlot&) {
  co_return pending();
}
Task<Result<StateVersion>> write_state(Transaction&, const StateSlot&,
                                       const std::optional<AttemptFence>&, const std::string&,
                                       const StateMeta&, const std::string&, const std::string&,
                                       Instant) {
  co_return pending();
}
Task<Result<StateVersion>> push_state(Transaction&, const StateSlot&, const StateMeta&,
                                      const std::string&, const std::string&, Instant) {
  co_return pending();
}
Task<Result<std::optional<StateVersion>>> current_state(Transaction&, const StateSlot&) {
  co_return pending();
}
Task<Result<std::vector<StateVersion>>> state_versions(Transaction&, const StateSlot&) {
  co_return pending();
}
Task<Result<std::string>> state_body(Transaction&, const StateSlot&, std::int64_t) {
  co_return pending();
}

// --- retention.cpp
Task<Result<PruneReport>> prune(Transaction&, const RetentionPolicy&, Instant) {
  co_return pending();
}

}  // namespace provisioner::postgres
