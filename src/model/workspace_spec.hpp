// What a workspace's config.json says, after validation (behaviour.md lists the fields).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.hpp"
#include "base/time.hpp"
#include "model/config_value.hpp"
#include "model/job.hpp"
#include "schedule/dst.hpp"
#include "schedule/timeline.hpp"
#include "schedule/zone.hpp"

namespace provisioner {

enum class CatchUp { kLatest, kNone };

// What a change of content or variables does to a deployed workspace.
enum class OnChange { kRedeploy, kNextSchedule, kIgnore, kForce };

// Commands run through `sh -c` instead of tofu; an absent one falls back to tofu's own step.
struct CustomCommands {
  std::optional<std::string> deploy_init, deploy_plan, deploy_apply;
  std::optional<std::string> destroy_init, destroy_destroy;

  friend bool operator==(const CustomCommands&, const CustomCommands&) = default;
};

struct WorkspaceSpec {
  WorkspaceName name;
  bool enabled = true;
  std::optional<std::string> template_name;
  std::vector<TimelineRule> rules;      // every cron expression of the file, labelled by its field
  std::optional<std::string> timezone;  // absent = the cluster's
  DstPolicy dst;
  CatchUp catch_up = CatchUp::kLatest;
  CustomCommands commands;
  ConfigValues variables;
  ConfigValues environment;
  std::vector<std::string> include;
  std::vector<WorkspaceName> depends_on;
  OnChange on_change = OnChange::kRedeploy;
  std::optional<Duration> ttl;
  Duration timeout = std::chrono::minutes(60);
  std::optional<std::int64_t> max_retries;  // of a run; absent = the daemon's setting
  std::string description;
  std::vector<std::string> tags;
  std::vector<JobSpec> jobs;  // in the order of the file

  // The modes that mode_schedules names, sorted; empty for a workspace without modes.
  std::vector<std::string> modes() const;
};

}  // namespace provisioner
