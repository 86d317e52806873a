#include "server/replies.hpp"

namespace provisioner::server {
namespace {

// An instance that did not speak for longer is not counted on. Instances beat every few seconds.
constexpr Duration kSilence = std::chrono::seconds(30);

}  // namespace

Task<Reply> show_cluster(Services& services, Call) {
  Store& store = services.parts.store;
  const auto leadership = co_await store.leadership();
  if (!leadership) co_return refuse(leadership.error());
  const auto instances = co_await store.instances();
  if (!instances) co_return refuse(instances.error());
  const auto attempts = co_await store.running_attempts();
  if (!attempts) co_return refuse(attempts.error());
  const LeaderView leader = services.parts.leader();
  ClusterView cluster{.leadership = *leadership,
                      .lease_expires_at = leader.lease_expires_at,
                      .instances = {},
                      .store = store.describe(),
                      .election = services.parts.election};
  for (const Instance& row : *instances) {
    const bool is_self = row.id == services.parts.instance;
    const bool leads = is_self ? leader.leads : row.id == leadership->leader;
    InstanceView view{.row = row,
                      .role = leads ? "leader" : "standby",
                      .ready = is_self ? services.parts.readiness().ready
                                       : services.now() - row.last_seen < kSilence};
    for (const AttemptRow& attempt : *attempts) {
      if (attempt.instance == row.id) ++view.running;
    }
    cluster.instances.push_back(std::move(view));
  }
  co_return http::json_response(200, render(cluster) + "\n");
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
