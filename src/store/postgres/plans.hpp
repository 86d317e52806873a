// The leader's decisions and the ledger.
#pragma once

#include <vector>

#include "store/postgres/transaction.hpp"

namespace provisioner::postgres {

Task<Result<WorkspaceView>> view(Transaction& tx, const ViewRequest& request);
Task<Status> commit_plan(Transaction& tx, const LeaderFence& fence, const PlanCommit& plan,
                         Instant now);
// Queues. I3: a row each, unique: kConflict.
void insert_occurrence(Transaction& tx, const Occurrence& o, const std::optional<RunId>& run);
Task<Result<std::vector<Occurrence>>> occurrences(Transaction& tx, const OccurrenceFilter& filter);

}  // namespace provisioner::postgres
