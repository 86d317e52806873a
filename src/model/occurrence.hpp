// The ledger: what became of each instant at which a schedule said something.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/ids.hpp"
#include "base/time.hpp"
#include "schedule/timeline.hpp"

namespace provisioner {

enum class Outcome {
  kFired,
  kNoChange,
  kSuperseded,
  kSkippedDisabled,
  kSkippedOverlap,
  kSkippedHold,
  kMissed,
};
inline constexpr std::size_t kOutcomes = 7;
std::string_view to_string(Outcome outcome);  // "fired", "skipped_hold", ...
Result<Outcome> parse_outcome(std::string_view text);

// Unique per (workspace, schedule, at). A row with count > 1 stands for all occurrences of all the
// workspace's schedules in [at, until]; its schedule is "*" ("jobs.backup.*" of a job).
struct Occurrence {
  WorkspaceName workspace;
  JobName job = {};      // "" = the workspace itself
  std::string schedule;  // the rule's label, e.g. "deploy_schedule[1]"
  Instant at;
  Instant until;  // = at for a single occurrence
  std::int64_t count = 1;
  std::string local_time;  // with offset, in the workspace's zone
  Action action = Action::kDeploy;
  std::string mode;
  Outcome outcome = Outcome::kFired;
  std::string reason;  // a sentence: why this outcome
  std::optional<RunId> run;

  friend bool operator==(const Occurrence&, const Occurrence&) = default;
};

}  // namespace provisioner
