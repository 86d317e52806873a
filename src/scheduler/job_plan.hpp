// What the jobs of one workspace demand now: their schedules, the events they wait for, the jobs
// they wait for, and the order in which template jobs go before their workspace. Pure.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "model/job.hpp"
#include "scheduler/situation.hpp"
#include "store/store.hpp"

namespace provisioner {

// Views, valid for one call. `view` is newer than `own`.
struct JobsSituation {
  const Situation& own;  // of the workspace itself
  const JobsView& view;
  std::span<const Timeline> timelines;                 // of own.spec.jobs, in their order
  const std::map<std::string, BundleHash>& templates;  // contents of those that exist, by name
};

struct JobsPlan {
  JobsCommit commit;                   // without what it was made from
  std::vector<std::string> sentences;  // what was decided and why
  std::vector<std::string> left_out;   // the same of what was not acted on
  std::optional<Instant> next;         // when a schedule has something to say next

  bool nothing() const;
};

// Every occurrence of a job's schedule gets one row (I3). With catch_up latest the last one acts;
// with all, late ones act one after the other, oldest first, as the job becomes free; with none
// only what is punctual. A job that is new, or whose schedule changed, starts at now.
// The runs of one event wait for those that they depend on; behind one that failed they are ended
// as skipped. `new_id` names runs.
// kInvalid when `now` is beyond the zone data.
Result<JobsPlan> plan_jobs(const JobsSituation& s, const std::function<RunId()>& new_id);

// The next occurrence of any of the jobs after their cursors; nullopt without one.
std::optional<Instant> next_job_occurrence(const WorkspaceSpec& spec,
                                           std::span<const Timeline> timelines,
                                           std::span<const Job> rows);

}  // namespace provisioner
