#include "server/probes.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "server/problem.hpp"

namespace provisioner::server {
namespace {

http::Response reply(int status, const nlohmann::ordered_json& json) {
  return http::json_response(status, json.dump() + "\n");
}

}  // namespace

std::optional<http::Response> answer_probe(const http::Request& request, const ProbeView& view) {
  if (request.method != "GET" && request.method != "HEAD") return std::nullopt;
  const std::string path = request.path();
  if (path == "/health" || path == "/health/live") {
    return reply(200, {{"status", "ok"}, {"version", view.version}});
  }
  if (path == "/ready" || path == "/health/ready") {
    if (!view.readiness.ready) {
      return reply(503, {{"ready", false}, {"reason", view.readiness.reason}});
    }
    return reply(200, {{"ready", true}, {"role", view.leads ? "leader" : "standby"}});
  }
  if (path == "/leader") {
    return reply(view.leads ? 200 : 503,
                 {{"leader", view.leads}, {"instance", view.instance.value}});
  }
  return std::nullopt;
}

http::Response answer_not_ready(const http::Request& request, const ProbeView& view) {
  if (auto probed = answer_probe(request, view)) return std::move(*probed);
  return render(Problem{.status = 503, .code = "not_ready", .detail = view.readiness.reason});
}

}  // namespace provisioner::server
