#include "execution/retries.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "config/workspace_file.hpp"

namespace provisioner::execution {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kMostHosts = 256;
constexpr std::size_t kMostWorkspaces = 10'000;
constexpr Duration kForgotten = 1h;  // a run that was due so long ago was claimed elsewhere

// A workspace may say how often; the definition of a run was valid when it was queued.
std::int64_t retries_of(const Run& run, std::int64_t otherwise) {
  const auto parsed = parse_workspace(run.workspace, run.definition.config, run.workspace.value);
  return parsed ? parsed->spec.max_retries.value_or(otherwise) : otherwise;
}

std::string first_line(const std::string& error) {
  constexpr std::size_t kMost = 200;
  std::string line = error.substr(0, error.find('\n'));
  if (line.size() <= kMost) return line;
  std::size_t end = kMost;
  while (end > 0 && (static_cast<unsigned char>(line[end]) & 0xc0) == 0x80) --end;  // UTF-8
  return line.substr(0, end) + "...";
}

double seconds(Duration d) { return std::chrono::duration<double>(d).count(); }

}  // namespace

Retries::Retries(Clock& clock, Random& random, Logger log, RetrySettings settings)
    : clock_(clock), random_(random), log_(std::move(log)), settings_(settings) {}

std::optional<RetryOffer> Retries::offer(const Run& run, const AttemptResult& result) {
  if (result.status != RunStatus::kFailed || !result.may_pass) return std::nullopt;
  if (!result.host.empty()) count_failure(run, result.host);
  const bool agreed_by_person = run.confirmed && run.trigger == Trigger::kManual;
  if (agreed_by_person && result.began_changes) return std::nullopt;
  RetryPolicy policy = settings_.policy;
  policy.max_retries = retries_of(run, policy.max_retries);
  auto delay = policy.delay(run.retries, random_);
  if (!delay) return std::nullopt;

  std::string why;
  const auto breaker = breakers_.find(result.host);
  if (breaker != breakers_.end()) {
    const BootInstant now = clock_.boot_now();
    const auto probe = breaker->second.next_probe(now);
    if (probe && *probe - now > *delay) {
      delay = *probe - now;
      why = fmt::format("{} failed too often and is left alone for now; ", result.host);
    }
  }
  return RetryOffer{
      .at = clock_.now() + *delay,
      .announcement = fmt::format("attempt {} failed: {}; {}trying again in {:.1f} s ({} of {})\n",
                                  run.attempt.value, first_line(result.error), why, seconds(*delay),
                                  run.retries + 2, policy.max_retries + 1)};
}

void Retries::count_failure(const Run& run, const std::string& host) {
  constexpr std::size_t kMostUnacknowledged = 1000;
  const auto known = counted_.find(run.id);
  if (known != counted_.end() && known->second == run.attempt) return;
  if (counted_.size() >= kMostUnacknowledged) counted_.erase(counted_.begin());
  counted_[run.id] = run.attempt;
  breaker_of(host).failed(clock_.boot_now());
}

void Retries::ended(const Run& run, const AttemptResult& result, std::optional<Instant> retry_at) {
  const BootInstant now = clock_.boot_now();
  const auto probe = probing_.extract(run.id);
  const bool host_failed =
      result.status == RunStatus::kFailed && result.may_pass && !result.host.empty();
  counted_.erase(run.id);
  if (host_failed) {
    if (failed_at_.size() < kMostWorkspaces) failed_at_[run.workspace] = result.host;
  } else if (result.status == RunStatus::kSucceeded) {
    const auto failed = failed_at_.extract(run.workspace);
    if (failed) breaker_of(failed.mapped()).succeeded(now);
    if (probe && (!failed || failed.mapped() != probe.mapped())) {
      breaker_of(probe.mapped()).succeeded(now);
    }
  }
  // Whatever it met elsewhere, it says nothing about the host that it was to try.
  const bool says_nothing = result.status != RunStatus::kSucceeded &&
                            (!host_failed || (probe && probe.mapped() != result.host));
  if (probe && says_nothing) breaker_of(probe.mapped()).gave_up(now);
  if (!retry_at) return;
  forget_old();
  waiting_[run.id] = {.host = host_failed ? result.host : "",
                      .due = now + std::max(Duration::zero(), *retry_at - clock_.now())};
}

void Retries::interrupted(const RunId& run) {
  const auto probe = probing_.extract(run);
  if (probe) breaker_of(probe.mapped()).gave_up(clock_.boot_now());
}

void Retries::claimed(const RunId& run) {
  const auto waited = waiting_.extract(run);
  if (!waited || waited.mapped().host.empty()) return;
  const std::string& host = waited.mapped().host;
  CircuitBreaker& breaker = breaker_of(host);
  const BootInstant now = clock_.boot_now();
  const bool as_probe = breaker.state(now) == BreakerState::kHalfOpen;
  if (breaker.admit(now) && as_probe) probing_[run] = host;
}

std::vector<RunId> Retries::passed_over() {
  std::vector<RunId> ids;
  const BootInstant now = clock_.boot_now();
  for (const auto& [id, waiting] : waiting_) {
    if (waiting.host.empty() || waiting.due > now) continue;
    if (!breaker_of(waiting.host).admits(now)) ids.push_back(id);
  }
  return ids;
}

std::optional<BootInstant> Retries::next_due() const {
  std::optional<BootInstant> next;
  const BootInstant now = clock_.boot_now();
  for (const auto& [id, waiting] : waiting_) {
    if (waiting.due <= now) continue;  // looked for, and not found or passed over
    if (!next || waiting.due < *next) next = waiting.due;
  }
  return next;
}

std::vector<BreakerReport> Retries::report() {
  std::vector<BreakerReport> reports;
  for (auto& [host, breaker] : breakers_) {
    reports.push_back(report_on(breaker, "tofu: " + host, clock_.now(), clock_.boot_now()));
  }
  return reports;
}

CircuitBreaker& Retries::breaker_of(const std::string& host) {
  const auto known = breakers_.find(host);
  if (known != breakers_.end()) return known->second;
  if (breakers_.size() >= kMostHosts) {
    // Those that let everything pass have little to forget.
    const BootInstant now = clock_.boot_now();
    for (auto it = breakers_.begin(); it != breakers_.end();) {
      it = it->second.state(now) == BreakerState::kClosed ? breakers_.erase(it) : std::next(it);
    }
    if (breakers_.size() >= kMostHosts) breakers_.erase(breakers_.begin());
  }
  const auto log_change = [log = log_.with({{"host", host}}), host,
                           timeout = settings_.breaker.timeout](BreakerState, BreakerState to) {
    switch (to) {
      case BreakerState::kOpen:
        log.warning(
            fmt::format("{} failed too often: runs that failed there are not tried again "
                        "for {}",
                        host, format_duration(timeout)));
        break;
      case BreakerState::kHalfOpen:
        log.info(fmt::format("{} is tried again by a few runs", host));
        break;
      case BreakerState::kClosed: log.info(fmt::format("{} works again", host)); break;
    }
  };
  return breakers_.try_emplace(host, settings_.breaker, log_change).first->second;
}

void Retries::forget_old() {
  const BootInstant now = clock_.boot_now();
  std::erase_if(waiting_, [&](const auto& entry) { return entry.second.due + kForgotten < now; });
}

}  // namespace provisioner::execution
