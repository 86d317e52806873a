// Jobs: their rows, what happened that they wait for, and the leader's decisions about them.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "store/postgres/transaction.hpp"

namespace provisioner::postgres {

Task<Result<std::vector<Job>>> jobs(Transaction& tx, const std::optional<WorkspaceName>& of);
Task<Result<std::vector<JobEventRow>>> job_events(Transaction& tx);
Task<Result<JobsView>> jobs_view(Transaction& tx, const WorkspaceName& workspace,
                                 const std::string& event);
Task<Status> commit_jobs(Transaction& tx, const LeaderFence& fence, const JobsCommit& commit,
                         Instant now);
Task<Status> note_reboot(Transaction& tx, Instant now);

// The job's row follows its run, which was claimed or ended; of a workspace's own run: nothing. The
// workspace is held.
Task<> follow_run(Transaction& tx, const Run& run, Instant now);

// Queues: writes the row as it is to be.
void save_job(Transaction& tx, const Job& job, Instant now);

// Queues: an event, where the end of a workspace's own run is one that jobs wait for.
void note_event(Transaction& tx, const Run& ended, const Workspace& after, Instant now);

}  // namespace provisioner::postgres
