#include "server/probes.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <utility>

#include "server/problem.hpp"

namespace provisioner::server {
namespace {

using Json = nlohmann::ordered_json;

http::Response reply(int status, const Json& json) {
  http::Response response =
      http::json_response(status, json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n");
  response.headers["Cache-Control"] = "no-store";
  return response;
}

Json report(const ProbeView& view, const std::vector<HealthCheck>& checks) {
  Json list = Json::array();
  for (const HealthCheck& check : checks) {
    list.push_back({{"name", check.name},
                    {"status", to_string(check.health)},
                    {"message", check.message},
                    {"duration_ms", static_cast<double>(check.took.count()) / 1000}});
  }
  return {{"status", to_string(worst_of(checks))},
          {"checks", std::move(list)},
          {"timestamp", format_rfc3339(view.now)},
          {"version", view.version}};
}

HealthCheck serving(const Readiness& readiness) {
  return {.name = "serving",
          .health = readiness.ready ? Health::kHealthy : Health::kUnhealthy,
          .message = readiness.reason};
}

http::Response answer_ready(const ProbeView& view) {
  const bool ready = view.readiness.ready;
  Json json = {{"ready", ready}};
  if (ready) {
    json["role"] = view.leads ? "leader" : "standby";
  } else {
    json["reason"] = view.readiness.reason;
  }
  json.update(report(view, {serving(view.readiness)}));
  return reply(ready ? 200 : 503, json);
}

http::Response answer_deep(const ProbeView& view) {
  std::vector<HealthCheck> checks = {serving(view.readiness)};
  checks.insert(checks.end(), view.checks.begin(), view.checks.end());
  return reply(worst_of(checks) == Health::kUnhealthy ? 503 : 200, report(view, checks));
}

}  // namespace

std::optional<http::Response> answer_probe(const http::Request& request, const ProbeView& view) {
  if (request.method != "GET" && request.method != "HEAD") return std::nullopt;
  const std::string path = request.path();
  if (path == "/health" || path == "/health/live") {
    return reply(200, report(view, {{.name = "loop", .message = "it answers"}}));
  }
  if (path == "/ready" || path == "/health/ready") return answer_ready(view);
  if (path == "/health/deep") return answer_deep(view);
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
