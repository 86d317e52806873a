// The launcher of a daemon: guards are processes of this machine, directories lie in its state
// directory.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <filesystem>

#include "execution/launcher.hpp"
#include "runtime/offload.hpp"

namespace provisioner::execution {

struct SystemLauncherSettings {
  std::filesystem::path state_dir;
  std::filesystem::path socket;    // of this daemon, where runners report
  std::filesystem::path programs;  // where provisioner-guard and provisioner-runner are
};

// What blocks is done behind `offload`, which outlives this object. To be used on the main thread's
// loop.
class SystemLauncher final : public Launcher {
 public:
  SystemLauncher(boost::asio::any_io_executor loop, Offload& offload,
                 SystemLauncherSettings settings)
      : loop_(std::move(loop)), offload_(offload), settings_(std::move(settings)) {}

  Habitat habitat() const override { return this_habitat(); }
  Task<Status> prepare(runner::AttemptDirectory directory, AttemptNote note, std::string bundle,
                       std::string lock_file) override;
  Result<pid_t> start_guard(const runner::AttemptDirectory& directory, const AttemptFence& fence,
                            Duration first_lease) override;
  Result<std::unique_ptr<GuardWatch>> watch_guard(pid_t guard,
                                                  std::optional<std::int64_t> expected_start,
                                                  std::function<void()> on_exit) override;
  Task<bool> is_process_set_empty(RunId run, Attempt attempt) override;
  Task<Result<std::int64_t>> kill_process_set(RunId run, Attempt attempt,
                                              Duration patience) override;
  Task<std::vector<runner::AttemptDirectory>> find_directories() override;
  Task<Result<AttemptNote>> read_note(runner::AttemptDirectory directory) override;
  Task<Leftovers> read_leftovers(runner::AttemptDirectory directory) override;
  Task<Result<std::filesystem::path>> keep_apart(WorkspaceName workspace,
                                                 runner::AttemptDirectory directory) override;
  Task<Status> remove(runner::AttemptDirectory directory) override;

 private:
  boost::asio::any_io_executor loop_;
  Offload& offload_;
  SystemLauncherSettings settings_;
};

}  // namespace provisioner::execution
