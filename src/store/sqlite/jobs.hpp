// Jobs: their rows, what happened that they wait for, and the leader's decisions about them.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "store/sqlite/transaction.hpp"
#include "store/store.hpp"

namespace provisioner::sqlite {

Result<std::vector<Job>> jobs(Transaction& tx, const std::optional<WorkspaceName>& of);
Result<std::vector<JobEventRow>> job_events(Transaction& tx);
Result<JobsView> jobs_view(Transaction& tx, const WorkspaceName& workspace,
                           const std::string& event);
Status commit_jobs(Transaction& tx, const LeaderFence& fence, const JobsCommit& commit,
                   Instant now);
Status note_reboot(Transaction& tx, Instant now);

// The job's row follows its run, which was claimed or ended; of a workspace's own run: nothing.
void follow_run(Transaction& tx, const Run& run, Instant now);

// Writes the row as it is to be.
void save_job(Transaction& tx, const Job& job, Instant now);

// An event, where the end of a workspace's own run is one that jobs wait for.
void note_event(Transaction& tx, const Run& ended, const Workspace& after, Instant now);

}  // namespace provisioner::sqlite
