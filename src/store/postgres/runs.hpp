// Runs: queueing, cancelling, looking up.
#pragma once

#include <optional>
#include <vector>

#include "store/postgres/transaction.hpp"

namespace provisioner::postgres {

Task<Result<Run>> enqueue(Transaction& tx, const NewRun& run, WhenBusy when_busy);
Task<Status> set_waiting(Transaction& tx, const LeaderFence& fence, const RunId& id,
                         const std::string& waiting_for);
Task<Result<Run>> request_cancel(Transaction& tx, const RunId& id, Instant now);
Task<Result<Run>> run(Transaction& tx, const RunId& id);
Task<Result<std::vector<Run>>> runs(Transaction& tx, const RunFilter& filter);

// The oldest run that may be claimed at `now`, not yet locked.
Task<std::optional<Run>> next_claimable(Transaction& tx, Instant now);
Task<std::optional<Run>> queued_run(Transaction& tx, const WorkspaceName& workspace);

// Queues: writes what an attempt or its end changes in a run: everything from `status` on.
void save_run(Transaction& tx, const Run& run);

}  // namespace provisioner::postgres
