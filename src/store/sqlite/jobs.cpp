#include "store/sqlite/jobs.hpp"

#include <fmt/format.h>

#include <utility>

#include "store/job_rows.hpp"
#include "store/job_rules.hpp"
#include "store/run_rules.hpp"
#include "store/sqlite/leadership.hpp"
#include "store/sqlite/plans.hpp"
#include "store/sqlite/runs.hpp"
#include "store/sqlite/workspaces.hpp"
#include "store/workspace_rows.hpp"

namespace provisioner::sqlite {

void save_job(Transaction& tx, const Job& j, Instant now) {
  const DeployedColumns deployed(j.deployed);
  tx.sql(
        "INSERT INTO job_states (id, workspace_id, workspace, name, type, present, enabled, "
        "position, events, schedule_hash, status, cursor, next_run, last_run, last_success, "
        "last_failure, last_error, last_exit_code, run_count, success_count, failure_count, "
        "deployed_config, deployed_bundle, deployed_inputs_hash, created_at, updated_at) VALUES "
        "(?1, (SELECT id FROM workspace_states WHERE name = ?2), ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, "
        "?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?24) ON "
        "CONFLICT (workspace, name) DO UPDATE SET type = ?4, present = ?5, enabled = ?6, position "
        "= ?7, events = ?8, schedule_hash = ?9, status = ?10, cursor = ?11, next_run = ?12, "
        "last_run = ?13, last_success = ?14, last_failure = ?15, last_error = ?16, last_exit_code "
        "= ?17, run_count = ?18, success_count = ?19, failure_count = ?20, deployed_config = ?21, "
        "deployed_bundle = ?22, deployed_inputs_hash = ?23, updated_at = ?24")
      .run(tx.new_id(now), j.workspace, j.name, to_string(j.type), j.present, j.enabled, j.position,
           to_string(j.events), j.schedule_hash, to_string(j.status), j.cursor, j.next_run,
           j.last_run, j.last_success, j.last_failure, or_null(j.last_error), j.last_exit_code,
           j.run_count, j.success_count, j.failure_count, deployed.config, deployed.bundle,
           deployed.inputs_hash, now);
}

namespace {

std::vector<JobEventRow> events_of(Transaction& tx, const std::optional<WorkspaceName>& workspace) {
  auto query = tx.sql(fmt::format("{}{}ORDER BY number", kSelectJobEvents,
                                  workspace ? "WHERE workspace = ? " : ""));
  if (workspace) query.bind(*workspace);
  std::vector<JobEventRow> events;
  while (query.step()) events.push_back(read_job_event(query.row()));
  return events;
}

// Each of the two ways to belong here has an index of its own.
std::vector<JobRun> runs_that_count(Transaction& tx, const WorkspaceName& workspace,
                                    const std::string& event) {
  auto query = tx.sql(fmt::format(
      "{}WHERE r.seq IN (SELECT seq FROM runs WHERE workspace = ?1 AND job <> '' AND status IN "
      "('queued', 'running') UNION SELECT seq FROM runs WHERE workspace = ?1 AND event <> '' AND "
      "(event = ?2 OR event IN (SELECT event FROM runs WHERE workspace = ?1 AND status = 'queued' "
      "AND waiting_for <> '' AND event <> ''))) ORDER BY r.seq",
      kSelectJobRuns));
  query.bind(workspace, event);
  std::vector<JobRun> found;
  while (query.step()) found.push_back(read_job_run(query.row()));
  return found;
}

Status check_present(Transaction& tx, const JobsCommit& commit) {
  const Result<Workspace> row = workspace(tx, commit.workspace);
  if (!row) return std::unexpected(row.error());
  const Result<ScheduleCursor> schedule = cursor(tx, commit.workspace);
  if (!schedule) return std::unexpected(schedule.error());
  return check_basis(commit, schedule->config_version, row->version,
                     newest_own_run(tx, commit.workspace));
}

Status end_queued(Transaction& tx, const JobsCommit::Ending& ending, Instant now) {
  const Result<Run> present = run(tx, ending.run);
  if (!present) return std::unexpected(present.error());
  const Result<Run> ended = after_ending(ending, *present, now);
  if (!ended) return std::unexpected(ended.error());
  return save_ended(tx, *ended, now);
}

Status queue(Transaction& tx, const NewRun& wanted) {
  if (!wanted.concurrent) {
    if (const auto queued = queued_run(tx, wanted.workspace, wanted.job)) {
      return std::unexpected(slot_has_queued(wanted, queued->id));
    }
  }
  const Result<Run> made = enqueue(tx, wanted, WhenBusy::kSupersede);
  if (!made) return std::unexpected(made.error());
  return {};
}

}  // namespace

Result<std::vector<Job>> jobs(Transaction& tx, const std::optional<WorkspaceName>& of) {
  auto query = tx.sql(fmt::format("{}{}ORDER BY j.workspace, j.position, j.name", kSelectJobs,
                                  of ? "WHERE j.workspace = ? " : ""));
  if (of) query.bind(*of);
  std::vector<Job> all;
  while (query.step()) all.push_back(read_job(query.row()));
  return all;
}

Result<std::vector<JobEventRow>> job_events(Transaction& tx) { return events_of(tx, std::nullopt); }

Result<JobsView> jobs_view(Transaction& tx, const WorkspaceName& workspace,
                           const std::string& event) {
  JobsView view;
  Result<std::vector<Job>> rows = jobs(tx, workspace);
  if (!rows) return std::unexpected(rows.error());
  view.jobs = *std::move(rows);
  view.events = events_of(tx, workspace);
  view.runs = runs_that_count(tx, workspace, event);
  return view;
}

Status commit_jobs(Transaction& tx, const LeaderFence& fence, const JobsCommit& commit,
                   Instant now) {
  if (auto leads = check_leader(tx, fence); !leads) return leads;
  if (auto same = check_present(tx, commit); !same) return same;
  const Result<std::vector<Job>> rows = jobs(tx, commit.workspace);
  if (!rows) return std::unexpected(rows.error());
  const auto changed = after_jobs_commit(commit, *rows, now);
  if (!changed) return std::unexpected(changed.error());
  for (const Job& row : *changed) save_job(tx, row, now);
  for (const Occurrence& o : commit.occurrences) {
    if (auto fresh = insert_occurrence(tx, o, o.run); !fresh) return fresh;
  }
  for (const auto& ending : commit.endings) {
    if (auto ended = end_queued(tx, ending, now); !ended) return ended;
  }
  for (const auto& wait : commit.waits) {
    if (auto set = set_waiting(tx, fence, wait.run, wait.waiting_for); !set) return set;
  }
  for (const NewRun& wanted : commit.runs) {
    if (auto queued = queue(tx, wanted); !queued) return queued;
  }
  for (const std::int64_t number : commit.handled_events) {
    tx.sql("DELETE FROM job_events WHERE number = ?").run(number);
  }
  return {};
}

Status note_reboot(Transaction& tx, Instant now) {
  std::vector<WorkspaceName> waiting;
  {
    auto query = tx.sql("SELECT name FROM workspace_states WHERE instr(config, '@reboot') > 0");
    while (query.step()) waiting.push_back(query.row().as<WorkspaceName>());
  }
  for (const WorkspaceName& name : waiting) {
    tx.sql("INSERT INTO job_events (workspace, event, at, bundle) VALUES (?, ?, ?, '')")
        .run(name, to_string(JobEvent::kReboot), now);
    tx.announce(Change::Topic::kWorkspace, name.value);
  }
  return {};
}

void follow_run(Transaction& tx, const Run& run, Instant now) {
  if (run.job.empty()) return;
  std::optional<Job> row;
  {
    auto query = tx.sql(fmt::format("{}WHERE j.workspace = ? AND j.name = ?", kSelectJobs));
    query.bind(run.workspace, run.job);
    if (query.step()) row = read_job(query.row());
  }
  if (!row) return;
  if (const auto changed = after_run(*row, run, now)) save_job(tx, *changed, now);
}

void note_event(Transaction& tx, const Run& ended, const Workspace& after, Instant now) {
  const auto event = event_of(ended, after);
  if (!event) return;
  // By the configuration: the rows of its jobs may be younger. One too many is of no harm.
  tx.sql(
        "INSERT INTO job_events (workspace, event, at, bundle) SELECT name, ?2, ?3, ?4 FROM "
        "workspace_states WHERE name = ?1 AND instr(config, ?2) > 0")
      .run(ended.workspace, to_string(*event), now, ended.definition.bundle);
}

}  // namespace provisioner::sqlite
