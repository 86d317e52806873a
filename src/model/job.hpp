// A job: what runs around a workspace's deployments, or by itself (behaviour.md, "Jobs").
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.hpp"
#include "base/time.hpp"
#include "model/config_value.hpp"
#include "model/run.hpp"
#include "schedule/timeline.hpp"

namespace provisioner {

enum class JobType {
  kScript,    // a text, given to its interpreter
  kCommand,   // a line for `sh -c`
  kTemplate,  // a deployment of its own, with a state of its own
};
std::string_view to_string(JobType type);
Result<JobType> parse_job_type(std::string_view text);

// What else than time starts a job.
enum class JobEvent {
  kDeployment,        // a deploy of its workspace succeeded
  kDeploymentFailed,  // ... failed, and is not retried
  kDestroy,
  kDestroyFailed,
  kReboot,  // a daemon started while none was alive
};
std::string_view to_string(JobEvent event);  // "@deployment", ...
Result<JobEvent> parse_job_event(std::string_view text);
// "@deployment @destroy"; "" = none.
std::string to_string(const std::set<JobEvent>& events);
Result<std::set<JobEvent>> parse_job_events(std::string_view text);

// What becomes of an occurrence while the job is still at work.
enum class Overlap { kSkip, kQueue, kAllow };

// What becomes of occurrences that nobody could act on in time.
enum class JobCatchUp { kLatest, kAll, kNone };
inline constexpr std::int64_t kMostCaughtUp = 100;

// What `jobs` in config.json, or a file of jobs/, says about one job, after validation.
struct JobSpec {
  JobName name;
  JobType type = JobType::kCommand;
  std::string body;                 // the script's text, the command line or the template's name
  std::vector<TimelineRule> rules;  // labelled "jobs.backup.schedule[1]"; Action::kRun
  std::set<JobEvent> events;
  ConfigValues environment;
  std::string working_dir;  // inside the content; "" = its folder
  Duration timeout = std::chrono::minutes(30);
  bool enabled = true;
  std::string description;
  std::vector<JobName> depends_on;  // of the same event
  Overlap overlap = Overlap::kSkip;
  JobCatchUp catch_up = JobCatchUp::kLatest;
  Duration catch_up_window = std::chrono::hours(24);
  std::vector<std::string> tags;

  // What its runs work from: a config.json (normalised) with this job alone, and those fields of
  // the workspace that reach it. It holds no more of the others, so that many runs stay small.
  std::string definition;
  std::string inputs_hash;    // of `definition`
  std::string schedule_hash;  // of everything that decides when it runs
};

enum class JobStatus { kPending, kRunning, kSuccess, kFailed, kTimeout, kSkipped };
std::string_view to_string(JobStatus status);  // "pending", ...
Result<JobStatus> parse_job_status(std::string_view text);

// A job as the store knows it: how it fared.
struct Job {
  WorkspaceName workspace;  // of a standalone job: home_of()
  JobName name;
  JobType type = JobType::kCommand;
  bool present = true;  // false: the configuration names it no longer
  bool enabled = true;
  std::int64_t position = 0;  // template jobs are destroyed from the last to the first
  std::set<JobEvent> events;
  std::string schedule_hash;
  JobStatus status = JobStatus::kPending;
  Instant cursor;                   // occurrences up to and including it are in the ledger
  std::optional<Instant> next_run;  // as of the last decision
  std::optional<Instant> last_run;  // began
  std::optional<Instant> last_success;
  std::optional<Instant> last_failure;
  std::string last_error;  // "" = the last run succeeded
  std::optional<std::int64_t> last_exit_code;
  std::int64_t run_count = 0;  // runs that began
  std::int64_t success_count = 0;
  std::int64_t failure_count = 0;      // timeouts too
  std::optional<Definition> deployed;  // of a template job: of the last deploy attempt

  friend bool operator==(const Job&, const Job&) = default;
};

// Whether a template job's own deployment may have resources.
inline bool may_have_resources(const Job& job) { return job.deployed.has_value(); }

// Standalone jobs belong to no workspace: each has a row of its own beside the workspaces, under a
// name that no folder can have. People and jobs see kStandalone.
inline constexpr std::string_view kStandalone = "_standalone_";
WorkspaceName home_of(const JobName& standalone);  // "_standalone_.backup"
bool is_standalone(const WorkspaceName& name);
JobName standalone_job_of(const WorkspaceName& home);  // the inverse of home_of()
// What WORKSPACE_ID and the API say: kStandalone, else the name itself.
std::string shown_workspace(const WorkspaceName& name);

// Names an event of a job in the ledger, where times have the labels of their rules.
std::string event_label(const JobName& job, JobEvent event);  // "jobs.backup@deployment"
bool is_event_label(std::string_view schedule);

// An attempt of the job's `run` was claimed.
Job after_claim(Job job, const Run& run, Instant now);

// The job's `run` has come to an end, also before it began.
Job after_end(Job job, const Run& run, Instant now);

// An occurrence of the job was not acted on, for `reason`. A running one stays running.
Job after_skip(Job job, std::string reason);

// The event that the end of a workspace's own run is, if it is one: the end of a cancelled run, of
// a plan and of what waits for a confirmation is none.
std::optional<JobEvent> event_of(const Run& ended, const Workspace& after);

}  // namespace provisioner
