#include "store/workspace_rules.hpp"

#include <fmt/format.h>

#include <utility>

namespace provisioner {

Status check_template(const Publication& p, const BundleHash& present) {
  if (p.template_bundle.empty() || p.template_bundle == present) return {};
  return fail(ErrorKind::kVersionConflict,
              fmt::format("template {} has changed since workspace {} was made from it",
                          p.template_name, p.workspace.value));
}

bool only_follows_template(const Workspace& before, const Publication& p) {
  return !before.detached && !p.template_bundle.empty() &&
         p.template_bundle != before.template_bundle &&
         reported_content(before) == reported_content(p);
}

std::optional<Republished> after_publication(const Workspace& before, const Published& last,
                                             const Publication& p, Instant now) {
  Workspace changed = before;
  changed.current = p.definition;
  changed.template_name = p.template_name;
  changed.template_bundle = p.template_bundle;
  changed.folder_content = p.folder_content;
  changed.description = p.description;
  changed.detached = false;
  // `enable` and `disable` by hand hold until the file itself says something else.
  if (p.enabled != last.enabled) changed.enabled = p.enabled;
  const bool new_schedule = p.schedule_hash != last.schedule_hash;
  if (changed == before && p.enabled == last.enabled && !new_schedule) return std::nullopt;
  if (before.current != p.definition) changed.last_config_modified = now;
  return Republished{.row = std::move(changed),
                     .new_schedule = new_schedule,
                     .change_type = before.detached ? "returned" : "updated"};
}

Result<PeoplesChange> with_peoples_choices(const Workspace& before, const Workspace& row,
                                           Instant now) {
  if (before.version != row.version) {
    return fail(ErrorKind::kVersionConflict,
                fmt::format("workspace {} has version {}, not {}: somebody changed it meanwhile",
                            row.name.value, before.version.value, row.version.value));
  }
  Workspace changed = before;
  changed.enabled = row.enabled;
  changed.held = row.held;
  changed.hold_until = row.hold_until;
  changed.hold_reason = row.hold_reason;
  changed.ttl_expires_at = row.ttl_expires_at;
  changed.retry_at = row.retry_at;
  const bool decides = changed.enabled != before.enabled || changed.held != before.held ||
                       changed.hold_until != before.hold_until;
  const bool goes_on = is_suspended(before, now) && !is_suspended(changed, now);
  return PeoplesChange{
      .row = std::move(changed), .outdates_plans = decides, .starts_anew = goes_on};
}

Status check_cursor(const PlanCommit& plan, const ScheduleCursor& present, Instant now) {
  const std::string& name = plan.workspace.value;
  if (present.config_version != plan.config_version) {
    return fail(ErrorKind::kVersionConflict,
                fmt::format("workspace {} has configuration {}, the plan was made from {}", name,
                            present.config_version, plan.config_version));
  }
  if (!plan.new_cursor) {
    if (plan.occurrences.empty()) return {};
    return fail(ErrorKind::kInvalid, "occurrences are recorded with a new cursor");
  }
  if (*plan.new_cursor > now) {
    return fail(ErrorKind::kInvalid,
                fmt::format("the cursor of workspace {} would move to {}, past now", name,
                            format_rfc3339(*plan.new_cursor)));
  }
  for (const Occurrence& o : plan.occurrences) {
    if (o.until < o.at || o.until > *plan.new_cursor) {
      return fail(ErrorKind::kInvalid,
                  fmt::format("occurrence {} of workspace {} lies past the new "
                              "cursor",
                              format_rfc3339(o.at), name));
    }
  }
  if (present.cursor >= *plan.new_cursor) {
    return fail(ErrorKind::kVersionConflict,
                fmt::format("the cursor of workspace {} is at {} already", name,
                            format_rfc3339(present.cursor)));
  }
  return {};
}

Status check_workspace_version(const PlanCommit& plan, Version present) {
  if (!plan.workspace_version || present == *plan.workspace_version) return {};
  return fail(ErrorKind::kVersionConflict,
              fmt::format("workspace {} has changed since version {}", plan.workspace.value,
                          plan.workspace_version->value));
}

Status check_newest_run(const PlanCommit& plan, const RunId& newest_run) {
  if (!plan.newest_run || newest_run == *plan.newest_run) return {};
  return fail(ErrorKind::kVersionConflict,
              fmt::format("run {} of workspace {} was queued meanwhile", newest_run.value,
                          plan.workspace.value));
}

Result<Workspace> after_plan(const PlanCommit& plan, Workspace workspace) {
  if (plan.clear_ttl) {
    if (workspace.ttl_expires_at != plan.clear_ttl) {
      return fail(
          ErrorKind::kVersionConflict,
          fmt::format("the ttl of workspace {} was changed meanwhile", plan.workspace.value));
    }
    workspace.ttl_expires_at.reset();
  }
  if (plan.clear_retry) workspace.retry_at.reset();
  return workspace;
}

Error in_ledger_already(const Occurrence& o) {
  return {ErrorKind::kConflict,
          fmt::format("occurrence {} of {} of workspace {} is in the ledger already",
                      format_rfc3339(o.at), o.schedule, o.workspace.value)};
}

Status check_planned_run(const PlanCommit& plan, const RunId& queued) {
  if (queued == plan.run->id) return {};
  return fail(ErrorKind::kConflict,
              fmt::format("run {} was made for the same reason before", queued.value));
}

Error no_such_workspace(const WorkspaceName& name) {
  return {ErrorKind::kNotFound, fmt::format("there is no workspace {}", name.value)};
}

Error unknown_bundle(const Publication& p) {
  return {ErrorKind::kInvalid, fmt::format("bundle {} of workspace {} was not stored before",
                                           p.definition.bundle.value, p.workspace.value)};
}

}  // namespace provisioner
