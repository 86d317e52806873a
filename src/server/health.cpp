#include "server/health.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace provisioner::server {
namespace {

double seconds(Duration d) { return std::chrono::duration<double>(d).count(); }

}  // namespace

std::string_view to_string(Health health) {
  switch (health) {
    case Health::kHealthy: return "healthy";
    case Health::kDegraded: return "degraded";
    case Health::kUnhealthy: return "unhealthy";
  }
  return "unhealthy";
}

Health worst_of(const std::vector<HealthCheck>& checks) {
  Health worst = Health::kHealthy;
  for (const HealthCheck& check : checks) worst = std::max(worst, check.health);
  return worst;
}

HealthCheck judge(std::string name, const Observation& seen, Health when_failing, BootInstant now) {
  HealthCheck check{.name = std::move(name), .took = seen.took};
  if (seen.answer && !*seen.answer) {
    const Duration failing = now - seen.failing_since.value_or(now);
    check.health = failing < kPatience ? std::min(Health::kDegraded, when_failing) : when_failing;
    check.message = seen.answer->error().message;
  } else if (seen.asked_at && now - *seen.asked_at > kSlow) {
    check.health = Health::kDegraded;
    check.message = fmt::format("no answer for {:.0f} s", seconds(now - *seen.asked_at));
  } else if (!seen.answer) {
    check.health = Health::kDegraded;
    check.message = "not asked yet";
  } else if (seen.took > kSlow) {
    check.health = Health::kDegraded;
    check.message = fmt::format("answered after {:.1f} s", seconds(seen.took));
  }
  return check;
}

Task<> HealthWatch::watch(Subject subject) {
  watched_.push_back({.name = subject.name, .when_failing = subject.when_failing, .seen = {}});
  Observation& seen = watched_.back().seen;
  while (true) {
    const BootInstant asked = clock_.boot_now();
    seen.asked_at = asked;
    seen.answer = co_await subject.ask();
    const BootInstant now = clock_.boot_now();
    seen.took = now - asked;
    seen.asked_at.reset();
    if (*seen.answer) {
      seen.failing_since.reset();
    } else if (!seen.failing_since) {
      seen.failing_since = now;
    }
    co_await clock_.sleep_for(*seen.answer ? subject.every : std::min(subject.every, kAgain));
  }
}

std::vector<HealthCheck> HealthWatch::checks() const {
  std::vector<HealthCheck> checks;
  for (const Watched& watched : watched_) {
    checks.push_back(judge(watched.name, watched.seen, watched.when_failing, clock_.boot_now()));
  }
  return checks;
}

}  // namespace provisioner::server
