#include "server/routes.hpp"

#include <fmt/format.h>

#include <array>

#include "base/text.hpp"
#include "model/job.hpp"

namespace provisioner::server {
namespace {

using enum Role;
using enum Reach;

constexpr auto kRoutes = std::to_array<Route>({
    {"GET", "/api/v1/workspaces", kViewer, "", list_workspaces},
    {"GET", "/api/v1/workspaces/{workspace}", kViewer, "", show_workspace},
    {"DELETE", "/api/v1/workspaces/{workspace}", kAdmin, "workspace.remove", remove_workspace},
    {"POST", "/api/v1/workspaces/{workspace}/deploy", kOperator, "workspace.deploy",
     deploy_workspace},
    {"POST", "/api/v1/workspaces/{workspace}/destroy", kOperator, "workspace.destroy",
     destroy_workspace},
    {"POST", "/api/v1/workspaces/{workspace}/plan", kOperator, "workspace.plan", plan_workspace},
    {"POST", "/api/v1/workspaces/{workspace}/confirm", kOperator, "workspace.confirm",
     confirm_workspace},
    {"POST", "/api/v1/workspaces/{workspace}/hold", kOperator, "workspace.hold", hold_workspace},
    {"POST", "/api/v1/workspaces/{workspace}/release", kOperator, "workspace.release",
     release_workspace},
    {"POST", "/api/v1/workspaces/{workspace}/enable", kOperator, "workspace.enable",
     enable_workspace},
    {"POST", "/api/v1/workspaces/{workspace}/disable", kOperator, "workspace.disable",
     disable_workspace},
    {"POST", "/api/v1/workspaces/{workspace}/mode", kOperator, "workspace.mode", change_mode},
    {"POST", "/api/v1/workspaces/{workspace}/extend", kOperator, "workspace.extend",
     extend_workspace},
    {"GET", "/api/v1/workspaces/{workspace}/outputs", kViewer, "", show_outputs},
    {"GET", "/api/v1/workspaces/{workspace}/changes", kViewer, "", list_changes},
    {"GET", "/api/v1/workspaces/{workspace}/schedule", kViewer, "", preview_schedule},
    {"GET", "/api/v1/workspaces/{workspace}/definition", kAdmin, "", show_definition},
    {"GET", "/api/v1/workspaces/{workspace}/bundle", kAdmin, "", show_bundle},
    {"GET", "/api/v1/runs", kViewer, "", list_runs},
    {"GET", "/api/v1/runs/{run}", kViewer, "", show_run},
    {"POST", "/api/v1/runs/{run}/cancel", kOperator, "run.cancel", cancel_run},
    {"GET", "/api/v1/runs/{run}/log", kViewer, "", read_log},
    {"GET", "/api/v1/occurrences", kViewer, "", list_occurrences},
    {"GET", "/api/v1/events", kViewer, "", stream_events},
    {"GET", "/api/v1/states/{workspace}", kViewer, "", list_states},
    {"PUT", "/api/v1/states/{workspace}", kAdmin, "state.push", push_state},
    {"GET", "/api/v1/states/{workspace}/diff", kViewer, "", diff_states},
    {"POST", "/api/v1/states/{workspace}/rollback", kAdmin, "state.rollback", roll_back_state},
    {"DELETE", "/api/v1/states/{workspace}/lock", kAdmin, "state.unlock", unlock_state},
    {"GET", "/api/v1/states/{workspace}/{version}", kViewer, "", show_state},
    {"GET", "/api/v1/backend/{workspace}", kAdmin, "", read_backend},
    {"POST", "/api/v1/backend/{workspace}", kAdmin, "backend.write", write_backend},
    {"POST", "/api/v1/backend/{workspace}/lock", kAdmin, "backend.lock", lock_backend},
    {"POST", "/api/v1/backend/{workspace}/unlock", kAdmin, "backend.unlock", unlock_backend},
    {"GET", "/api/v1/cluster", kViewer, "", show_cluster},
    {"POST", "/api/v1/cluster/transfer", kAdmin, "cluster.transfer", transfer_leadership,
     kEverything},
    {"GET", "/api/v1/cluster/events", kViewer, "", list_cluster_events, kEverything},
    {"POST", "/api/v1/cluster/instances/{instance}/drain", kAdmin, "cluster.drain", drain_instance,
     kEverything},
    {"DELETE", "/api/v1/cluster/instances/{instance}/drain", kAdmin, "cluster.undrain",
     undrain_instance, kEverything},
    {"GET", "/api/v1/leadership", kViewer, "", show_leadership},
    {"POST", "/api/v1/reload", kOperator, "config.reload", reload_configuration, kEverything},
    {"GET", "/api/v1/jobs", kViewer, "", list_jobs},
    {"GET", "/api/v1/jobs/{workspace}/{job}", kViewer, "", show_job},
    {"GET", "/api/v1/jobs/{workspace}/{job}/schedule", kViewer, "", preview_job},
    {"POST", "/api/v1/jobs/{workspace}/{job}/run", kOperator, "job.run", run_job},
    {"POST", "/api/v1/jobs/{workspace}/{job}/kill", kOperator, "job.kill", kill_job},
    {"GET", "/api/v1/templates", kViewer, "", list_templates},
    {"GET", "/api/v1/templates/{template}", kViewer, "", show_template},
    {"POST", "/api/v1/templates/{template}", kAdmin, "template.add", add_template, kEverything},
    {"PATCH", "/api/v1/templates/{template}", kAdmin, "template.change", change_template,
     kEverything},
    {"DELETE", "/api/v1/templates/{template}", kAdmin, "template.remove", remove_template,
     kEverything},
    {"POST", "/api/v1/templates/{template}/update", kOperator, "template.update", update_template,
     kEverything},
    {"POST", "/api/v1/templates/{template}/validate", kOperator, "template.validate",
     validate_template, kEverything},
    {"GET", "/api/v1/tokens", kAdmin, "", list_tokens, kEverything},
    {"POST", "/api/v1/tokens/{token}", kAdmin, "token.create", create_token, kEverything},
    {"DELETE", "/api/v1/tokens/{token}", kAdmin, "token.revoke", revoke_token, kEverything},
});

// Decoded piece by piece, so that an encoded slash stays inside its piece.
std::vector<std::string> pieces_of(std::string_view target) {
  std::vector<std::string> pieces;
  for (const std::string_view piece : split(target.substr(0, target.find_first_of("?#")), '/')) {
    pieces.push_back(http::Request{.target = std::string(piece)}.path());
  }
  return pieces;
}

std::optional<std::vector<std::string>> match(std::string_view pattern,
                                              const std::vector<std::string>& pieces) {
  const std::vector<std::string_view> wanted = split(pattern, '/');
  if (wanted.size() != pieces.size()) return std::nullopt;
  std::vector<std::string> params;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    if (wanted[i].starts_with('{') && !pieces[i].empty()) {
      params.push_back(pieces[i]);
    } else if (wanted[i] != pieces[i]) {
      return std::nullopt;
    }
  }
  return params;
}

}  // namespace

std::span<const Route> route_table() { return kRoutes; }

WorkspaceName workspace_in(const Match& match) {
  const bool of_job = match.route->pattern.contains("{job}");
  if (of_job && match.params[0] == kStandalone) return home_of(JobName(match.params[1]));
  return WorkspaceName(match.params[0]);
}

std::expected<Match, Problem> find_route(std::string_view method, std::string_view target) {
  const std::vector<std::string> pieces = pieces_of(target);
  std::vector<std::string> allowed;
  // The first pattern that fits counts: /diff and /lock stand before /{version}.
  std::string_view fitting;
  for (const Route& route : kRoutes) {
    if (!fitting.empty() && route.pattern != fitting) continue;
    auto params = match(route.pattern, pieces);
    if (!params) continue;
    fitting = route.pattern;
    if (route.method == method || (route.method == "GET" && method == "HEAD")) {
      return Match{&route, std::move(*params)};
    }
    allowed.emplace_back(route.method);
  }
  if (allowed.empty()) {
    return std::unexpected(
        Problem{.status = 404, .code = "no_such_path", .detail = "the API has no such path"});
  }
  return std::unexpected(Problem{
      .status = 405,
      .code = "method_not_allowed",
      .detail = fmt::format("{} is not possible here, only {}", method, join(allowed, " and ")),
      .choices = allowed});
}

}  // namespace provisioner::server
