// The directory of one attempt, <state_dir>/work/<workspace>/attempts/<run>-<attempt>/:
//
//   content/       the unpacked bundle, made by the daemon; tofu's working directory is in it
//   state-N.json   state bodies that tofu handed over and the daemon has not acknowledged yet
//   log            the log, whole
//   script         of a script job (0700)
//   variables.tfvars.json, plan.tfplan   0600, removed by the runner
//   guard.log      what guard and runner themselves say
//   attempt.json   whose it is, with the claim (0600), made by the daemon
//   exit           how the guard ended, written when nothing of the attempt lived any more; not
//                  after a runner that delivered its result and left nothing to kill
//
// The daemon sweeps it (left states are pushed) and then deletes it. Few files and no needless
// folders: making and deleting them is most of what a short run costs the file system.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "base/ids.hpp"
#include "base/time.hpp"
#include "model/run.hpp"

namespace provisioner::runner {

struct AttemptDirectory {
  std::filesystem::path root;

  static AttemptDirectory of(const std::filesystem::path& state_directory,
                             const WorkspaceName& workspace, const RunId& run, Attempt attempt);

  std::filesystem::path content() const { return root / "content"; }
  std::filesystem::path log() const { return root / "log"; }
  std::filesystem::path state(std::int64_t number) const;
  std::filesystem::path variables() const { return root / "variables.tfvars.json"; }
  std::filesystem::path plan() const { return root / "plan.tfplan"; }
  std::filesystem::path script() const { return root / "script"; }
  std::filesystem::path guard_log() const { return root / "guard.log"; }
  std::filesystem::path exit_record() const { return root / "exit"; }
  std::filesystem::path note() const { return root / "attempt.json"; }
};

// Where work on a state outlives its attempts: keeps .terraform.
std::filesystem::path cache_directory(const std::filesystem::path& state_directory,
                                      const StateSlot& slot);

// The guard's last words.
struct ExitRecord {
  std::string cause;                 // "finished", "runner died", "runner hung", "deadline"
  std::optional<int> runner_exit;    // exit code of the runner
  std::optional<int> runner_signal;  // or the signal that killed it
  std::int64_t kills = 0;            // rounds of SIGKILL that were needed
  Instant at;
};

// Absent while the guard lives, when it was killed itself, and when all went well.
Result<std::optional<ExitRecord>> read_exit_record(const AttemptDirectory& directory);

// States that were not acknowledged, oldest first: spooled bodies, then errored.tfstate of the
// content (wherever it lies in it).
std::vector<std::filesystem::path> unacknowledged_states(const AttemptDirectory& directory);

// Writes a file (0600) under a temporary name and gives it its own when it is whole: no process
// sees half of it. After a crash of the machine it may be missing or damaged.
Status write_whole(const std::filesystem::path& path, std::string_view text);

// The same, and on disk before the call returns (fsync, rename, fsync of the directory).
Status write_durably(const std::filesystem::path& path, std::string_view text);

// What write_whole() wrote is on disk before the call returns; its name with the next
// write_durably() in its directory.
Status make_durable(const std::filesystem::path& path);

}  // namespace provisioner::runner
