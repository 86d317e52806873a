// Claims queued runs and starts a guard for each, as long as there is capacity.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <cstddef>
#include <filesystem>
#include <optional>

#include "base/ids.hpp"
#include "execution/launcher.hpp"
#include "execution/retries.hpp"
#include "execution/runner_api.hpp"
#include "execution/supervisor.hpp"
#include "execution/workspace_log.hpp"
#include "runtime/clock.hpp"
#include "runtime/random.hpp"
#include "runtime/signal.hpp"
#include "store/store.hpp"
#include "telemetry/log.hpp"

namespace provisioner::execution {

struct DispatcherSettings {
  InstanceId instance;
  Incarnation incarnation;
  std::filesystem::path state_dir;
  std::int64_t capacity = 4;  // attempts at a time
  // execution = "cluster": every instance claims. Else the leader alone, under the fence of its
  // term, so that a woken ex-leader claims nothing.
  bool every_instance_claims = false;
  Duration lease = std::chrono::seconds(150);
  Duration stop_allowance = std::chrono::seconds(40);
  OnInterrupt on_interrupt = OnInterrupt::kHold;
};

// A run that cannot be started ends failed, with a sentence that says why; every other fault leaves
// it to the supervisor, which ends an attempt that has no process and lets it be resumed. What
// happens when the daemon dies between any two steps: README.md.
class Dispatcher {
 public:
  struct Parts {
    boost::asio::any_io_executor loop;
    Store& store;
    Clock& clock;
    Random& random;
    Launcher& launcher;
    WorkspaceLog& workspace_log;
    RunnerApi& runner_api;
    Logger log;
    CurrentFence current_fence;
    Retries* retries = nullptr;  // absent: no run is tried again
  };
  Dispatcher(Parts parts, DispatcherSettings settings);

  // First adopts or ends what an earlier daemon left (nothing is claimed before that), then claims
  // and supervises until cancelled. Guards and runners live on without it. To be spawned on the
  // main thread's loop.
  Task<> run();

  // While false there are no further claims; what runs is still supervised, and a claim in hand is
  // completed.
  void set_claiming(bool claiming);

  // More or fewer attempts at a time from now on; what runs is left alone.
  void set_capacity(std::int64_t capacity);

  // Interrupts what runs here, once: tofu stops in good order, and the runs are resumed, elsewhere
  // when nothing is claimed here any more.
  void interrupt_all() { supervisor_.terminate_all(); }

  // Attempts of this instance that are running, or being started.
  std::size_t active() const { return supervisor_.active() + starting_; }

 private:
  Task<> claim_loop();
  Task<bool> claim_one();
  Task<Result<std::optional<ClaimedRun>>> claim(std::optional<LeaderFence> fence);
  Task<> start(ClaimedRun claimed);
  Task<Status> launch(ClaimedRun& claimed);
  Task<> fail_attempt(const ClaimedRun& claimed, Error error);

  Parts parts_;
  DispatcherSettings settings_;
  Supervisor supervisor_;
  Signal wake_;
  Store::Subscription subscription_;
  bool claiming_ = true;
  bool store_away_ = false;
  std::size_t starting_ = 0;
};

}  // namespace provisioner::execution
