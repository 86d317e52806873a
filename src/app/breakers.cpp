// The circuit breakers of one instance, and all of them in one list.
#include <fmt/format.h>

#include "app/daemon.hpp"

namespace provisioner {
namespace {

using namespace std::chrono_literals;

// Opens soon and tries again soon: what it spares is a connect timeout for each caller, and a
// server that is back should be found at once. A probe ends by itself, with
// database.connect_timeout.
constexpr BreakerSettings kOfStore = {
    .max_failures = 3, .max_requests = 1, .timeout = 500ms, .report_within = 1h};

// Only counts and shows: docs/adr/0011-election-without-a-gate.md.
constexpr BreakerSettings kOfElection = {
    .max_failures = 3, .max_requests = 1, .timeout = 1s, .report_within = 1h};

CircuitBreaker::OnChange say(Logger log, std::string what) {
  return [log = std::move(log), what = std::move(what)](BreakerState from, BreakerState to) {
    if (from == BreakerState::kClosed) {
      log.warning(fmt::format("{} does not answer, again and again", what));
    } else if (to == BreakerState::kClosed) {
      log.info(fmt::format("{} answers again", what));
    }
  };
}

}  // namespace

void Daemon::make_breakers() {
  const bool has_own_server = !settings_.database.host.empty();
  if (has_own_server) {
    store_breaker_ = std::make_shared<CircuitBreaker>(
        kOfStore, say(log_.named("store"), "the store's database"));
  }
  election_breaker_.emplace(kOfElection, say(log_.named("election"), "the election"));
}

std::vector<BreakerReport> Daemon::breakers() {
  std::vector<BreakerReport> all;
  const Instant now = clock_.now();
  const BootInstant boot_now = clock_.boot_now();
  if (store_breaker_) all.push_back(report_on(*store_breaker_, "store", now, boot_now));
  all.push_back(report_on(*election_breaker_, "election", now, boot_now));
  if (retries_) {
    for (auto& report : retries_->report()) all.push_back(std::move(report));
  }
  if (fetcher_) {
    for (auto& report : fetcher_->breakers()) all.push_back(std::move(report));
  }
  return all;
}

std::vector<server::HealthCheck> Daemon::checks() {
  std::vector<server::HealthCheck> all = health_.checks();
  for (const BreakerReport& breaker : breakers()) {
    if (breaker.state == BreakerState::kClosed) continue;
    all.push_back(
        {.name = "breaker: " + breaker.dependency,
         .health = server::Health::kDegraded,
         .message = fmt::format("{} since {}, after {} failures in a row", to_string(breaker.state),
                                format_rfc3339(breaker.opened_at.value_or(clock_.now())),
                                breaker.consecutive_failures)});
  }
  return all;
}

}  // namespace provisioner
