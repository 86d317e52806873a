// Rows of workspaces, schedules and the ledger, as every SQL store keeps them: the columns and
// their readers. `Row` is the store's own reader of columns from left to right.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "store/store.hpp"

namespace provisioner {

// In the order of read_workspace().
inline constexpr std::string_view kSelectWorkspaces =
    "SELECT w.name, w.enabled, w.status, w.detached, w.held, w.hold_until, w.hold_reason, "
    "w.deployment_mode, w.template_name, w.template_bundle, w.folder_content, w.description, "
    "w.config, w.bundle, w.inputs_hash, "
    "s.config_version, w.deployed_config, w.deployed_bundle, w.deployed_inputs_hash, "
    "w.deployed_mode, w.last_deployed, w.last_destroyed, w.last_deploy_error, "
    "w.last_destroy_error, w.last_config_modified, w.ttl_expires_at, w.failed_destroys, "
    "w.retry_at, w.created_at, w.updated_at, w.version "
    "FROM workspace_states w JOIN schedules s ON s.workspace = w.name ";

template <typename Row>
Workspace read_workspace(Row row) {
  Workspace w;
  w.name = row.template as<WorkspaceName>();
  w.enabled = row.boolean();
  w.status = row.checked(parse_workspace_status(row.text()));
  w.detached = row.boolean();
  w.held = row.boolean();
  w.hold_until = row.optional_instant();
  w.hold_reason = row.text();
  w.mode = row.text();
  w.template_name = row.text();
  w.template_bundle = row.template as<BundleHash>();
  w.folder_content = row.text();
  w.description = row.text();
  w.current = {
      .config = row.text(), .bundle = row.template as<BundleHash>(), .inputs_hash = row.text()};
  w.config_version = row.integer();
  auto deployed_config = row.optional_text();
  Definition deployed{.config = deployed_config.value_or(""),
                      .bundle = row.template as<BundleHash>(),
                      .inputs_hash = row.text()};
  if (deployed_config) w.deployed = std::move(deployed);
  w.deployed_mode = row.text();
  w.last_deployed = row.optional_instant();
  w.last_destroyed = row.optional_instant();
  w.last_deploy_error = row.text();
  w.last_destroy_error = row.text();
  w.last_config_modified = row.optional_instant();
  w.ttl_expires_at = row.optional_instant();
  w.failed_destroys = row.integer();
  w.retry_at = row.optional_instant();
  w.created_at = row.instant();
  w.updated_at = row.instant();
  w.version = row.template as<Version>();
  return w;
}

// The columns of what is deployed; all are NULL where nothing is.
struct DeployedColumns {
  std::optional<std::string> config, bundle, inputs_hash;

  explicit DeployedColumns(const std::optional<Definition>& deployed) {
    if (!deployed) return;
    config = deployed->config;
    bundle = deployed->bundle.value;
    inputs_hash = deployed->inputs_hash;
  }
};

// An empty text is NULL in the columns that the requirement prescribes.
inline std::optional<std::string> or_null(const std::string& text) {
  return text.empty() ? std::nullopt : std::optional(text);
}

inline constexpr std::string_view kSelectCursors =
    "SELECT workspace, cursor, config_version FROM schedules ";

template <typename Row>
ScheduleCursor read_cursor(Row row) {
  return {.workspace = row.template as<WorkspaceName>(),
          .cursor = row.instant(),
          .config_version = row.integer()};
}

inline constexpr std::string_view kSelectOccurrences =
    "SELECT workspace, schedule, at, until, count, local_time, action, mode, outcome, reason, run, "
    "job FROM occurrences ";

template <typename Row>
Occurrence read_occurrence(Row row) {
  Occurrence o;
  o.workspace = row.template as<WorkspaceName>();
  o.schedule = row.text();
  o.at = row.instant();
  o.until = row.instant();
  o.count = row.integer();
  o.local_time = row.text();
  o.action = row.checked(parse_action(row.text()));
  o.mode = row.text();
  o.outcome = row.checked(parse_outcome(row.text()));
  o.reason = row.text();
  o.run = row.template optional_as<RunId>();
  o.job = row.template as<JobName>();
  return o;
}

}  // namespace provisioner
