// A store with a shop that has jobs.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "tests/contract/store/store_contract.hpp"

namespace provisioner {

class JobsContract : public StoreContract {
 protected:
  static JobName backup() { return JobName("backup"); }

  JobDefinition defined(const std::string& name = "backup", std::int64_t position = 0) const {
    return {.name = JobName(name), .position = position, .schedule_hash = "hourly", .cursor = now_};
  }

  JobsCommit commit() {
    const auto view = must(await(store().view({.workspace = WorkspaceName(kShop)})));
    JobsCommit c;
    c.workspace = view.workspace.name;
    c.config_version = view.workspace.config_version;
    c.workspace_version = view.workspace.version;
    c.newest_run = view.recent.empty() ? RunId() : view.recent.front().id;
    return c;
  }

  NewRun job_run(const std::string& name = "backup") {
    NewRun run = new_run(kShop, Operation::kJob);
    run.job = JobName(name);
    run.trigger = Trigger::kSchedule;
    return run;
  }

  Occurrence due(Instant at, const std::string& job = "backup") const {
    Occurrence o;
    o.workspace = WorkspaceName(kShop);
    o.job = JobName(job);
    o.schedule = "jobs." + job + ".schedule";
    o.at = o.until = at;
    o.action = Action::kRun;
    return o;
  }

  // A shop, a leader, and jobs that the store knows.
  void given_jobs(std::vector<JobDefinition> jobs) {
    Publication p = publication(kShop);
    std::string waited_for;
    for (const JobDefinition& job : jobs) waited_for += to_string(job.events) + " ";
    p.definition.config = "{\"jobs\":\"" + waited_for + "\"}";
    must(await(store().put_bundle(p.definition.bundle, "content")));
    must(await(store().publish(p, now_)));
    leader_ = given_leader();
    JobsCommit c = commit();
    c.definitions = std::move(jobs);
    must(await(store().commit_jobs(leader_, c, now_)));
  }

  ClaimedRun given_running_job(const std::string& name = "backup") {
    must(await(store().enqueue(job_run(name), WhenBusy::kRefuse)));
    return claim().value();
  }

  Job row(const std::string& name = "backup") {
    for (const Job& job : must(await(store().jobs(WorkspaceName(kShop))))) {
      if (job.name.value == name) return job;
    }
    ADD_FAILURE() << "no job " << name;
    return {};
  }

  std::vector<std::string> events() {
    std::vector<std::string> names;
    for (const auto& event : must(await(store().job_events()))) {
      names.emplace_back(to_string(event.event));
    }
    return names;
  }

  void finish(const AttemptFence& fence, RunStatus status = RunStatus::kSucceeded,
              const std::string& error = "") {
    must(await(
        store().finish_attempt(fence, {.status = status, .exit_code = 3, .error = error}, now_)));
  }

  LeaderFence leader_;
};

}  // namespace provisioner
