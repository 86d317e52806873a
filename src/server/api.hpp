// The HTTP API of one instance: routes, who may use them, and what they answer. docs/openapi.json
// describes it; the tests hold both to each other.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "base/ids.hpp"
#include "base/time.hpp"
#include "http/server.hpp"
#include "runtime/clock.hpp"
#include "runtime/random.hpp"
#include "scheduler/spec_cache.hpp"
#include "server/access.hpp"
#include "server/gate.hpp"
#include "server/probes.hpp"
#include "store/store.hpp"
#include "telemetry/log.hpp"
#include "templates/registry.hpp"

namespace provisioner::server {

struct LeaderView {
  bool leads = false;  // this instance, now
  std::optional<Instant> lease_expires_at;
};

// Commands become rows of the store; nothing here decides or runs anything. Every command and every
// refusal is audited. Loop only; what Parts refers to outlives the Api, and the Api outlives the
// http::Server that calls it (drained) or the loop's last step.
class Api {
 public:
  struct Parts {
    Store& store;
    Clock& clock;
    Random& random;
    Logger log;
    std::string version;  // of this program
    InstanceId instance;
    AccessPolicy access;
    AccessLimits limits;
    SpecReader read_spec;
    Zone default_zone;
    TemplateRegistry& templates;
    std::function<LeaderView()> leader;
    std::string election;  // Election::describe()
    // Why the election does not answer this instance; "" = it did when it was asked last.
    std::function<std::string()> election_problem;
    std::function<Readiness()> readiness;
    std::function<std::vector<HealthCheck>()> health;  // of what this instance depends on
    // What is wrong with which folder at present, as sentences.
    std::function<std::map<std::string, std::string>()> config_problems;
    std::function<Task<Status>()> reload;  // reads the configuration's folders again
    // What takes a workspace's secrets out of a text that is for people.
    std::function<Task<std::function<std::string(std::string)>>(Workspace)> masking;
    // Takes /runner/v1/ when it is there; reached over unix sockets only, by any uid: it has
    // credentials of its own.
    http::Handler runner_api;
  };
  explicit Api(Parts parts);
  ~Api();

  // For http::Server. Does not throw.
  Task<http::Response> handle(http::Request request);

  void set_limits(const AccessLimits& limits);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace provisioner::server
