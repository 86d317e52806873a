// One workspace in a test's hands: what it is, what its schedule says, and what would be decided.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "scheduler/plan.hpp"
#include "scheduler/reconcile.hpp"

namespace provisioner::testing {

inline Instant at(std::string_view text) { return parse_rfc3339(text).value(); }

inline TimelineRule rule(std::string label, Action action, std::string mode,
                         std::string_view cron) {
  return {std::move(label), action, std::move(mode), CronExpression::parse(cron).value()};
}

inline std::vector<TimelineRule> rules_of(std::string_view deploy, std::string_view destroy) {
  std::vector<TimelineRule> rules;
  if (!deploy.empty()) rules.push_back(rule("deploy_schedule", Action::kDeploy, "", deploy));
  if (!destroy.empty()) rules.push_back(rule("destroy_schedule", Action::kDestroy, "", destroy));
  return rules;
}

inline Definition definition(std::string content) {
  return {.config = "{}", .bundle = BundleHash(std::move(content)), .inputs_hash = "inputs"};
}

class Story {
 public:
  explicit Story(std::vector<TimelineRule> rules, std::string_view zone = "UTC", DstPolicy dst = {})
      : timeline(rules, Zone::find(zone).value(), dst) {
    workspace.name = WorkspaceName("shop");
    workspace.current = definition("v1");
    spec.name = workspace.name;
    spec.rules = std::move(rules);
  }
  // Deploys at 8, destroys at 18, every day.
  static Story office_hours() { return Story(rules_of("0 8 * * *", "0 18 * * *")); }

  Story& deployed(std::string content = "v1", std::string mode = "") {
    workspace.status = WorkspaceStatus::kDeployed;
    workspace.deployed = definition(std::move(content));
    workspace.deployed_mode = workspace.mode = std::move(mode);
    return *this;
  }
  Story& status(WorkspaceStatus status) {
    workspace.status = status;
    return *this;
  }
  Run run(Operation operation, RunStatus status, Trigger trigger = Trigger::kSchedule) const {
    Run run;
    run.id = RunId(fmt::format("{}-run", to_string(operation)));
    run.workspace = workspace.name;
    run.operation = operation;
    run.status = status;
    run.trigger = trigger;
    run.definition = workspace.current;
    return run;
  }
  Story& running(Operation operation) {
    active = run(operation, RunStatus::kRunning);
    return *this;
  }
  Story& queued_behind(Operation operation) {
    queued = run(operation, RunStatus::kQueued);
    return *this;
  }

  Situation situation(Instant cursor, Instant now) const {
    return {.spec = spec,
            .timeline = timeline,
            .workspace = workspace,
            .cursor = cursor,
            .active = active ? &*active : nullptr,
            .queued = queued ? &*queued : nullptr,
            .recent = recent,
            .neighbours = neighbours,
            .now = now};
  }
  Plan planned(std::string_view cursor, std::string_view now) const {
    auto result = plan(situation(at(cursor), at(now)));
    EXPECT_TRUE(result) << result.error().message;
    return result.value_or(Plan{});
  }
  Decision reconciled(std::string_view now) const { return reconcile(situation(at(now), at(now))); }

  WorkspaceSpec spec;
  Timeline timeline;
  Workspace workspace;
  std::optional<Run> active;
  std::optional<Run> queued;
  std::vector<Run> recent;
  Neighbours neighbours;
};

// "deploy_schedule 2026-03-02T08:00:00+00:00 fired", or "* FROM..UNTIL x1440 superseded".
inline std::vector<std::string> ledger(const Plan& plan) {
  std::vector<std::string> lines;
  for (const auto& row : plan.occurrences) {
    lines.push_back(
        row.count == 1
            ? fmt::format("{} {} {}", row.schedule, row.local_time, to_string(row.outcome))
            : fmt::format("{} {}..{} x{} {}", row.schedule, format_rfc3339(row.at),
                          format_rfc3339(row.until), row.count, to_string(row.outcome)));
  }
  return lines;
}

// "deploy", "destroy (ttl)", "deploy in busy", or "nothing".
inline std::string wanted(const std::optional<NewRun>& run) {
  if (!run) return "nothing";
  std::string text(to_string(run->operation));
  if (!run->mode.empty()) text += " in " + run->mode;
  if (run->trigger != Trigger::kSchedule) text += fmt::format(" ({})", to_string(run->trigger));
  return text;
}

}  // namespace provisioner::testing
