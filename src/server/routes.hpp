// The table of routes, and what their handlers get. Inner to the room.
#pragma once

#include <expected>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "server/access.hpp"
#include "server/api.hpp"
#include "server/feed.hpp"
#include "server/problem.hpp"

namespace provisioner::server {

// Shared by all calls.
struct Services {
  explicit Services(Api::Parts p)
      : parts(std::move(p)), specs(parts.read_spec, parts.default_zone), feed(parts.store) {}

  Instant now() const { return parts.clock.now(); }

  Api::Parts parts;
  SpecCache specs;
  Feed feed;
  std::string feed_epoch;  // tells this daemon's event numbers from another's
};

struct Call {
  http::Request request;
  Caller caller;
  CorrelationId correlation;        // of the request
  std::vector<std::string> params;  // what stood for {..} in the pattern, decoded
};

using Reply = std::expected<http::Response, Problem>;

// `services` outlives the coroutine.
using RouteHandler = Task<Reply> (*)(Services& services, Call call);

// What a route is about. The scope of a token is checked for routes with a {workspace} by the
// table; others show only what is in it, or are closed to it.
enum class Reach { kInScope, kEverything };

struct Route {
  std::string_view method;
  std::string_view pattern;  // "/api/v1/workspaces/{workspace}"
  Role role;
  std::string_view action;  // for the audit: "workspace.deploy"; "" = a mere look
  RouteHandler handler;
  Reach reach = Reach::kInScope;
};

std::span<const Route> route_table();

struct Match {
  const Route* route = nullptr;
  std::vector<std::string> params;
};

// Whom a route with a {workspace} is about: of a standalone job (kStandalone and a {job}) its home.
WorkspaceName workspace_in(const Match& match);

// 404 when no route has such a path, 405 when none of them has the method.
std::expected<Match, Problem> find_route(std::string_view method, std::string_view target);

// What the table points to, by file.
// workspace_routes.cpp
Task<Reply> list_workspaces(Services& services, Call call);
Task<Reply> show_workspace(Services& services, Call call);
Task<Reply> hold_workspace(Services& services, Call call);
Task<Reply> release_workspace(Services& services, Call call);
Task<Reply> enable_workspace(Services& services, Call call);
Task<Reply> disable_workspace(Services& services, Call call);
Task<Reply> extend_workspace(Services& services, Call call);
Task<Reply> remove_workspace(Services& services, Call call);
Task<Reply> list_changes(Services& services, Call call);
// schedule_routes.cpp
Task<Reply> preview_schedule(Services& services, Call call);
Task<Reply> list_occurrences(Services& services, Call call);
// operation_routes.cpp
Task<Reply> deploy_workspace(Services& services, Call call);
Task<Reply> change_mode(Services& services, Call call);
Task<Reply> destroy_workspace(Services& services, Call call);
Task<Reply> plan_workspace(Services& services, Call call);
Task<Reply> confirm_workspace(Services& services, Call call);
// run_routes.cpp
Task<Reply> list_runs(Services& services, Call call);
Task<Reply> show_run(Services& services, Call call);
Task<Reply> cancel_run(Services& services, Call call);
Task<Reply> read_log(Services& services, Call call);
// event_routes.cpp
Task<Reply> stream_events(Services& services, Call call);
// state_routes.cpp
Task<Reply> list_states(Services& services, Call call);
Task<Reply> show_state(Services& services, Call call);
Task<Reply> diff_states(Services& services, Call call);
Task<Reply> roll_back_state(Services& services, Call call);
Task<Reply> push_state(Services& services, Call call);
Task<Reply> unlock_state(Services& services, Call call);
Task<Reply> show_outputs(Services& services, Call call);
// backend_routes.cpp
Task<Reply> show_definition(Services& services, Call call);
Task<Reply> show_bundle(Services& services, Call call);
Task<Reply> read_backend(Services& services, Call call);
Task<Reply> write_backend(Services& services, Call call);
Task<Reply> lock_backend(Services& services, Call call);
Task<Reply> unlock_backend(Services& services, Call call);
// cluster_routes.cpp
Task<Reply> show_cluster(Services& services, Call call);
Task<Reply> transfer_leadership(Services& services, Call call);
Task<Reply> drain_instance(Services& services, Call call);
Task<Reply> undrain_instance(Services& services, Call call);
Task<Reply> list_cluster_events(Services& services, Call call);
Task<Reply> show_leadership(Services& services, Call call);
Task<Reply> reload_configuration(Services& services, Call call);
// job_routes.cpp
Task<Reply> list_jobs(Services& services, Call call);
Task<Reply> show_job(Services& services, Call call);
Task<Reply> run_job(Services& services, Call call);
Task<Reply> kill_job(Services& services, Call call);
Task<Reply> preview_job(Services& services, Call call);
// template_routes.cpp
Task<Reply> list_templates(Services& services, Call call);
Task<Reply> show_template(Services& services, Call call);
Task<Reply> add_template(Services& services, Call call);
Task<Reply> change_template(Services& services, Call call);
Task<Reply> update_template(Services& services, Call call);
Task<Reply> validate_template(Services& services, Call call);
Task<Reply> remove_template(Services& services, Call call);
// token_routes.cpp
Task<Reply> list_tokens(Services& services, Call call);
Task<Reply> create_token(Services& services, Call call);
Task<Reply> revoke_token(Services& services, Call call);

}  // namespace provisioner::server
