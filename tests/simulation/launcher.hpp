// The launcher of a simulated daemon: processes and directories of its host.
#pragma once

#include <filesystem>

#include "execution/launcher.hpp"
#include "tests/simulation/attempt.hpp"
#include "tests/simulation/host.hpp"

namespace provisioner::simulation {

class SimulatedLauncher final : public execution::Launcher {
 public:
  struct Parts {
    Host& host;
    Observer& observer;
    ProcessPtr daemon;
    std::filesystem::path state_dir;
    std::function<Temper()> temper;  // of the next tofu
    AttemptProcesses::AskDaemon ask;
  };
  explicit SimulatedLauncher(Parts parts) : parts_(std::move(parts)) {}

  execution::Habitat habitat() const override { return parts_.host.habitat(); }
  Task<Status> prepare(runner::AttemptDirectory directory, execution::AttemptNote note,
                       std::string bundle, std::string lock_file) override;
  Result<pid_t> start_guard(const runner::AttemptDirectory& directory, const AttemptFence& fence,
                            Duration first_lease) override;
  Result<std::unique_ptr<execution::GuardWatch>> watch_guard(
      pid_t guard, std::optional<std::int64_t> expected_start,
      std::function<void()> on_exit) override;
  Task<bool> is_process_set_empty(RunId run, Attempt attempt) override;
  Task<Result<std::int64_t>> kill_process_set(RunId run, Attempt attempt,
                                              Duration patience) override;
  Task<std::vector<runner::AttemptDirectory>> find_directories() override;
  Task<Result<execution::AttemptNote>> read_note(runner::AttemptDirectory directory) override;
  Task<execution::Leftovers> read_leftovers(runner::AttemptDirectory directory) override;
  Task<Result<std::filesystem::path>> keep_apart(WorkspaceName workspace,
                                                 runner::AttemptDirectory directory) override;
  Task<Status> remove(runner::AttemptDirectory directory) override;

 private:
  Task<> take_a_moment();

  Parts parts_;
};

}  // namespace provisioner::simulation
