// Runs: queueing, cancelling, looking up.
#pragma once

#include <optional>
#include <vector>

#include "store/sqlite/transaction.hpp"

namespace provisioner::sqlite {

Result<Run> enqueue(Transaction& tx, const NewRun& run, WhenBusy when_busy);
Status set_waiting(Transaction& tx, const LeaderFence& fence, const RunId& id,
                   const std::string& waiting_for);
Result<Run> request_cancel(Transaction& tx, const RunId& id, Instant now);
Result<Run> run(Transaction& tx, const RunId& id);
Result<std::vector<Run>> runs(Transaction& tx, const RunFilter& filter);

// The oldest run that may be claimed at `now`.
std::optional<Run> next_claimable(Transaction& tx, Instant now,
                                  const std::vector<RunId>& passed_over);
// What waits in a slot; "" = the workspace's own.
std::optional<Run> queued_run(Transaction& tx, const WorkspaceName& workspace, const JobName& job);

// "" = none.
RunId newest_own_run(Transaction& tx, const WorkspaceName& workspace);

// Ends a run that waited.
Status save_ended(Transaction& tx, const Run& ended, Instant now);

// Writes what an attempt or its end changes in a run: everything from `status` on.
void save_run(Transaction& tx, const Run& run);

}  // namespace provisioner::sqlite
