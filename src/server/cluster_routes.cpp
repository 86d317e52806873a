#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "server/body.hpp"
#include "server/replies.hpp"

namespace provisioner::server {
namespace {

// An instance that did not speak for longer is not counted on. Instances beat every few seconds.
constexpr Duration kSilence = std::chrono::seconds(30);

bool lives(const Instance& instance, Instant now) {
  return !instance.stopped && now - instance.last_seen < kSilence;
}

std::vector<Disagreement> find_disagreements(const std::vector<Workspace>& workspaces,
                                             const std::vector<Report>& reports,
                                             const std::vector<Instance>& instances, Instant now) {
  std::map<WorkspaceName, const Workspace*> by_name;
  for (const Workspace& w : workspaces) by_name.emplace(w.name, &w);
  std::vector<Disagreement> found;
  for (const Report& report : reports) {
    const auto known = by_name.find(report.workspace);
    const auto reporter = std::ranges::find(instances, report.instance, &Instance::id);
    if (known == by_name.end() || reporter == instances.end() || !lives(*reporter, now)) continue;
    const Workspace& w = *known->second;
    std::string difference;
    if (report.content.empty() && !w.detached) difference = "its folder has vanished there";
    if (!report.content.empty() && w.detached) difference = "its folder is still there";
    if (!report.content.empty() && !w.detached && report.content != reported_content(w)) {
      difference = "it has another content there";
    }
    if (difference.empty()) continue;
    found.push_back({report.workspace, report.instance, difference, report.reported_at});
  }
  return found;
}

Task<std::expected<Instance, Problem>> find_instance(Services& services, InstanceId id) {
  auto instances = co_await services.parts.store.instances();
  if (!instances) co_return refuse(instances.error());
  std::vector<std::string> known;
  for (Instance& row : *instances) {
    if (row.id == id) co_return std::move(row);
    known.push_back(row.id.value);
  }
  co_return refuse(404, "instance_not_found", fmt::format("there is no instance {}", id.value),
                   known);
}

Task<Reply> set_draining(Services& services, const Call& call, bool draining) {
  auto instance = co_await find_instance(services, InstanceId(call.params[0]));
  if (!instance) co_return std::unexpected(instance.error());
  const auto row = co_await services.parts.store.set_draining(instance->id, draining);
  if (!row) co_return refuse(row.error());
  co_return http::json_response(200, render_instance(*row) + "\n");
}

}  // namespace

Task<Reply> show_cluster(Services& services, Call call) {
  Store& store = services.parts.store;
  const auto leadership = co_await store.leadership();
  if (!leadership) co_return refuse(leadership.error());
  const auto instances = co_await store.instances();
  if (!instances) co_return refuse(instances.error());
  const auto attempts = co_await store.running_attempts();
  if (!attempts) co_return refuse(attempts.error());
  const auto reports = co_await store.reports();
  if (!reports) co_return refuse(reports.error());
  const auto workspaces = co_await store.workspaces();
  if (!workspaces) co_return refuse(workspaces.error());
  const LeaderView leader = services.parts.leader();
  ClusterView cluster{
      .leadership = *leadership,
      .lease_expires_at = leader.lease_expires_at,
      .instances = {},
      .store = store.describe(),
      .election = services.parts.election,
      .election_problem = services.parts.election_problem(),
      .disagreements = find_disagreements(*workspaces, *reports, *instances, services.now())};
  std::erase_if(cluster.disagreements,
                [&](const Disagreement& d) { return !call.caller.scope.contains(d.workspace); });
  for (const Instance& row : *instances) {
    const bool is_self = row.id == services.parts.instance;
    const bool leads = is_self ? leader.leads : row.id == leadership->leader;
    const bool is_alive = is_self || lives(row, services.now());
    InstanceView view{
        .row = row,
        .role = is_alive ? (leads ? "leader" : "standby") : (row.stopped ? "stopped" : "lost"),
        .ready = is_self ? services.parts.readiness().ready : is_alive && row.ready};
    for (const AttemptRow& attempt : *attempts) {
      if (attempt.instance == row.id) ++view.running;
    }
    cluster.instances.push_back(std::move(view));
  }
  co_return http::json_response(200, render(cluster) + "\n");
}

Task<Reply> transfer_leadership(Services& services, Call call) {
  static constexpr std::string_view kFields[] = {"to"};
  const auto body = CommandBody::parse(call.request, kFields);
  if (!body) co_return std::unexpected(body.error());
  const auto to = body->text("to");
  if (!to) co_return std::unexpected(to.error());
  const auto instances = co_await services.parts.store.instances();
  if (!instances) co_return refuse(instances.error());
  const auto leadership = co_await services.parts.store.leadership();
  if (!leadership) co_return refuse(leadership.error());
  if (!to->empty()) {
    const auto target = co_await find_instance(services, InstanceId(*to));
    if (!target) co_return std::unexpected(target.error());
    if (!lives(*target, services.now())) {
      co_return refuse(409, "instance_not_live",
                       fmt::format("instance {} was last seen at {}: it cannot lead", *to,
                                   format_rfc3339(target->last_seen)));
    }
    if (target->draining) {
      co_return refuse(409, "instance_draining",
                       fmt::format("instance {} is draining: 'provisioner cluster drain {} --undo' "
                                   "lets it lead again",
                                   *to, *to));
    }
  }
  const bool anyone_else = std::ranges::any_of(*instances, [&](const Instance& row) {
    return row.id != leadership->leader && lives(row, services.now()) && !row.draining;
  });
  if (!anyone_else) {
    co_return refuse(409, "nobody_to_lead", "no other live instance could lead");
  }
  const auto asked = co_await services.parts.store.request_transfer(
      services.parts.random.claim_id().value, InstanceId(*to), services.now());
  if (!asked) co_return refuse(asked.error());
  co_return http::json_response(
      202,
      render_leadership(*asked, services.parts.instance, services.parts.leader().leads) + "\n");
}

Task<Reply> drain_instance(Services& services, Call call) {
  co_return co_await set_draining(services, call, true);
}

Task<Reply> undrain_instance(Services& services, Call call) {
  co_return co_await set_draining(services, call, false);
}

Task<Reply> list_cluster_events(Services& services, Call call) {
  const auto limit = query_number(call.request, "limit", 1, 1000, 50);
  if (!limit) co_return std::unexpected(limit.error());
  const auto events = co_await services.parts.store.audit_events(
      {.action_prefix = "cluster.", .limit = static_cast<int>(*limit)});
  if (!events) co_return refuse(events.error());
  std::vector<std::string> items;
  for (const AuditEvent& event : *events) items.push_back(render_cluster_event(event));
  co_return http::json_response(200, render_list(items));
}

Task<Reply> show_leadership(Services& services, Call) {
  const auto leadership = co_await services.parts.store.leadership();
  if (!leadership) co_return refuse(leadership.error());
  co_return http::json_response(
      200, render_leadership(*leadership, services.parts.instance, services.parts.leader().leads) +
               "\n");
}

Task<Reply> reload_configuration(Services& services, Call) {
  const Status reloaded = co_await services.parts.reload();
  if (!reloaded) co_return refuse(reloaded.error());
  const auto problems = services.parts.config_problems();
  std::vector<std::string> items;
  for (const auto& [folder, message] : problems) items.push_back(render_problem(folder, message));
  co_return http::json_response(200, render_list(items));
}

}  // namespace provisioner::server
