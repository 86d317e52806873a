#include "execution/system_launcher.hpp"

#include "execution/pidfd_watch.hpp"
#include "runner/launch.hpp"

namespace provisioner::execution {

Task<Status> SystemLauncher::prepare(runner::AttemptDirectory directory, AttemptNote note,
                                     std::string bundle, std::string lock_file) {
  co_return co_await offload_.run([directory = std::move(directory), note = std::move(note),
                                   bundle = std::move(bundle), lock_file = std::move(lock_file)] {
    return prepare_attempt(directory, note, bundle, lock_file);
  });
}

Result<pid_t> SystemLauncher::start_guard(const runner::AttemptDirectory& directory,
                                          const AttemptFence& fence, Duration first_lease) {
  return runner::launch_guard({.guard = settings_.programs / "provisioner-guard",
                               .runner = settings_.programs / "provisioner-runner",
                               .socket = settings_.socket,
                               .directory = directory.root,
                               .fence = fence,
                               .first_lease = first_lease});
}

Result<std::unique_ptr<GuardWatch>> SystemLauncher::watch_guard(
    pid_t guard, std::optional<std::int64_t> expected_start, std::function<void()> on_exit) {
  return PidfdWatch::open(loop_, guard, expected_start, std::move(on_exit));
}

Task<bool> SystemLauncher::is_process_set_empty(RunId run, Attempt attempt) {
  co_return co_await offload_.run(
      [run = std::move(run), attempt] { return execution::is_process_set_empty(run, attempt); });
}

Task<Result<std::int64_t>> SystemLauncher::kill_process_set(RunId run, Attempt attempt,
                                                            Duration patience) {
  co_return co_await offload_.run([run = std::move(run), attempt, patience] {
    return execution::kill_process_set(run, attempt, patience);
  });
}

Task<std::vector<runner::AttemptDirectory>> SystemLauncher::find_directories() {
  co_return co_await offload_.run([this] { return find_attempt_directories(settings_.state_dir); });
}

Task<Result<AttemptNote>> SystemLauncher::read_note(runner::AttemptDirectory directory) {
  co_return co_await offload_.run(
      [directory = std::move(directory)] { return read_attempt_note(directory); });
}

Task<Leftovers> SystemLauncher::read_leftovers(runner::AttemptDirectory directory) {
  co_return co_await offload_.run(
      [directory = std::move(directory)] { return execution::read_leftovers(directory); });
}

Task<Result<std::filesystem::path>> SystemLauncher::keep_apart(WorkspaceName workspace,
                                                               runner::AttemptDirectory directory) {
  co_return co_await offload_.run(
      [this, workspace = std::move(workspace), directory = std::move(directory)] {
        return execution::keep_apart(settings_.state_dir, workspace, directory);
      });
}

Task<Status> SystemLauncher::remove(runner::AttemptDirectory directory) {
  co_return co_await offload_.run(
      [directory = std::move(directory)] { return remove_attempt_directory(directory); });
}

}  // namespace provisioner::execution
