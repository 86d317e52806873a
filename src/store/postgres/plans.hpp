// The leader's decisions and the ledger.
#pragma once

#include <vector>

#include "store/postgres/transaction.hpp"

namespace provisioner::postgres {

Task<Result<WorkspaceView>> view(Transaction& tx, const ViewRequest& request);
Task<Status> commit_plan(Transaction& tx, const LeaderFence& fence, const PlanCommit& plan,
                         Instant now);
Task<Result<std::vector<Occurrence>>> occurrences(Transaction& tx, const OccurrenceFilter& filter);

}  // namespace provisioner::postgres
