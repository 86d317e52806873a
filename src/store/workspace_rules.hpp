// What every store checks and decides about workspaces and plans, once it has read the rows.
#pragma once

#include <optional>
#include <string>

#include "store/store.hpp"

namespace provisioner {

// What the folder said when it was last published.
struct Published {
  bool enabled = true;
  std::string schedule_hash;
};

// What a publication makes of a workspace that is there already.
struct Republished {
  Workspace row;
  bool new_schedule = false;
  std::string change_type;  // "updated", "returned"
};

// The answer to a publication that was made with another content than the template's present one
// ("" = there is no such template); nothing for one without a template's files.
Status check_template(const Publication& publication, const BundleHash& present);

// A folder that says what it said before, with a new content of its template: counts when the
// folder is the one that counts.
bool only_follows_template(const Workspace& before, const Publication& publication);

// Nothing when the publication is already current.
std::optional<Republished> after_publication(const Workspace& before, const Published& last,
                                             const Publication& publication, Instant now);

// What people may set is taken over from `row`. kVersionConflict unless its version is current.
struct PeoplesChange {
  Workspace row;
  bool outdates_plans = false;  // a plan that did not see the switch or the hold must not fire
  bool starts_anew = false;  // the schedule goes on at now: what was due meanwhile is not made up
};
Result<PeoplesChange> with_peoples_choices(const Workspace& before, const Workspace& row,
                                           Instant now);

// A plan moves the cursor forward, to at most now, over exactly the occurrences given.
Status check_cursor(const PlanCommit& plan, const ScheduleCursor& present, Instant now);

// Nothing that the decision looked at has changed since. `newest_run` is "" when there is none.
Status check_workspace_version(const PlanCommit& plan, Version present);
Status check_newest_run(const PlanCommit& plan, const RunId& newest_run);

// Takes the ttl and the retry away that the decision consumed.
Result<Workspace> after_plan(const PlanCommit& plan, Workspace workspace);

// I3: the answer to an occurrence that is recorded, or lies inside a range that is.
Error in_ledger_already(const Occurrence& occurrence);

// The answer to a plan whose run had been made for the same reason before.
Status check_planned_run(const PlanCommit& plan, const RunId& queued);

Error no_such_workspace(const WorkspaceName& name);
Error unknown_bundle(const Publication& publication);

}  // namespace provisioner
