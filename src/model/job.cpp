#include "model/job.hpp"

#include <fmt/format.h>

#include <array>
#include <utility>

#include "base/text.hpp"

namespace provisioner {
namespace {

template <typename Enum, std::size_t N>
using Names = std::array<std::pair<Enum, std::string_view>, N>;

template <typename Enum, std::size_t N>
std::string_view name_of(const Names<Enum, N>& names, Enum value) {
  for (const auto& [known, name] : names) {
    if (known == value) return name;
  }
  return "?";
}

template <typename Enum, std::size_t N>
Result<Enum> find(const Names<Enum, N>& names, std::string_view text, std::string_view what) {
  for (const auto& [known, name] : names) {
    if (name == text) return known;
  }
  return fail(ErrorKind::kInvalid, fmt::format("\"{}\" is no {}", text, what));
}

constexpr Names<JobType, 3> kTypes = {{{JobType::kScript, "script"},
                                       {JobType::kCommand, "command"},
                                       {JobType::kTemplate, "template"}}};

constexpr Names<JobEvent, 5> kEvents = {{{JobEvent::kDeployment, "@deployment"},
                                         {JobEvent::kDeploymentFailed, "@deployment-failed"},
                                         {JobEvent::kDestroy, "@destroy"},
                                         {JobEvent::kDestroyFailed, "@destroy-failed"},
                                         {JobEvent::kReboot, "@reboot"}}};

constexpr Names<JobStatus, 6> kStatuses = {{{JobStatus::kPending, "pending"},
                                            {JobStatus::kRunning, "running"},
                                            {JobStatus::kSuccess, "success"},
                                            {JobStatus::kFailed, "failed"},
                                            {JobStatus::kTimeout, "timeout"},
                                            {JobStatus::kSkipped, "skipped"}}};

}  // namespace

std::string_view to_string(JobType type) { return name_of(kTypes, type); }
std::string_view to_string(JobEvent event) { return name_of(kEvents, event); }
std::string_view to_string(JobStatus status) { return name_of(kStatuses, status); }

Result<JobType> parse_job_type(std::string_view text) { return find(kTypes, text, "type of job"); }
Result<JobEvent> parse_job_event(std::string_view text) { return find(kEvents, text, "event"); }
Result<JobStatus> parse_job_status(std::string_view text) {
  return find(kStatuses, text, "status of a job");
}

std::string to_string(const std::set<JobEvent>& events) {
  std::vector<std::string> names;
  for (const JobEvent event : events) names.emplace_back(to_string(event));
  return join(names, " ");
}

Result<std::set<JobEvent>> parse_job_events(std::string_view text) {
  std::set<JobEvent> events;
  for (const auto word : split(text, ' ')) {
    if (word.empty()) continue;
    const auto event = parse_job_event(word);
    if (!event) return std::unexpected(event.error());
    events.insert(*event);
  }
  return events;
}

WorkspaceName home_of(const JobName& standalone) {
  return WorkspaceName(fmt::format("{}.{}", kStandalone, standalone.value));
}

bool is_standalone(const WorkspaceName& name) {
  return name.value.size() > kStandalone.size() + 1 && name.value.starts_with(kStandalone);
}

JobName standalone_job_of(const WorkspaceName& home) {
  return JobName(home.value.substr(kStandalone.size() + 1));
}

std::string shown_workspace(const WorkspaceName& name) {
  return is_standalone(name) ? std::string(kStandalone) : name.value;
}

std::string event_label(const JobName& job, JobEvent event) {
  return fmt::format("jobs.{}{}", job.value, to_string(event));
}

bool is_event_label(std::string_view schedule) { return schedule.contains('@'); }

Job after_claim(Job job, const Run& run, Instant now) {
  job.status = JobStatus::kRunning;
  if (run.attempt.value == 1) {
    job.last_run = now;
    job.run_count += 1;
  }
  if (run.operation == Operation::kDeploy) job.deployed = run.definition;
  return job;
}

Job after_end(Job job, const Run& run, Instant now) {
  const bool began = run.attempt.value > 0;
  if (!began) return run.cancel_requested ? job : after_skip(std::move(job), run.error);
  job.last_exit_code = run.exit_code;
  job.last_error = run.status == RunStatus::kSucceeded ? "" : run.error;
  if (run.status == RunStatus::kSucceeded) {
    job.status = JobStatus::kSuccess;
    job.last_success = now;
    job.success_count += 1;
    if (run.operation == Operation::kDestroy) job.deployed.reset();
    return job;
  }
  job.status = run.status == RunStatus::kTimedOut ? JobStatus::kTimeout : JobStatus::kFailed;
  job.last_failure = now;
  job.failure_count += 1;
  return job;
}

Job after_skip(Job job, std::string reason) {
  if (job.status != JobStatus::kRunning) job.status = JobStatus::kSkipped;
  job.last_error = std::move(reason);
  return job;
}

std::optional<JobEvent> event_of(const Run& ended, const Workspace& after) {
  if (!ended.job.empty() || after.status == WorkspaceStatus::kNeedsConfirmation) {
    return std::nullopt;
  }
  const bool succeeded = ended.status == RunStatus::kSucceeded;
  const bool failed = ended.status == RunStatus::kFailed || ended.status == RunStatus::kTimedOut ||
                      ended.status == RunStatus::kInterrupted;
  if (!succeeded && !failed) return std::nullopt;
  if (ended.operation == Operation::kDeploy) {
    return succeeded ? JobEvent::kDeployment : JobEvent::kDeploymentFailed;
  }
  if (ended.operation == Operation::kDestroy) {
    return succeeded ? JobEvent::kDestroy : JobEvent::kDestroyFailed;
  }
  return std::nullopt;
}

}  // namespace provisioner
