#include "store/postgres/jobs.hpp"

#include <fmt/format.h>

#include <set>
#include <utility>

#include "store/job_rows.hpp"
#include "store/job_rules.hpp"
#include "store/postgres/leadership.hpp"
#include "store/postgres/plans.hpp"
#include "store/postgres/runs.hpp"
#include "store/postgres/workspaces.hpp"
#include "store/run_rules.hpp"
#include "store/workspace_rows.hpp"
#include "store/workspace_rules.hpp"

namespace provisioner::postgres {

void save_job(Transaction& tx, const Job& j, Instant now) {
  const DeployedColumns deployed(j.deployed);
  tx.send(
      "INSERT INTO job_states (id, workspace_id, workspace, name, type, present, enabled, "
      "position, events, schedule_hash, status, cursor, next_run, last_run, last_success, "
      "last_failure, last_error, last_exit_code, run_count, success_count, failure_count, "
      "deployed_config, deployed_bundle, deployed_inputs_hash, created_at, updated_at) VALUES "
      "($1, (SELECT id FROM workspace_states WHERE name = $2::varchar), $2::varchar, $3, $4, $5, "
      "$6, $7, $8, $9, "
      "$10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $24) ON "
      "CONFLICT (workspace, name) DO UPDATE SET type = $4, present = $5, enabled = $6, position "
      "= $7, events = $8, schedule_hash = $9, status = $10, cursor = $11, next_run = $12, "
      "last_run = $13, last_success = $14, last_failure = $15, last_error = $16, last_exit_code "
      "= $17, run_count = $18, success_count = $19, failure_count = $20, deployed_config = $21, "
      "deployed_bundle = $22, deployed_inputs_hash = $23, updated_at = $24",
      tx.new_id(now), j.workspace, j.name, to_string(j.type), j.present, j.enabled, j.position,
      to_string(j.events), j.schedule_hash, to_string(j.status), j.cursor, j.next_run, j.last_run,
      j.last_success, j.last_failure, or_null(j.last_error), j.last_exit_code, j.run_count,
      j.success_count, j.failure_count, deployed.config, deployed.bundle, deployed.inputs_hash,
      now);
}

namespace {

// Queues.
Transaction::Answer ask_jobs(Transaction& tx, const std::optional<WorkspaceName>& of) {
  constexpr std::string_view kOrder = "ORDER BY j.workspace, j.position, j.name";
  static const std::string all = fmt::format("{}{}", kSelectJobs, kOrder);
  static const std::string some = fmt::format("{}WHERE j.workspace = $1 {}", kSelectJobs, kOrder);
  return of ? tx.ask(some, *of) : tx.ask(all);
}

Task<std::vector<Job>> read_jobs(Transaction& tx, Transaction::Answer answer) {
  std::vector<Job> all;
  for (Row row : co_await tx.rows(answer)) all.push_back(read_job(row));
  co_return all;
}

// Those that `commit` ends, each with its row held.
Task<Result<std::vector<Run>>> ended_runs(Transaction& tx, const JobsCommit& commit, Instant now) {
  static const std::string held = fmt::format("{}WHERE r.id = $1 FOR NO KEY UPDATE", kSelectRuns);
  std::vector<Transaction::Answer> answers;
  for (const auto& ending : commit.endings) answers.push_back(tx.lock(held, ending.run));
  std::vector<Run> ended;
  for (std::size_t i = 0; i < answers.size(); ++i) {
    const auto present = one_run(co_await tx.rows(answers[i]));
    if (!present) co_return std::unexpected(no_such_run(commit.endings[i].run));
    Result<Run> run = after_ending(commit.endings[i], *present, now);
    if (!run) co_return std::unexpected(run.error());
    ended.push_back(*std::move(run));
  }
  co_return ended;
}

// Queues them all in one round trip, however many they are; the slots' unique indexes say what is
// in the way.
Task<Status> queue_all(Transaction& tx, const JobsCommit& commit) {
  std::set<BundleHash> bundles;
  for (const NewRun& run : commit.runs) bundles.insert(run.definition.bundle);
  std::vector<std::pair<BundleHash, Transaction::Answer>> held;
  for (const BundleHash& bundle : bundles) {
    held.emplace_back(bundle,
                      tx.lock("SELECT 1 FROM bundles WHERE hash = $1 FOR KEY SHARE", bundle));
  }
  for (const auto& [bundle, answer] : held) {
    if (!(co_await tx.rows(answer)).empty()) continue;
    for (const NewRun& run : commit.runs) {
      if (run.definition.bundle == bundle) co_return std::unexpected(unknown_bundle(run));
    }
  }
  for (const NewRun& run : commit.runs) insert_run(tx, run);
  co_return Status();
}

}  // namespace

Task<Result<std::vector<Job>>> jobs(Transaction& tx, const std::optional<WorkspaceName>& of) {
  co_return co_await read_jobs(tx, ask_jobs(tx, of));
}

Task<Result<std::vector<JobEventRow>>> job_events(Transaction& tx) {
  static const std::string text = fmt::format("{}ORDER BY number", kSelectJobEvents);
  std::vector<JobEventRow> all;
  for (Row row : co_await tx.query(text)) all.push_back(read_job_event(row));
  co_return all;
}

Task<Result<JobsView>> jobs_view(Transaction& tx, const WorkspaceName& workspace,
                                 const std::string& event) {
  // Each of the two ways to belong here has an index of its own.
  static const std::string that_count = fmt::format(
      "{}WHERE r.seq IN (SELECT seq FROM runs WHERE workspace = $1 AND job <> '' AND status IN "
      "('queued', 'running') UNION SELECT seq FROM runs WHERE workspace = $1 AND event <> '' AND "
      "(event = $2 OR event IN (SELECT event FROM runs WHERE workspace = $1 AND job <> '' AND "
      "status IN ('queued', 'running') AND waiting_for <> '' AND event <> ''))) ORDER BY r.seq",
      kSelectJobRuns);
  static const std::string of_workspace =
      fmt::format("{}WHERE workspace = $1 ORDER BY number", kSelectJobEvents);
  const auto rows = ask_jobs(tx, workspace);
  const auto events = tx.ask(of_workspace, workspace);
  const auto runs = tx.ask(that_count, workspace, event);
  JobsView view;
  view.jobs = co_await read_jobs(tx, rows);
  for (Row row : co_await tx.rows(events)) view.events.push_back(read_job_event(row));
  for (Row row : co_await tx.rows(runs)) view.runs.push_back(read_job_run(row));
  co_return view;
}

Task<Status> commit_jobs(Transaction& tx, const LeaderFence& fence, const JobsCommit& commit,
                         Instant now) {
  static const std::string held =
      fmt::format("{}WHERE w.name = $1 FOR NO KEY UPDATE", kSelectWorkspaces);
  const auto workspace_row = tx.lock(held, commit.workspace);
  const auto schedule = ask_cursor(tx, commit.workspace);
  const auto newest = ask_newest_own_run(tx, commit.workspace);
  const auto job_rows = ask_jobs(tx, commit.workspace);
  if (auto leads = co_await check_leader(tx, fence); !leads) co_return leads;

  const Rows workspaces = co_await tx.rows(workspace_row);
  if (workspaces.empty()) co_return std::unexpected(no_such_workspace(commit.workspace));
  const Workspace before = read_workspace(workspaces[0]);
  const ScheduleCursor present = read_cursor((co_await tx.rows(schedule))[0]);
  const RunId newest_run = one_run_id(co_await tx.rows(newest));
  if (auto same = check_basis(commit, present.config_version, before.version, newest_run); !same) {
    co_return same;
  }
  const auto changed = after_jobs_commit(commit, co_await read_jobs(tx, job_rows), now);
  if (!changed) co_return std::unexpected(changed.error());
  for (const Job& row : *changed) save_job(tx, row, now);
  for (const Occurrence& o : commit.occurrences) insert_occurrence(tx, o, o.run);
  const auto ended = co_await ended_runs(tx, commit, now);
  if (!ended) co_return std::unexpected(ended.error());
  for (const Run& run : *ended) co_await save_ended(tx, run, before, now);
  for (const auto& wait : commit.waits) {
    tx.send("UPDATE runs SET waiting_for = $1 WHERE id = $2 AND status = 'queued'",
            wait.waiting_for, wait.run);
    tx.announce(Change::Topic::kRun, wait.run, commit.workspace);
  }
  if (!commit.runs.empty()) {
    if (auto queued = co_await queue_all(tx, commit); !queued) co_return queued;
  }
  for (const std::int64_t number : commit.handled_events) {
    tx.send("DELETE FROM job_events WHERE number = $1", number);
  }
  co_return Status();
}

Task<Status> note_reboot(Transaction& tx, Instant now) {
  for (Row row : co_await tx.sent(
           "INSERT INTO job_events (workspace, event, at, bundle) SELECT name, '@reboot', "
           "$1::timestamptz, '' FROM workspace_states WHERE strpos(config::text, '@reboot') > 0 "
           "RETURNING workspace",
           now)) {
    tx.announce(Change::Topic::kWorkspace, row.text());
  }
  co_return Status();
}

Task<> follow_run(Transaction& tx, const Run& run, Instant now) {
  static const std::string text =
      fmt::format("{}WHERE j.workspace = $1 AND j.name = $2", kSelectJobs);
  if (run.job.empty()) co_return;
  const Rows rows = co_await tx.query(text, run.workspace, run.job);
  if (rows.empty()) co_return;
  if (const auto changed = after_run(read_job(rows[0]), run, now)) save_job(tx, *changed, now);
}

void note_event(Transaction& tx, const Run& ended, const Workspace& after, Instant now) {
  const auto event = event_of(ended, after);
  if (!event) return;
  // By the configuration: the rows of its jobs may be younger. One too many is of no harm.
  tx.send(
      "INSERT INTO job_events (workspace, event, at, bundle) SELECT name, $2::text, "
      "$3::timestamptz, $4::text FROM workspace_states WHERE name = $1 AND strpos(config::text, "
      "$2::text) > 0",
      ended.workspace, to_string(*event), now, ended.definition.bundle);
}

}  // namespace provisioner::postgres
