#include "model/workspace.hpp"

#include <fmt/format.h>

#include <array>
#include <utility>

namespace provisioner {
namespace {

constexpr std::array<std::pair<WorkspaceStatus, std::string_view>, 8> kNames = {{
    {WorkspaceStatus::kPending, "pending"},
    {WorkspaceStatus::kDeploying, "deploying"},
    {WorkspaceStatus::kDeployed, "deployed"},
    {WorkspaceStatus::kDestroying, "destroying"},
    {WorkspaceStatus::kDestroyed, "destroyed"},
    {WorkspaceStatus::kDeployFailed, "deploy_failed"},
    {WorkspaceStatus::kDestroyFailed, "destroy_failed"},
    {WorkspaceStatus::kNeedsConfirmation, "needs_confirmation"},
}};

}  // namespace

std::string_view to_string(WorkspaceStatus status) {
  for (const auto& [value, name] : kNames) {
    if (value == status) return name;
  }
  return "pending";
}

Result<WorkspaceStatus> parse_workspace_status(std::string_view text) {
  for (const auto& [value, name] : kNames) {
    if (name == text) return value;
  }
  return fail(ErrorKind::kInvalid, fmt::format("\"{}\" is not a workspace status", text));
}

bool may_have_resources(const Workspace& workspace) {
  return workspace.status != WorkspaceStatus::kPending &&
         workspace.status != WorkspaceStatus::kDestroyed;
}

bool is_held(const Workspace& workspace, Instant now) {
  return workspace.held && (!workspace.hold_until || now < *workspace.hold_until);
}

bool is_suspended(const Workspace& workspace, Instant now) {
  return !workspace.enabled || is_held(workspace, now);
}

}  // namespace provisioner
