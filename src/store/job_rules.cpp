#include "store/job_rules.hpp"

#include <fmt/format.h>

#include <utility>

namespace provisioner {
namespace {

Job as_new(const WorkspaceName& workspace, const JobName& name, Instant now) {
  Job row;
  row.workspace = workspace;
  row.name = name;
  row.cursor = now;
  return row;
}

Status move_cursor(Job& row, Instant to, Instant now) {
  if (to > now) {
    return fail(ErrorKind::kInvalid,
                fmt::format("the cursor of job {} of workspace {} would move to {}, past now",
                            row.name.value, row.workspace.value, format_rfc3339(to)));
  }
  if (row.cursor >= to) {
    return fail(ErrorKind::kVersionConflict,
                fmt::format("the cursor of job {} of workspace {} is at {} already", row.name.value,
                            row.workspace.value, format_rfc3339(row.cursor)));
  }
  row.cursor = to;
  return {};
}

}  // namespace

Status check_basis(const JobsCommit& commit, std::int64_t config_version, Version workspace_version,
                   const RunId& newest_run) {
  const auto changed = [&](std::string_view what) {
    return fail(ErrorKind::kVersionConflict,
                fmt::format("{} of workspace {} changed meanwhile", what, commit.workspace.value));
  };
  if (config_version != commit.config_version) return changed("the configuration");
  if (workspace_version != commit.workspace_version) return changed("the row");
  if (newest_run != commit.newest_run) return changed("the newest run");
  return {};
}

Result<std::vector<Job>> after_jobs_commit(const JobsCommit& commit, const std::vector<Job>& rows,
                                           Instant now) {
  std::map<JobName, Job> before, after;
  for (const Job& row : rows) before.emplace(row.name, row);
  after = before;
  for (const JobDefinition& d : commit.definitions) {
    Job& row = after.try_emplace(d.name, as_new(commit.workspace, d.name, now)).first->second;
    row.type = d.type;
    row.present = d.present;
    row.enabled = d.enabled;
    row.position = d.position;
    row.events = d.events;
    row.schedule_hash = d.schedule_hash;
    if (!d.present) row.next_run.reset();
    if (d.cursor) row.cursor = std::max(row.cursor, *d.cursor);
  }
  for (const Occurrence& o : commit.occurrences) {
    const auto row = after.find(o.job);
    if (is_event_label(o.schedule) || row == after.end() || o.at > row->second.cursor) continue;
    return fail(ErrorKind::kConflict,
                fmt::format("occurrence {} of {} of workspace {} is in the ledger already",
                            format_rfc3339(o.at), o.schedule, o.workspace.value));
  }
  for (const JobDecision& d : commit.decisions) {
    const auto found = after.find(d.job);
    if (found == after.end()) {
      return fail(ErrorKind::kInvalid,
                  fmt::format("workspace {} has no job {}", commit.workspace.value, d.job.value));
    }
    Job& row = found->second;
    if (d.cursor) {
      if (auto moved = move_cursor(row, *d.cursor, now); !moved) {
        return std::unexpected(moved.error());
      }
    }
    row.next_run = d.next_run;
    if (!d.skipped.empty()) row = after_skip(std::move(row), d.skipped);
  }
  std::vector<Job> changed;
  for (auto& [name, row] : after) {
    const auto old = before.find(name);
    if (old == before.end() || old->second != row) changed.push_back(std::move(row));
  }
  return changed;
}

std::optional<Job> after_run(const Job& row, const Run& run, Instant now) {
  Job changed = row;
  if (run.status == RunStatus::kRunning) changed = after_claim(std::move(changed), run, now);
  if (is_final(run.status)) changed = after_end(std::move(changed), run, now);
  if (changed == row) return std::nullopt;
  return changed;
}

Error slot_has_queued(const NewRun& run, const RunId& queued) {
  return {ErrorKind::kConflict, fmt::format("run {} of job {} of workspace {} was queued meanwhile",
                                            queued.value, run.job.value, run.workspace.value)};
}

Result<Run> after_ending(const JobsCommit::Ending& ending, Run present, Instant now) {
  if (present.status != RunStatus::kQueued) {
    return fail(
        ErrorKind::kVersionConflict,
        fmt::format("run {} is {}, not queued", present.id.value, to_string(present.status)));
  }
  present.status = ending.status;
  present.error = ending.error;
  present.not_before.reset();
  present.finished_at = now;
  return present;
}

}  // namespace provisioner
