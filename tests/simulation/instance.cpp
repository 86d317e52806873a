#include "tests/simulation/instance.hpp"

#include <fmt/format.h>

#include <stdexcept>

#include "config/workspace_file.hpp"

namespace provisioner::simulation {
namespace {

using namespace std::chrono_literals;

Result<WorkspaceSpec> read_spec(const WorkspaceName& name, std::string_view config) {
  auto parsed = parse_workspace(name, config, "config.json");
  if (!parsed) return std::unexpected(parsed.error());
  return std::move(parsed->spec);
}

}  // namespace

// The parts in the order of the daemon.
struct Instance::Life {
  ProcessPtr process;
  HostClock clock;
  SeededRandom random;
  Logger log;
  SimulatedStore store;
  SimulatedElection election;
  LeadershipLoop leadership;
  Scheduler scheduler;
  execution::RunnerApi runner_api;
  SimulatedLauncher launcher;
  execution::Dispatcher dispatcher;

  Life(const Instance& self, ProcessPtr daemon, AttemptProcesses::AskDaemon ask)
      : process(std::move(daemon)),
        clock(self.parts_.host, process),
        random(self.parts_.world.seed_for_another()),
        log(Logger(self.parts_.log, clock, "daemon").with({{"instance", self.parts_.id.value}})),
        store({self.parts_.world, self.parts_.store, self.parts_.election, self.to_store,
               self.parts_.host, process, self.parts_.observer, self.parts_.id}),
        election({self.parts_.world, self.parts_.election, self.to_election, self.parts_.host,
                  process, self.parts_.observer, self.parts_.id, self.parts_.timing.election}),
        leadership(self.parts_.world.executor(), election, store, clock, random, self.parts_.id,
                   log.named("election")),
        scheduler(
            self.parts_.world.executor(), clock, random, store,
            [this] { return leadership.fence(); }, read_spec, log.named("scheduler"),
            SchedulerSettings{.default_zone = Zone::find("UTC").value()}),
        runner_api({.store = store,
                    .clock = clock,
                    .workspace_log = self.parts_.workspace_log,
                    .log = log.named("runner_api"),
                    .assign = [timing = self.parts_.timing](
                                  Run run, std::string) -> Task<Result<runner::Assignment>> {
                      runner::Assignment assignment;
                      assignment.workspace = run.workspace;
                      assignment.operation = run.operation;
                      assignment.binary = "tofu";
                      assignment.timeout = timing.timeout;
                      assignment.lease = timing.lease;
                      assignment.margin = timing.margin;
                      assignment.heartbeat = timing.heartbeat;
                      assignment.stop_allowance = timing.stop_allowance;
                      co_return assignment;
                    },
                    .lease = self.parts_.timing.lease}),
        launcher({.host = self.parts_.host,
                  .observer = self.parts_.observer,
                  .daemon = process,
                  .state_dir = self.state_dir(),
                  .temper = self.parts_.temper,
                  .ask = std::move(ask)}),
        dispatcher({.loop = self.parts_.world.executor(),
                    .store = store,
                    .clock = clock,
                    .random = random,
                    .launcher = launcher,
                    .workspace_log = self.parts_.workspace_log,
                    .runner_api = runner_api,
                    .log = log.named("execution"),
                    .current_fence = [this] { return leadership.fence(); }},
                   {.instance = self.parts_.id,
                    .incarnation = random.incarnation(),
                    .state_dir = self.state_dir(),
                    .capacity = 4,
                    .lease = self.parts_.timing.lease,
                    .stop_allowance = self.parts_.timing.stop_allowance}) {
    leadership.on_change([this] { scheduler.wake(); });
  }
};

Instance::Instance(Parts parts) : parts_(std::move(parts)) {}

Instance::~Instance() { kill(); }

Process* Instance::daemon() const { return life_ ? life_->process.get() : nullptr; }

void Instance::start() {
  if (life_) return;
  const auto process = std::make_shared<Process>(parts_.world, parts_.id.value);
  parts_.host.daemons.push_back(process);
  life_ = std::make_unique<Life>(
      *this, process, [this](ProcessPtr asker, http::Request request, Duration patience) {
        return answer(std::move(asker), std::move(request), patience);
      });
  parts_.world.after(Duration(0), process, [this] {
    const auto& daemon = life_->process;
    daemon->spawn(life_->leadership.run());
    daemon->spawn(life_->scheduler.run());
    daemon->spawn(life_->dispatcher.run());
  });
  if (parts_.host.stopped()) process->stop();
}

void Instance::kill() {
  if (!life_) return;
  const auto process = life_->process;
  process->kill();
  parts_.world.settle();
  if (process->coroutines() != 0) {
    throw std::logic_error(fmt::format("{} coroutines of {} do not end when they are cancelled",
                                       process->coroutines(), parts_.id.value));
  }
  std::erase(parts_.host.daemons, process);
  life_.reset();
  parts_.world.settle();
}

void Instance::begin_to_stop() {
  if (!life_) return;
  life_->dispatcher.stop_claiming();
  life_->scheduler.stop();
  life_->leadership.stop();
  life_->runner_api.release_watchers();
}

std::optional<LeaderFence> Instance::fence() const {
  if (!life_ || life_->process->stopped()) return std::nullopt;
  return life_->leadership.fence();
}

Task<Result<http::Response>> Instance::answer(ProcessPtr asker, http::Request request,
                                              Duration patience) {
  // The socket stays where it is, whatever daemon listens.
  const ProcessPtr daemon = life_ ? life_->process : nullptr;
  co_return co_await have_done<http::Response>(
      parts_.world, std::move(asker), daemon, patience,
      [this, request = std::move(request)]() -> Task<Result<http::Response>> {
        co_return co_await life_->runner_api.handle(request);
      });
}

}  // namespace provisioner::simulation
