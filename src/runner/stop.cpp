#include "runner/stop.hpp"

#include <algorithm>

namespace provisioner::runner {

std::string sentence_of(StopCause cause) {
  switch (cause) {
    case StopCause::kCancelled: return "the run was cancelled";
    case StopCause::kTimedOut: return "the run took longer than its timeout";
    case StopCause::kFenced: return "another attempt has taken over";
    case StopCause::kLeaseLost: return "the daemon did not acknowledge a heartbeat in time";
    case StopCause::kGuardDied: return "the guard of the attempt was killed";
    case StopCause::kTerminated: return "the runner was asked to end";
  }
  return "";
}

RunStatus status_of(StopCause cause) {
  switch (cause) {
    case StopCause::kCancelled: return RunStatus::kCancelled;
    case StopCause::kTimedOut: return RunStatus::kTimedOut;
    default: return RunStatus::kInterrupted;
  }
}

void Course::begin(BootInstant deadline, Lease lease) {
  deadline_ = deadline;
  lease_ = lease;
}

BootInstant Course::grant(BootInstant sent, Lease lease) {
  lease_ = lease;
  deadline_ = sent + lease.length - lease.margin;
  return deadline_;
}

BootInstant Course::renew(BootInstant sent) {
  deadline_ = std::max(deadline_, sent + lease_.length - lease_.margin);
  return deadline_;
}

void Course::stop(StopCause cause, BootInstant now) {
  if (cause_) {
    if (cause == StopCause::kFenced) cause_ = cause;
    return;
  }
  cause_ = cause;
  stopped_at_ = now;
  for (const auto& listener : listeners_) listener();
  stopped_.notify();
}

BootInstant Course::kill_at() const {
  return std::min(stopped_at_ + lease_.stop_allowance, deadline_);
}

BootInstant Course::patience_ends() const {
  if (!cause_) return stop_at();
  if (fenced()) return stopped_at_;
  return std::min(stopped_at_ + lease_.stop_allowance / 4, deadline_);
}

}  // namespace provisioner::runner
