// Why a step failed, and whether it makes sense to try again.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "tofu/output.hpp"

namespace provisioner::tofu {

enum class FailureKind {
  kConfiguration,  // the files or variables are wrong: only an edit helps
  kTransient,      // a network, a rate limit, a service that is away: try again later
  kLocked,         // somebody else holds the state's lock
  kPlanStale,      // the state moved on since the plan: plan again
  kStateRefused,   // our backend refused a write: the attempt is stale or stopping
  kInterrupted,    // it was asked to stop
  kOther,
};
std::string_view to_string(FailureKind kind);

struct Failure {
  FailureKind kind = FailureKind::kOther;
  std::string sentence;                // for the run's `error`
  std::optional<std::string> lock_id;  // kLocked: of the lock in the way

  bool is_retryable() const { return kind == FailureKind::kTransient; }
  friend bool operator==(const Failure&, const Failure&) = default;
};

// How the step's process ended.
struct StepExit {
  std::string step;  // "init", "plan", "apply"
  int code = 0;      // of exit(), when signal is 0
  int signal = 0;    // that killed it, 0 = none
};

// Decides by the diagnostics; `tail`, the last lines of plain text, counts when there are none
// (init, custom commands). For a step that failed.
Failure classify_failure(const StepExit& exit, const OutputSummary& summary, std::string_view tail);

// Whether a failed plan asks for `init`: a provider, a module or the backend's settings are not
// there, or the lock file does not suit them. `tail` as above.
bool asks_for_init(const OutputSummary& summary, std::string_view tail);

// Whether `text` holds one of the words of a passing fault: "connection refused", "timeout",
// "temporary failure", "rate limit", "service unavailable". The last resort for tools that give
// only text.
bool speaks_of_passing_fault(std::string_view text);

}  // namespace provisioner::tofu
