// What every store checks and decides about jobs, once it has read the rows.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "store/store.hpp"

namespace provisioner {

// kVersionConflict unless the decision was made from what is there now.
Status check_basis(const JobsCommit& commit, std::int64_t config_version, Version workspace_version,
                   const RunId& newest_run);

// The rows that the decision changes, of a workspace whose jobs have `rows`. kVersionConflict when
// a cursor would not move forward; kConflict for an occurrence that is behind it already (I3);
// kInvalid when it would move past `now`, or for an unknown job.
Result<std::vector<Job>> after_jobs_commit(const JobsCommit& commit, const std::vector<Job>& rows,
                                           Instant now);

// The row after its run was claimed or came to an end; nothing where it stays as it is.
std::optional<Job> after_run(const Job& row, const Run& run, Instant now);

// kConflict: something is queued in the slot of one of the commit's runs.
Error slot_has_queued(const NewRun& run, const RunId& queued);

// `ending` applied to its queued run; kVersionConflict when it is not queued any more.
Result<Run> after_ending(const JobsCommit::Ending& ending, Run present, Instant now);

}  // namespace provisioner
