// The parsed definitions of all workspaces, kept as long as their text stays the same.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/error.hpp"
#include "base/ids.hpp"
#include "model/workspace.hpp"
#include "model/workspace_spec.hpp"
#include "schedule/timeline.hpp"

namespace provisioner {

// Reads a normalised config.json; the room that can read it is none of this one's business.
using SpecReader =
    std::function<Result<WorkspaceSpec>(const WorkspaceName& name, std::string_view config)>;

struct ParsedSpec {
  WorkspaceSpec spec;
  Timeline timeline;
  std::vector<Timeline> job_timelines;  // of spec.jobs, in their order
};

// Loop only.
class SpecCache {
 public:
  SpecCache(SpecReader read, Zone default_zone)
      : read_(std::move(read)), default_zone_(default_zone) {}

  // What `workspace.current` says. Remembered, the errors too, until its config_version or its text
  // changes.
  Result<std::shared_ptr<const ParsedSpec>> get(const Workspace& workspace);
  void forget(const WorkspaceName& name) { entries_.erase(name); }

 private:
  struct Entry {
    std::int64_t config_version = 0;
    std::size_t text_hash = 0;
    Result<std::shared_ptr<const ParsedSpec>> parsed;
  };

  SpecReader read_;
  Zone default_zone_;
  std::unordered_map<WorkspaceName, Entry> entries_;
};

}  // namespace provisioner
