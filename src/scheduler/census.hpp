// How many workspaces there are of each kind, kept up to date as rows are read.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>

#include "model/workspace.hpp"

namespace provisioner {

// Loop only. What it answers costs the same however many workspaces there are.
class Census {
 public:
  struct Counts {
    std::array<std::int64_t, kWorkspaceStatuses> by_status{};  // by WorkspaceStatus
    std::int64_t held = 0, detached = 0, disabled = 0;
  };

  // The workspace is like this now, whatever was known of it.
  void note(const Workspace& row);
  void forget(const WorkspaceName& name);

  const Counts& counts() const { return counts_; }

 private:
  struct Known {
    WorkspaceStatus status = WorkspaceStatus::kPending;
    bool held = false, detached = false, enabled = true;
  };
  void add(const Known& known, std::int64_t by);

  std::map<WorkspaceName, Known> known_;
  Counts counts_;
};

}  // namespace provisioner
