// The machine under the attempts: their directories, their guards, their process sets.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "base/ids.hpp"
#include "base/time.hpp"
#include "execution/preparation.hpp"
#include "execution/process_proof.hpp"
#include "execution/recovery.hpp"
#include "runner/attempt_directory.hpp"
#include "runtime/task.hpp"

namespace provisioner::execution {

// A guard process that is waited for: a child of this daemon, or one that outlived its daemon.
class GuardWatch {
 public:
  virtual ~GuardWatch() = default;

  // Reaps a child of ours when it has exited.
  virtual bool exited() = 0;

  // Asks it to end its attempt (SIGTERM): tofu is interrupted once, writes its state, and the
  // attempt is reported as interrupted. Nothing when it has exited.
  virtual void terminate() = 0;
};

// Everything that dispatcher and supervisor do outside of the store. The simulator stands in for
// the system here, so nothing else in them touches processes or files, but for reading the spooled
// log. Loop only; nothing blocks the loop for more than a few milliseconds.
class Launcher {
 public:
  virtual ~Launcher() = default;

  // Where this daemon lives, and its attempts.
  virtual Habitat habitat() const = 0;

  // Makes the directory of an attempt (prepare_attempt).
  virtual Task<Status> prepare(runner::AttemptDirectory directory, AttemptNote note,
                               std::string bundle, std::string lock_file) = 0;
  // Starts the guard of a prepared attempt. It ends everything after `first_lease` unless its
  // runner has registered by then.
  virtual Result<pid_t> start_guard(const runner::AttemptDirectory& directory,
                                    const AttemptFence& fence, Duration first_lease) = 0;
  // `expected_start` (clock ticks since boot) tells the guard from a later holder of its pid; a
  // child of ours needs none. kNotFound when it has ended already. `on_exit` is called once, on the
  // loop, unless the watch is destroyed before.
  virtual Result<std::unique_ptr<GuardWatch>> watch_guard(
      pid_t guard, std::optional<std::int64_t> expected_start, std::function<void()> on_exit) = 0;

  // process_proof.hpp: the whole set, not one pid.
  virtual Task<bool> is_process_set_empty(RunId run, Attempt attempt) = 0;
  virtual Task<Result<std::int64_t>> kill_process_set(RunId run, Attempt attempt,
                                                      Duration patience) = 0;

  // preparation.hpp and recovery.hpp: what attempts left.
  virtual Task<std::vector<runner::AttemptDirectory>> find_directories() = 0;
  virtual Task<Result<AttemptNote>> read_note(runner::AttemptDirectory directory) = 0;
  virtual Task<Leftovers> read_leftovers(runner::AttemptDirectory directory) = 0;
  virtual Task<Result<std::filesystem::path>> keep_apart(WorkspaceName workspace,
                                                         runner::AttemptDirectory directory) = 0;
  virtual Task<Status> remove(runner::AttemptDirectory directory) = 0;
};

}  // namespace provisioner::execution
