// Whether and when a failed attempt is followed by another one, and which hosts are not to be asked
// meanwhile.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.hpp"
#include "base/time.hpp"
#include "model/run.hpp"
#include "runtime/backoff.hpp"
#include "runtime/circuit_breaker.hpp"
#include "runtime/clock.hpp"
#include "runtime/random.hpp"
#include "telemetry/log.hpp"

namespace provisioner::execution {

struct RetrySettings {
  RetryPolicy policy;       // a workspace's own `retry.max_retries` wins
  BreakerSettings breaker;  // of each host
};

// One breaker for each host that failing attempts named: of a cloud, a registry, a backend. While
// it does not let anything pass, the runs that failed at that host wait; all others go on. That a
// workspace succeeds which failed there last speaks for the host.
//
// In memory, of this instance alone: another instance, or the next daemon, learns it anew, and a
// run that waits is tried at its not_before at the latest. Loop only.
class Retries {
 public:
  Retries(Clock& clock, Random& random, Logger log, RetrySettings settings);

  // For an attempt of `run` (as it was claimed) that ended with `result`; nullopt: the run ends.
  // Not tried again: what no retry mends, what has no retries left, and what a person confirmed,
  // once it began to change resources (the next plan may hold other changes than the one agreed
  // to). Counts the failure of its host, once however often the same end is reported.
  std::optional<RetryOffer> offer(const Run& run, const AttemptResult& result);

  // The store has acknowledged that an attempt of `run` ended so. `retry_at`: the store took the
  // offer.
  void ended(const Run& run, const AttemptResult& result, std::optional<Instant> retry_at);
  // An attempt ended without a result.
  void interrupted(const RunId& run);
  void claimed(const RunId& run);

  // Runs that are due, but wait for a host.
  std::vector<RunId> passed_over();
  // When the next of the runs that wait here becomes due; absent when none waits.
  std::optional<BootInstant> next_due() const;

  // Of every host that failed lately, by name.
  std::vector<BreakerReport> report();

 private:
  struct Waiting {
    std::string host;  // "" = none was named
    BootInstant due;
  };

  void count_failure(const Run& run, const std::string& host);
  CircuitBreaker& breaker_of(const std::string& host);
  void forget_old();

  Clock& clock_;
  Random& random_;
  Logger log_;
  RetrySettings settings_;
  std::map<std::string, CircuitBreaker> breakers_;  // by host
  std::map<WorkspaceName, std::string> failed_at_;  // the host of the last failure
  std::map<RunId, Waiting> waiting_;
  std::map<RunId, std::string> probing_;  // attempts that passed as probes of a host
  std::map<RunId, Attempt> counted_;      // whose failure was counted, and is not acknowledged yet
};

}  // namespace provisioner::execution
