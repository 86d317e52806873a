// All that one decision about one workspace may look at, as values.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.hpp"
#include "model/run.hpp"
#include "model/workspace.hpp"
#include "model/workspace_spec.hpp"
#include "schedule/timeline.hpp"

namespace provisioner {

// What depends_on makes this workspace wait for just now.
struct Neighbours {
  std::vector<WorkspaceName> not_deployed;  // it depends on them, and they are not deployed
  std::vector<WorkspaceName> still_there;   // they depend on it, and may have resources
  std::vector<JobName> template_jobs;       // its own, which may have resources
};

// Views, valid for one call. `cursor`, `workspace` and the runs are of one reading of the store.
struct Situation {
  const WorkspaceSpec& spec;
  const Timeline& timeline;
  const Workspace& workspace;
  Instant cursor;               // occurrences up to and including it are in the ledger
  const Run* active = nullptr;  // running on the workspace's own state
  const Run* queued = nullptr;  // behind it, or waiting
  std::span<const Run> recent;  // the newest runs, newest first; for what people did lately
  Neighbours neighbours;
  Instant now;
};

// The run that will have the last word on the workspace's state if nothing else is decided: the
// queued one, else the active one; plans do not count.
const Run* last_word(const Situation& s);

// "" = nothing in the way; else for people: "network and shop-db to be deployed".
std::string waits_for(const Neighbours& neighbours, Operation operation);

// The run for `operation` from the workspace's present definitions, without an id. A destroy uses
// the definition and the mode of the last deploy attempt.
NewRun make_run(const Situation& s, Operation operation, std::string_view mode, Trigger trigger);

}  // namespace provisioner
