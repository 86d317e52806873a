// The leader's decisions and the ledger.
#pragma once

#include <vector>

#include "store/sqlite/transaction.hpp"

namespace provisioner::sqlite {

Result<WorkspaceView> view(Transaction& tx, const ViewRequest& request);
Status commit_plan(Transaction& tx, const LeaderFence& fence, const PlanCommit& plan, Instant now);
// I3: a row each, unique: kConflict.
Status insert_occurrence(Transaction& tx, const Occurrence& o, const std::optional<RunId>& run);
Result<std::vector<Occurrence>> occurrences(Transaction& tx, const OccurrenceFilter& filter);

}  // namespace provisioner::sqlite
