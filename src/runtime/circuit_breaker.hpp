// Whether a dependency that fails again and again is worth another request.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/time.hpp"

namespace provisioner {

enum class BreakerState {
  kClosed,    // requests pass
  kOpen,      // none does
  kHalfOpen,  // a few pass, as probes
};
std::string_view to_string(BreakerState state);  // "closed", "open", "half_open"

struct BreakerSettings {
  std::int64_t max_failures = 5;                     // in a row: it opens
  std::int64_t max_requests = 3;                     // probes; as many successes close it
  Duration timeout = std::chrono::seconds(30);       // from open to half-open
  Duration report_within = std::chrono::minutes(1);  // of a probe
  Duration interval = std::chrono::seconds(60);      // counts are cleared so often while closed
};

struct BreakerCounts {
  std::int64_t requests = 0;
  std::int64_t successes = 0;
  std::int64_t failures = 0;
  std::int64_t consecutive_failures = 0;
  friend bool operator==(const BreakerCounts&, const BreakerCounts&) = default;
};

// A pure state machine: time is passed in and never goes back. Closed, it opens after
// `max_failures` failures in a row. `timeout` later it is half-open: `max_requests` probes pass;
// one that fails opens it again, so many that succeed close it, and so do fewer after which nothing
// came for `interval`. The place of a probe that nobody
// reports on is free again after `report_within`.
//
// Results may be reported without having asked: they count as those of requests that passed. While
// it is open they change nothing, for such a request began before.
class CircuitBreaker {
 public:
  // Told of every change of state, within the call that makes or notices it.
  using OnChange = std::function<void(BreakerState from, BreakerState to)>;

  explicit CircuitBreaker(BreakerSettings settings = {}, OnChange on_change = {});

  // Whether a request may pass; one that may is counted, and to be reported on.
  bool admit(BootInstant now);
  void succeeded(BootInstant now);
  void failed(BootInstant now);
  // It ended, or was never sent, and says nothing about the dependency.
  void gave_up(BootInstant now);

  // Whether admit() would let a request pass.
  bool admits(BootInstant now);
  BreakerState state(BootInstant now);
  // Cleared when the state changes; of consecutive_failures: when something succeeds.
  const BreakerCounts& counts() const { return counts_; }
  // Since when it is not closed.
  std::optional<BootInstant> opened_at() const { return opened_at_; }
  // When the next request may pass; absent when one may pass now.
  std::optional<BootInstant> next_probe(BootInstant now);
  const BreakerSettings& settings() const { return settings_; }

 private:
  void move(BootInstant now);  // by the passage of time alone
  void enter(BreakerState next, BootInstant now);
  void open(BootInstant now);
  std::int64_t places() const;

  BreakerSettings settings_;
  OnChange on_change_;
  BreakerState state_ = BreakerState::kClosed;
  BreakerCounts counts_;
  std::int64_t probes_ = 0;  // that passed and were not reported on
  BootInstant since_{};      // of the counts, or of the last thing that happened to a probe
  bool has_counts_ = false;  // since_ is set
  BootInstant opened_{};     // the last time
  std::optional<BootInstant> opened_at_;  // the first time since it was closed
};

// One breaker for those who watch: metrics, the deep health check, people.
struct BreakerReport {
  std::string dependency;  // "store", "election", "tofu: management.azure.com"
  BreakerState state = BreakerState::kClosed;
  std::int64_t consecutive_failures = 0;
  std::optional<Instant> opened_at;   // absent while closed
  std::optional<Instant> next_probe;  // absent while a request may pass
  friend bool operator==(const BreakerReport&, const BreakerReport&) = default;
};

// `breaker` as it is at (`now`, `boot_now`), two readings of one moment.
BreakerReport report_on(CircuitBreaker& breaker, std::string dependency, Instant now,
                        BootInstant boot_now);

}  // namespace provisioner
