// One instance: a daemon made of the product's own parts, with the simulated world under it.
#pragma once

#include <memory>
#include <string>

#include "election/leadership_loop.hpp"
#include "execution/dispatcher.hpp"
#include "execution/runner_api.hpp"
#include "execution/workspace_log.hpp"
#include "runtime/random.hpp"
#include "scheduler/loop.hpp"
#include "tests/simulation/election.hpp"
#include "tests/simulation/host.hpp"
#include "tests/simulation/launcher.hpp"
#include "tests/simulation/link.hpp"
#include "tests/simulation/observer.hpp"
#include "tests/simulation/store.hpp"

namespace provisioner::simulation {

// How long things take in the simulated installation; the proportions are the defaults'.
struct Timing {
  ElectionTiming election;
  Duration lease = std::chrono::seconds(40);
  Duration margin = std::chrono::seconds(2);
  Duration heartbeat = std::chrono::seconds(4);
  Duration stop_allowance = std::chrono::seconds(10);
  Duration timeout = std::chrono::seconds(90);  // of a run
};

class Instance {
 public:
  struct Parts {
    World& world;
    Host& host;
    StoreServer& store;
    ElectionServer& election;
    Observer& observer;
    execution::WorkspaceLog& workspace_log;
    std::shared_ptr<LogSink> log;
    InstanceId id;
    Timing timing;
    std::function<Temper()> temper;
  };
  explicit Instance(Parts parts);
  ~Instance();

  const InstanceId& id() const { return parts_.id; }
  Host& host() { return parts_.host; }
  std::string state_dir() const { return "/" + parts_.id.value; }
  bool alive() const { return life_ != nullptr; }
  Process* daemon() const;

  void start();
  void kill();  // SIGKILL; guards, runners and tofu live on
  // Stops deciding, hands the leadership back, then ends.
  void begin_to_stop();

  // The fence that it decides with, if it believes that it leads.
  std::optional<LeaderFence> fence() const;

  Link to_store, to_election;

 private:
  struct Life;
  Task<Result<http::Response>> answer(ProcessPtr asker, http::Request request, Duration patience);

  Parts parts_;
  std::unique_ptr<Life> life_;
};

}  // namespace provisioner::simulation
