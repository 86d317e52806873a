#include "runner/guard_plan.hpp"

#include <algorithm>

namespace provisioner::runner {
namespace {

// How late a living runner may be to say that it stops.
constexpr Duration kLongestSilence = std::chrono::seconds(1);
// How often to look whether what a dead runner left has ended.
constexpr Duration kLookAgain = std::chrono::milliseconds(50);

}  // namespace

void GuardPlan::move_deadline(BootInstant deadline) {
  deadline_ = registered_ ? std::max(deadline_, deadline) : deadline;
  registered_ = true;
}

void GuardPlan::runner_exited(BootInstant now) {
  if (!runner_lives_) return;
  runner_lives_ = false;
  kill_at_ = finished_ ? now : std::min(now + stop_allowance_, deadline_);
  if (cause_.empty()) cause_ = finished_ ? "finished" : "runner died";
}

GuardDecision GuardPlan::decide(BootInstant now, bool others_live) {
  if (!runner_lives_) {
    if (!others_live) return {GuardAct::kEnd, now};
    if (now >= kill_at_) return {GuardAct::kKillAll, now};
    return {GuardAct::kWait, std::min(kill_at_, now + kLookAgain)};
  }
  if (now >= deadline_) {
    if (cause_.empty()) cause_ = "deadline";
    return {GuardAct::kKillAll, now};
  }
  if (stopping_) return {GuardAct::kWait, deadline_};
  const BootInstant patience_ends =
      deadline_ - stop_allowance_ + std::min(kLongestSilence, stop_allowance_ / 4);
  if (now < patience_ends) return {GuardAct::kWait, patience_ends};
  cause_ = "runner hung";
  return {GuardAct::kKillRunner, now};
}

}  // namespace provisioner::runner
