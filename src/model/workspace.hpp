// A workspace as the store knows it: what it should be made of, and what it is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/ids.hpp"
#include "base/time.hpp"

namespace provisioner {

enum class WorkspaceStatus {
  kPending,  // never deployed
  kDeploying,
  kDeployed,
  kDestroying,
  kDestroyed,
  kDeployFailed,
  kDestroyFailed,
  kNeedsConfirmation,  // a change would delete or replace something; `workspace confirm` goes on
};
inline constexpr std::size_t kWorkspaceStatuses = 8;
std::string_view to_string(WorkspaceStatus status);  // "pending", "deploy_failed", ...
Result<WorkspaceStatus> parse_workspace_status(std::string_view text);

// The definition a run works from: config.json (normalised JSON), its content, and the fingerprint
// of what of the definition reaches tofu (variables, environment, commands, mode excluded).
struct Definition {
  std::string config;  // the normalised text of config.json
  BundleHash bundle;
  std::string inputs_hash;

  // Whether a deployment of `other` is also one of this.
  bool same_content(const Definition& other) const {
    return bundle == other.bundle && inputs_hash == other.inputs_hash;
  }
  friend bool operator==(const Definition&, const Definition&) = default;
};

struct Workspace {
  WorkspaceName name;
  bool enabled = true;
  WorkspaceStatus status = WorkspaceStatus::kPending;
  bool detached = false;  // the folder has vanished; the last definition stays in force
  bool held = false;
  std::optional<Instant> hold_until;  // absent while held = until `release`
  std::string hold_reason;
  std::string mode;  // of the last deploy; "" = none
  std::string template_name;
  // Of a workspace whose content holds the files of its template: the template's content that was
  // taken, and the name of what the folder itself says. Both "" of any other.
  BundleHash template_bundle;
  std::string folder_content;
  std::string description;

  Definition current;                  // what the folder says now
  std::int64_t config_version = 0;     // grows with every accepted change of `current`
  std::optional<Definition> deployed;  // of the last deploy *attempt*; a destroy uses it
  std::string deployed_mode;           // of the last deploy attempt

  std::optional<Instant> last_deployed;
  std::optional<Instant> last_destroyed;
  std::string last_deploy_error;  // "" = the last one succeeded
  std::string last_destroy_error;
  std::optional<Instant> last_config_modified;
  std::optional<Instant> ttl_expires_at;
  std::int64_t failed_destroys = 0;  // in a row
  // When a failed destroy is begun again, or the queued run of a failed deploy or destroy goes on
  // with another attempt.
  std::optional<Instant> retry_at;

  Instant created_at;
  Instant updated_at;
  Version version;  // grows with every write of the row

  friend bool operator==(const Workspace&, const Workspace&) = default;
};

// Whether resources may exist: everything but "never deployed" and "destroyed".
bool may_have_resources(const Workspace& workspace);

// Whether the schedule is suspended by a hold at `now`.
bool is_held(const Workspace& workspace, Instant now);

// Whether schedule, ttl, change and retry are: it is held or disabled.
bool is_suspended(const Workspace& workspace, Instant now);

}  // namespace provisioner
