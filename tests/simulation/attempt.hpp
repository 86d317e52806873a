// The processes of one attempt: guard, runner, tofu and what tofu started. The guard decides by the
// product's GuardPlan, the runner by its Course; what they do is written down here once more,
// without descriptors and signals.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "http/message.hpp"
#include "runner/attempt_directory.hpp"
#include "runner/guard_plan.hpp"
#include "runner/protocol.hpp"
#include "runner/stop.hpp"
#include "runtime/signal.hpp"
#include "tests/simulation/host.hpp"
#include "tests/simulation/world.hpp"

namespace provisioner::simulation {

class Observer;

// How a tofu behaves.
struct Temper {
  Duration step = std::chrono::seconds(1);  // between two states
  int states = 2;
  bool fails = false;
  bool hangs = false;      // does not end by itself
  bool stubborn = false;   // ignores SIGINT
  Duration grandchild{0};  // how long what it started outlives it
};

class AttemptProcesses {
 public:
  // Requests of the runner reach its daemon through this.
  using AskDaemon = std::function<Task<Result<http::Response>>(ProcessPtr asker, http::Request,
                                                               Duration patience)>;
  struct Parts {
    Host& host;
    Observer& observer;
    AttemptFence fence;
    WorkspaceName workspace;
    std::string directory;
    Duration first_lease;
    Temper temper;
    AskDaemon ask;
  };
  explicit AttemptProcesses(Parts parts);
  ~AttemptProcesses();

  const AttemptFence& fence() const { return parts_.fence; }
  Host& host() { return parts_.host; }
  std::int64_t guard_pid() const { return guard_pid_; }
  std::int64_t guard_start() const { return guard_start_; }
  Process& guard() const { return *guard_; }
  Process& runner() const { return *runner_; }
  Process* tofu() const { return tofu_.get(); }

  bool any_alive() const;
  bool works() const;          // tofu, or what it started, lives
  std::string living() const;  // for sentences
  // The guard was stopped or killed from outside: it could not end the attempt in time.
  bool guard_disturbed() const { return guard_disturbed_; }

  void kill_all();
  void stop_all();
  void go_on_all();
  void kill_guard();
  void terminate();  // SIGTERM for the guard, which passes it on

 private:
  // The guard.
  void guard_looks();
  void tell_guard(std::function<void(runner::GuardPlan&)> word);

  // The runner.
  Task<> run();
  Task<bool> register_attempt();
  Task<> keep_time();
  Task<> beat();
  Task<> kill_when_time_is_up();
  void end_the_others();
  Task<> hand_over_states();
  Task<> report(AttemptResult result);
  Task<Result<http::Response>> ask(std::string method, std::string target, std::string body,
                                   Duration patience);
  Task<Result<http::Response>> insist(std::string method, std::string target, std::string body,
                                      std::function<BootInstant()> give_up);
  // tofu's request, as the runner serves it.
  Task<Result<std::string>> serve(std::string method, std::string lock_id, std::string body);

  // tofu.
  void start_tofu();
  Task<> apply();
  Task<> work_for(Duration time);
  Task<Result<std::string>> request(std::string method, std::string body);
  Task<bool> hand_over(std::string body);
  std::string lock_id() const;
  void interrupt();
  void exit_tofu(int code);
  AttemptFiles& files();

  Parts parts_;
  World& world_;
  std::int64_t guard_pid_, guard_start_;
  ProcessPtr guard_, runner_, tofu_, grandchild_;
  bool guard_disturbed_ = false;

  runner::GuardPlan plan_;
  std::optional<World::EventId> guard_timer_;

  HostClock runner_clock_;
  runner::Course course_;
  Signal moved_;
  std::optional<runner::Assignment> assignment_;
  BootInstant timeout_at_ = BootInstant::max();
  std::shared_ptr<Answer<int>> tofu_exit_;
  std::int64_t writes_ = 0;

  Signal sigint_;
  bool interrupted_ = false;
};

}  // namespace provisioner::simulation
