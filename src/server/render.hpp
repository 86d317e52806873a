// The stable JSON of the API and of `--output json`: times in RFC 3339 UTC, durations in seconds,
// absent values null. Fields are added, never renamed or removed. Each function returns one JSON
// text without a line's end; bytes that are not UTF-8 become U+FFFD.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "model/job.hpp"
#include "model/leadership.hpp"
#include "model/occurrence.hpp"
#include "model/run.hpp"
#include "model/tofu_state.hpp"
#include "model/workspace.hpp"
#include "scheduler/preview.hpp"
#include "store/store.hpp"
#include "templates/registry.hpp"
#include "templates/users.hpp"

namespace provisioner::server {

// A workspace's row and what is computed beside it.
struct WorkspaceView {
  Workspace row;
  std::optional<RunId> active_run;  // running, else queued
  struct Next {
    Instant at;
    Action action = Action::kDeploy;
    std::string mode;
  };
  std::optional<Next> next;  // what the schedule will do; absent while disabled or held for good
  std::vector<std::string> modes;
  std::vector<std::string> depends_on;
  std::string config_error;  // of the folder as it is now; "" = none
  bool is_held = false;      // at present
};
std::string render(const WorkspaceView& view);

// A job as its configuration says and its row tells.
struct JobView {
  Job row;
  std::optional<JobSpec> spec;      // absent: the configuration cannot be read at present
  std::optional<Instant> next_run;  // absent also while job or workspace are off
};
std::string render(const JobView& view);

std::string render(const Run& run);
// With its `attempts`, oldest first.
std::string render(const Run& run, std::span<const AttemptRow> attempts);
std::string render(const Occurrence& occurrence);
std::string render(const PreviewPoint& point);
std::string render(const ConfigChange& change);
std::string render(const StateVersion& version, bool is_current);

std::string render(const ApiToken& token, Instant now);
// With the token itself, which is shown this once.
std::string render(const ApiToken& token, Instant now, const std::string& secret);

struct InstanceView {
  Instance row;
  std::string role;  // "leader", "standby", "stopped" or "lost"
  bool ready = false;
  std::int64_t running = 0;  // attempts
};
std::string render_instance(const Instance& instance);

// An instance whose copy of a folder is not the one that counts.
struct Disagreement {
  WorkspaceName workspace;
  InstanceId instance;
  std::string difference;  // "its folder has vanished there", "it has another content there"
  Instant reported_at;
};
struct ClusterView {
  Leadership leadership;
  std::optional<Instant> lease_expires_at;
  std::vector<InstanceView> instances;
  std::string store;             // "sqlite 3.40.1, schema 1"
  std::string election;          // "single"
  std::string election_problem;  // of the instance that answers; "" = none
  std::vector<Disagreement> disagreements;
};
std::string render(const ClusterView& cluster);

std::string render_cluster_event(const AuditEvent& event);

// Of an instance: who leads, as far as it knows.
std::string render_leadership(const Leadership& leadership, const InstanceId& self, bool leads);

// What is wrong with a folder of the configuration.
std::string render_problem(const std::string& folder, const std::string& message);

// A template and those who use it.
std::string render(const Template& row, const std::vector<TemplateUser>& users);
// `content_changed` beside them.
std::string render(const TemplateUpdate& update, const std::vector<TemplateUser>& users);
std::string render(const TemplateVerdict& verdict);

// {"items": [...], "next_cursor": ...}; `items` are JSON texts.
std::string render_list(const std::vector<std::string>& items,
                        const std::optional<std::string>& next_cursor = std::nullopt);
std::string render_array(const std::vector<std::string>& items);

}  // namespace provisioner::server
