#include "runtime/circuit_breaker.hpp"

#include <utility>

namespace provisioner {

std::string_view to_string(BreakerState state) {
  switch (state) {
    case BreakerState::kClosed: return "closed";
    case BreakerState::kOpen: return "open";
    case BreakerState::kHalfOpen: return "half_open";
  }
  return "closed";
}

CircuitBreaker::CircuitBreaker(BreakerSettings settings, OnChange on_change)
    : settings_(settings), on_change_(std::move(on_change)) {}

bool CircuitBreaker::admit(BootInstant now) {
  if (!admits(now)) return false;
  ++counts_.requests;
  if (state_ == BreakerState::kHalfOpen) {
    ++probes_;
    since_ = now;
  }
  return true;
}

void CircuitBreaker::succeeded(BootInstant now) {
  move(now);
  if (state_ == BreakerState::kOpen) return;
  ++counts_.successes;
  counts_.consecutive_failures = 0;
  if (state_ != BreakerState::kHalfOpen) return;
  if (probes_ > 0) --probes_;
  since_ = now;
  if (counts_.successes >= settings_.max_requests) enter(BreakerState::kClosed, now);
}

void CircuitBreaker::failed(BootInstant now) {
  move(now);
  if (state_ == BreakerState::kOpen) return;
  ++counts_.failures;
  ++counts_.consecutive_failures;
  const bool enough = counts_.consecutive_failures >= settings_.max_failures;
  if (state_ == BreakerState::kHalfOpen || enough) open(now);
}

void CircuitBreaker::gave_up(BootInstant now) {
  move(now);
  if (probes_ > 0) --probes_;
}

bool CircuitBreaker::admits(BootInstant now) {
  move(now);
  return state_ == BreakerState::kClosed || (state_ == BreakerState::kHalfOpen && places() > 0);
}

BreakerState CircuitBreaker::state(BootInstant now) {
  move(now);
  return state_;
}

std::optional<BootInstant> CircuitBreaker::next_probe(BootInstant now) {
  if (admits(now)) return std::nullopt;
  // Half-open, each place is taken: it is free when its probe is reported on, or by then.
  return state_ == BreakerState::kOpen ? opened_ + settings_.timeout
                                       : since_ + settings_.report_within;
}

std::int64_t CircuitBreaker::places() const {
  return settings_.max_requests - probes_ - counts_.successes;
}

void CircuitBreaker::move(BootInstant now) {
  switch (state_) {
    case BreakerState::kClosed:
      if (!has_counts_ || now - since_ >= settings_.interval) {
        counts_ = {};
        since_ = now;
        has_counts_ = true;
      }
      return;
    case BreakerState::kOpen:
      if (now - opened_ >= settings_.timeout) enter(BreakerState::kHalfOpen, now);
      return;
    case BreakerState::kHalfOpen:
      if (probes_ > 0 && now - since_ >= settings_.report_within) {
        probes_ = 0;
        since_ = now;
      }
      if (probes_ == 0 && counts_.successes > 0 && now - since_ >= settings_.interval) {
        enter(BreakerState::kClosed, now);
      }
      return;
  }
}

void CircuitBreaker::open(BootInstant now) {
  opened_ = now;
  if (!opened_at_) opened_at_ = now;
  enter(BreakerState::kOpen, now);
}

void CircuitBreaker::enter(BreakerState next, BootInstant now) {
  const BreakerState from = std::exchange(state_, next);
  // Who asks why it is open learns how often it had failed.
  const std::int64_t failures = counts_.consecutive_failures;
  counts_ = {};
  if (next != BreakerState::kClosed) counts_.consecutive_failures = failures;
  probes_ = 0;
  since_ = now;
  has_counts_ = true;
  if (next == BreakerState::kClosed) opened_at_.reset();
  if (on_change_) on_change_(from, next);
}

BreakerReport report_on(CircuitBreaker& breaker, std::string dependency, Instant now,
                        BootInstant boot_now) {
  BreakerReport report{.dependency = std::move(dependency),
                       .state = breaker.state(boot_now),
                       .consecutive_failures = breaker.counts().consecutive_failures,
                       .opened_at = {},
                       .next_probe = {}};
  if (const auto at = breaker.opened_at()) report.opened_at = now - (boot_now - *at);
  if (const auto at = breaker.next_probe(boot_now)) report.next_probe = now + (*at - boot_now);
  return report;
}

}  // namespace provisioner
