#include "tests/simulation/launcher.hpp"

#include <fmt/format.h>

#include "tests/simulation/mutation.hpp"
#include "tofu/state_body.hpp"

namespace provisioner::simulation {
namespace {

using namespace std::chrono_literals;

class SimulatedWatch final : public execution::GuardWatch {
 public:
  SimulatedWatch(World& world, const ProcessPtr& daemon, AttemptProcesses& attempt,
                 std::function<void()> on_exit)
      : attempt_(attempt), wanted_(std::make_shared<bool>(true)) {
    listening_ =
        attempt.guard().on_death([&world, daemon, wanted = wanted_, on_exit = std::move(on_exit)] {
          world.after(100us, daemon, [wanted, on_exit] {
            if (*wanted) on_exit();
          });
        });
  }
  ~SimulatedWatch() override {
    *wanted_ = false;
    attempt_.guard().forget(listening_);
  }
  SimulatedWatch(const SimulatedWatch&) = delete;
  SimulatedWatch& operator=(const SimulatedWatch&) = delete;

  bool exited() override { return !attempt_.guard().alive(); }
  void terminate() override { attempt_.terminate(); }

 private:
  AttemptProcesses& attempt_;
  std::shared_ptr<bool> wanted_;
  Process::Listening listening_;
};

}  // namespace

Task<> SimulatedLauncher::take_a_moment() {
  World& world = parts_.host.world();
  co_await pass(world, parts_.daemon, world.between(200us, Host::kQuickDisk));
}

Task<Status> SimulatedLauncher::prepare(runner::AttemptDirectory directory,
                                        execution::AttemptNote note, std::string, std::string) {
  World& world = parts_.host.world();
  co_await pass(world, parts_.daemon, world.between(200us, parts_.host.slow_disk));
  parts_.host.directories[directory.root.string()] = AttemptFiles{.note = std::move(note)};
  co_await take_a_moment();
  co_return Status();
}

Result<pid_t> SimulatedLauncher::start_guard(const runner::AttemptDirectory& directory,
                                             const AttemptFence& fence, Duration first_lease) {
  // What is unwound after its death does nothing any more.
  if (!parts_.daemon->alive()) return fail(ErrorKind::kCancelled, "this daemon is dead");
  const AttemptFiles& files = parts_.host.directories[directory.root.string()];
  parts_.host.attempts.push_back(std::make_unique<AttemptProcesses>(
      AttemptProcesses::Parts{parts_.host, parts_.observer, fence, files.note->workspace,
                              directory.root.string(), first_lease, parts_.temper(), parts_.ask}));
  return static_cast<pid_t>(parts_.host.attempts.back()->guard_pid());
}

Result<std::unique_ptr<execution::GuardWatch>> SimulatedLauncher::watch_guard(
    pid_t guard, std::optional<std::int64_t> expected_start, std::function<void()> on_exit) {
  AttemptProcesses* attempt = parts_.host.find_guard(guard, expected_start);
  if (attempt == nullptr) {
    return fail(ErrorKind::kNotFound, fmt::format("guard {} has ended", guard));
  }
  return std::make_unique<SimulatedWatch>(parts_.host.world(), parts_.daemon, *attempt,
                                          std::move(on_exit));
}

Task<bool> SimulatedLauncher::is_process_set_empty(RunId run, Attempt attempt) {
  co_await take_a_moment();
  const AttemptProcesses* processes = parts_.host.find(run, attempt);
  if (mutated(Mutation::kDeathOfOnePid))
    co_return processes == nullptr || !processes->guard().alive();
  co_return processes == nullptr || !processes->any_alive();
}

Task<Result<std::int64_t>> SimulatedLauncher::kill_process_set(RunId run, Attempt attempt,
                                                               Duration) {
  co_await take_a_moment();
  AttemptProcesses* processes = parts_.host.find(run, attempt);
  if (processes == nullptr) co_return 0;
  if (mutated(Mutation::kDeathOfOnePid)) {
    processes->guard().kill();
    co_return 1;
  }
  const std::int64_t blows = processes->any_alive() ? 1 : 0;
  processes->kill_all();
  co_await take_a_moment();
  co_return blows;
}

Task<std::vector<runner::AttemptDirectory>> SimulatedLauncher::find_directories() {
  co_await take_a_moment();
  std::vector<runner::AttemptDirectory> found;
  for (const auto& [path, files] : parts_.host.directories) {
    if (path.starts_with(parts_.state_dir.string() + "/")) found.push_back({path});
  }
  co_return found;
}

Task<Result<execution::AttemptNote>> SimulatedLauncher::read_note(
    runner::AttemptDirectory directory) {
  co_await take_a_moment();
  const auto found = parts_.host.directories.find(directory.root.string());
  if (found == parts_.host.directories.end() || !found->second.note) {
    co_return fail(ErrorKind::kNotFound, "there is no such directory");
  }
  co_return *found->second.note;
}

Task<execution::Leftovers> SimulatedLauncher::read_leftovers(runner::AttemptDirectory directory) {
  co_await take_a_moment();
  execution::Leftovers left;
  const auto found = parts_.host.directories.find(directory.root.string());
  if (found == parts_.host.directories.end()) co_return left;
  const AttemptFiles& files = found->second;
  left.note = files.note;
  std::vector<std::string> bodies;
  for (const auto& [number, body] : files.spooled) bodies.push_back(body);
  if (files.errored) bodies.push_back(*files.errored);
  for (const auto& body : bodies) {
    left.states.push_back({tofu::parse_state(body).value(), body});
  }
  if (!files.exit_cause.empty()) left.last_words = "the guard says: " + files.exit_cause;
  co_return left;
}

Task<Result<std::filesystem::path>> SimulatedLauncher::keep_apart(
    WorkspaceName workspace, runner::AttemptDirectory directory) {
  co_await take_a_moment();
  const auto path =
      parts_.state_dir / "spool" / "kept" / workspace.value / directory.root.filename();
  const auto found = parts_.host.directories.find(directory.root.string());
  if (found != parts_.host.directories.end()) {
    parts_.host.kept[path.string()] = std::move(found->second);
    parts_.host.directories.erase(found);
  }
  co_return path;
}

Task<Status> SimulatedLauncher::remove(runner::AttemptDirectory directory) {
  co_await take_a_moment();
  parts_.host.directories.erase(directory.root.string());
  co_return Status();
}

}  // namespace provisioner::simulation
