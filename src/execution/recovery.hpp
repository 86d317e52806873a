// States that tofu could not hand over: none is lost (I8), none overwrites what it does not
// continue (I5).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "execution/preparation.hpp"
#include "runner/attempt_directory.hpp"
#include "runtime/task.hpp"
#include "store/store.hpp"

namespace provisioner::execution {

// --- while the attempt runs ----------------------------------------------------------------------

struct HandOver {
  bool accepted = false;  // or there already
  std::string sentence;   // when not: why, and what was done with it
};

// Writes a state that the attempt's runner found (errored.tfstate) in the name of the attempt. One
// that diverges ends the attempt: it is kept as a divergent version and the workspace is held.
// kInvalid when `body` is no state.
Task<Result<HandOver>> hand_over_state(Store& store, Instant now, ClaimedRun claimed,
                                       std::string body);

// --- after its processes have died ---------------------------------------------------------------

struct Leftovers {
  std::optional<AttemptNote> note;      // absent: the directory was never completed, or is gone
  std::vector<RecoveredState> states;   // not acknowledged by the store, oldest first
  std::vector<std::string> unreadable;  // files that should be states and are none: why
  std::string last_words;               // of the guard, for the run's error; "" = none
};

// Reads what an attempt left behind and changes nothing. Blocks: call it behind Offload.
Leftovers read_leftovers(const runner::AttemptDirectory& directory);

// Appends what of the attempt's log did not reach the store. Only while the attempt still counts.
Task<Status> deliver_log(Store& store, AttemptFence fence, std::filesystem::path file);

// Where a directory goes whose leftovers nobody took: below <state>/spool/kept/<workspace>/.
std::filesystem::path kept_place(const std::filesystem::path& state_dir,
                                 const WorkspaceName& workspace,
                                 const runner::AttemptDirectory& directory);

// Moves it there and returns where that is. Blocks. Hold the workspace first: whoever dies in
// between leaves the directory to the next sweep.
Result<std::filesystem::path> keep_apart(const std::filesystem::path& state_dir,
                                         const WorkspaceName& workspace,
                                         const runner::AttemptDirectory& directory);

// Stops schedule, ttl, change and retry of the workspace until a person releases it.
Task<Status> hold_workspace(Store& store, WorkspaceName workspace, std::string reason, Instant now);

}  // namespace provisioner::execution
