// What a workspace's config.json says, after validation (behaviour.md lists the fields).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.hpp"
#include "base/time.hpp"
#include "schedule/dst.hpp"
#include "schedule/timeline.hpp"
#include "schedule/zone.hpp"

namespace provisioner {

enum class CatchUp { kLatest, kNone };

// What a change of content or variables does to a deployed workspace.
enum class OnChange { kRedeploy, kNextSchedule, kIgnore, kForce };

// A value of `variables` or `environment`. Secrets are names of places; they are read when a run
// starts and never stored.
struct ConfigValue {
  enum class Source { kLiteral, kEnv, kFile };
  Source source = Source::kLiteral;
  std::string text;  // literal: its JSON text; env: the variable's name; file: its path

  bool is_secret() const { return source != Source::kLiteral; }
  friend bool operator==(const ConfigValue&, const ConfigValue&) = default;
};
using ConfigValues = std::map<std::string, ConfigValue>;

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

  // The modes that mode_schedules names, sorted; empty for a workspace without modes.
  std::vector<std::string> modes() const;
};

}  // namespace provisioner
