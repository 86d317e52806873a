// What load balancers and supervisors ask: /health, /ready, /leader. Open to everybody, and nothing
// in them is a secret.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/ids.hpp"
#include "base/time.hpp"
#include "http/message.hpp"
#include "server/health.hpp"

namespace provisioner::server {

struct Readiness {
  bool ready = false;
  std::string reason;  // why not
};

struct ProbeView {
  std::string version;
  InstanceId instance;
  Instant now;
  bool leads = false;
  Readiness readiness;
  std::vector<HealthCheck> checks;
};

// Nothing when `request` is no probe. /health and /health/live depend on nothing but the loop that
// answers: a red one would let supervisors kill the daemon. /ready says whether this instance
// serves requests, /health/deep how all is on which it depends; 503 when that is unhealthy.
std::optional<http::Response> answer_probe(const http::Request& request, const ProbeView& view);

// What a daemon answers that serves nothing else yet, or no longer.
http::Response answer_not_ready(const http::Request& request, const ProbeView& view);

}  // namespace provisioner::server
