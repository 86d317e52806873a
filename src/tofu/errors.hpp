// Why a step failed, and whether it makes sense to try again.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "tofu/faults.hpp"
#include "tofu/output.hpp"

namespace provisioner::tofu {

struct Failure {
  FailureKind kind = FailureKind::kOther;
  std::string sentence;                // for the run's `error`
  std::optional<std::string> lock_id;  // kLocked: of the lock in the way
  std::string host;                    // kTransient: that did not answer well; "" = not known

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

}  // namespace provisioner::tofu
