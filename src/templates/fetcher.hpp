// Fetches off the loop, a few at a time.
#pragma once

#include <cstddef>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "config/environment.hpp"
#include "runtime/circuit_breaker.hpp"
#include "runtime/clock.hpp"
#include "runtime/offload.hpp"
#include "runtime/task.hpp"
#include "telemetry/log.hpp"
#include "templates/fetch.hpp"

namespace provisioner {

struct FetcherSettings {
  std::filesystem::path scratch;  // its own: what an earlier daemon left there is removed
  Duration patience = std::chrono::minutes(2);  // of one fetch
  std::size_t at_once = 2;
  std::size_t most_waiting = 32;  // more are refused
  BreakerSettings breaker;        // of each host
};

// How fetches ended.
struct FetchCounts {
  std::int64_t succeeded = 0;
  std::int64_t refused = 0;      // by us or by the source
  std::int64_t unreachable = 0;  // the host, or it took too long
};

// Loop only. `clock` and `environment` (the daemon's) outlive it.
class Fetcher {
 public:
  Fetcher(Clock& clock, Logger log, const Environment& environment, FetcherSettings settings);
  // Ends what goes on.
  ~Fetcher();

  // As fetch(). A host that could not be reached again and again is not asked for a while
  // (kUnavailable); nor is anything while too much waits (kUnavailable).
  Task<Result<Fetched>> fetch(FetchRequest request);

  // Ends fetches that go on, and refuses others, with kCancelled.
  void stop();

  const FetchCounts& counts() const { return counts_; }
  std::vector<BreakerReport> breakers();

 private:
  CircuitBreaker& breaker_of(const std::string& host);
  void count(const std::string& host, const Result<Fetched>& fetched);

  Clock& clock_;
  Logger log_;
  const Environment& environment_;
  FetcherSettings settings_;
  std::shared_ptr<const StopFlag> stop_ = std::make_shared<StopFlag>();
  bool stopped_ = false;
  std::size_t waiting_ = 0;
  FetchCounts counts_;
  std::map<std::string, CircuitBreaker> breakers_;
  Offload threads_;
};

}  // namespace provisioner
