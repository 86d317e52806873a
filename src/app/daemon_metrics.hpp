// What one instance tells Prometheus: where each number comes from.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "base/ids.hpp"
#include "config/settings.hpp"
#include "election/leadership_loop.hpp"
#include "execution/dispatcher.hpp"
#include "execution/runner_api.hpp"
#include "http/message.hpp"
#include "http/server.hpp"
#include "runtime/circuit_breaker.hpp"
#include "runtime/clock.hpp"
#include "runtime/signal.hpp"
#include "scheduler/loop.hpp"
#include "server/health.hpp"
#include "store/postgres/postgres_store.hpp"
#include "store/store.hpp"
#include "telemetry/metrics.hpp"
#include "templates/fetcher.hpp"

namespace provisioner {

// Counts from the start on; begins to ask the daemon's parts once it is told of them. Loop only.
class DaemonMetrics {
 public:
  // The references outlive it.
  DaemonMetrics(Clock& clock, const Settings& settings, Instant started_at);

  // Beside what is told below: true while this instance serves, "" while the election answers.
  void ask(std::function<bool()> ready, std::function<std::string()> election_problem,
           std::function<std::vector<server::HealthCheck>()> health);
  void ask_fetches(std::function<FetchCounts()> counts);
  void ask_breakers(std::function<std::vector<BreakerReport>()> breakers);
  void ask_pool(std::shared_ptr<const PostgresCounters> counters);

  struct Parts {
    Scheduler& scheduler;
    LeadershipLoop& leadership;
    execution::Dispatcher& dispatcher;
    execution::RunnerApi& runner_api;
  };
  // The parts outlive the last page.
  void ask(Parts parts);

  // Looks every five seconds, and when told of a change, who leads. Until cancelled.
  Task<> watch_store(Store& store);
  // Measures how late the loop is. Until cancelled.
  Task<> watch_loop();

  // Lets `handler` answer, and counts it.
  Task<http::Response> count(http::Request request, const http::Handler& handler);

  // Of the metrics' own listener: the page at /metrics, for the rest a hint.
  http::Response answer(const http::Request& request) const;

 private:
  void count_from_zero();
  void note_plan(const std::vector<Occurrence>& occurrences, const std::optional<NewRun>& run);
  void note_end(const Run& run, RunStatus how);
  void note_leadership();

  Clock& clock_;
  const Settings& settings_;
  Metrics metrics_;
  const LeadershipLoop* leadership_ = nullptr;
  bool store_answers_ = false;
  Term term_;
  Term counted_;            // the last term of this instance that was looked at
  InstanceId last_leader_;  // whom the store named last, also after a resignation
};

}  // namespace provisioner
