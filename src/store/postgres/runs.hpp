// Runs: queueing, cancelling, looking up.
#pragma once

#include <optional>
#include <vector>

#include "store/postgres/transaction.hpp"

namespace provisioner::postgres {

Task<Result<Run>> enqueue(Transaction& tx, const NewRun& run, WhenBusy when_busy);

// The same in two steps: queues the questions, which hold the workspace, and acts on the answers.
struct Enqueueing {
  Transaction::Answer workspace, bundle, by_key, by_id, slot;
};
Enqueueing ask_enqueue(Transaction& tx, const NewRun& run);
Task<Result<Run>> enqueue(Transaction& tx, const NewRun& run, WhenBusy when_busy, Enqueueing asked);

Task<Status> set_waiting(Transaction& tx, const LeaderFence& fence, const RunId& id,
                         const std::string& waiting_for);
Task<Result<Run>> request_cancel(Transaction& tx, const RunId& id, Instant now);
Task<Result<Run>> run(Transaction& tx, const RunId& id);
Task<Result<std::vector<Run>>> runs(Transaction& tx, const RunFilter& filter);

// The same in two steps: queues the questions, and reads their answers.
std::vector<Transaction::Answer> ask_runs(Transaction& tx, const RunFilter& filter);
Task<std::vector<Run>> read_runs(Transaction& tx, std::vector<Transaction::Answer> answers,
                                 int limit);

// Queues: the oldest run that may be claimed at `now`. The second holds it and its workspace, and
// passes over those that others hold.
Transaction::Answer ask_claimable(Transaction& tx, const ClaimRequest& request);
Transaction::Answer lock_claimable(Transaction& tx, const ClaimRequest& request);

// Queue. The second asks for the run that waits in the slot of `id`'s workspace.
Transaction::Answer ask_run(Transaction& tx, const RunId& id);
Transaction::Answer ask_queued_beside(Transaction& tx, const RunId& id);

std::optional<Run> one_run(const Rows& rows);

// Queues: the newest of a workspace's own runs; then its id, "" = none.
Transaction::Answer ask_newest_own_run(Transaction& tx, const WorkspaceName& workspace);
RunId one_run_id(const Rows& rows);

// Queues a run without a look at its slot: a row in the way fails the transaction.
void insert_run(Transaction& tx, const NewRun& run);

// Ends a run that waited, of a workspace that is held.
Task<> save_ended(Transaction& tx, const Run& ended, const Workspace& before, Instant now);

// Queues: holds the workspace of a run, as lock_workspace(), for read_workspace().
Transaction::Answer lock_workspace_of(Transaction& tx, const RunId& id);

// Queues: writes what an attempt or its end changes in a run: everything from `status` on.
void save_run(Transaction& tx, const Run& run);

}  // namespace provisioner::postgres
