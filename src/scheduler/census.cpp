#include "scheduler/census.hpp"

#include "model/job.hpp"

namespace provisioner {

void Census::note(const Workspace& row) {
  if (is_standalone(row.name)) return;  // a job's row is no workspace
  const Known now{
      .status = row.status, .held = row.held, .detached = row.detached, .enabled = row.enabled};
  const auto [place, is_new] = known_.try_emplace(row.name, now);
  if (!is_new) {
    add(place->second, -1);
    place->second = now;
  }
  add(now, 1);
}

void Census::forget(const WorkspaceName& name) {
  const auto known = known_.find(name);
  if (known == known_.end()) return;
  add(known->second, -1);
  known_.erase(known);
}

void Census::add(const Known& known, std::int64_t by) {
  counts_.by_status[static_cast<std::size_t>(known.status)] += by;
  if (known.held) counts_.held += by;
  if (known.detached) counts_.detached += by;
  if (!known.enabled) counts_.disabled += by;
}

}  // namespace provisioner
