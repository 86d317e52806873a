#include "app/daemon_metrics.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <string_view>

#include "app/process_figures.hpp"
#include "cli/command_line.hpp"
#include "runner/protocol.hpp"
#include "telemetry/metric_catalogue.hpp"

namespace provisioner {
namespace {

using namespace std::chrono_literals;

constexpr Duration kLookAtStore = 5s;
constexpr Duration kLookAtLoop = 250ms;

constexpr std::array kOperations{Operation::kDeploy, Operation::kDestroy, Operation::kPlan,
                                 Operation::kJob};
constexpr std::array kResults{RunStatus::kSucceeded, RunStatus::kFailed, RunStatus::kTimedOut,
                              RunStatus::kCancelled};

double seconds_of(Duration duration) { return std::chrono::duration<double>(duration).count(); }

// A client may invent methods without end.
std::string_view bounded_method(std::string_view method) {
  static constexpr std::array<std::string_view, 9> kKnown{
      "GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "LOCK", "UNLOCK"};
  const auto known = std::ranges::find(kKnown, method);
  return known == kKnown.end() ? "other" : *known;
}

// As metric::kBreakerState has it.
double figure_of(BreakerState state) {
  switch (state) {
    case BreakerState::kClosed: return 0;
    case BreakerState::kHalfOpen: return 1;
    case BreakerState::kOpen: return 2;
  }
  return 2;
}

}  // namespace

DaemonMetrics::DaemonMetrics(Clock& clock, const Settings& settings, Instant started_at)
    : clock_(clock), settings_(settings) {
  count_from_zero();
  const std::string store = settings_.database.host.empty() ? "sqlite" : "postgresql";
  metrics_.at_scrape(metric::kBuild, [store]() -> std::vector<MetricSample> {
    return {{.labels = {std::string(cli::version()), store}, .value = 1}};
  });
  const double started = seconds_of(started_at.time_since_epoch());
  metrics_.at_scrape(metric::kStartTime, [started] { return started; });
  metrics_.at_scrape(metric::kCpuSeconds, [] { return processor_seconds(); });
  metrics_.at_scrape(metric::kMemory, [] { return resident_bytes(); });
  metrics_.at_scrape(metric::kOpenFiles, [] { return open_files(); });
  metrics_.at_scrape(metric::kMostFiles, [] { return most_files(); });
  // Also of an instance that cannot lead yet: that nobody leads must show from the first page on.
  metrics_.at_scrape(metric::kLeader, [this]() -> std::vector<MetricSample> {
    const bool leads = leadership_ != nullptr && leadership_->fence().has_value();
    return {{.labels = {settings_.instance_id.value}, .value = leads ? 1.0 : 0.0}};
  });
  metrics_.at_scrape(metric::kStoreUp, [this] { return store_answers_ ? 1.0 : 0.0; });
  metrics_.at_scrape(metric::kTerm, [this] { return static_cast<double>(term_.value); });
  metrics_.at_scrape(metric::kRunsCapacity,
                     [this] { return static_cast<double>(settings_.execution.capacity); });
}

void DaemonMetrics::count_from_zero() {
  for (const Operation operation : kOperations) {
    for (const RunStatus result : kResults) {
      metrics_.begin(metric::kDeployments, {to_string(operation), to_string(result)});
    }
    metrics_.begin(metric::kDeploymentSeconds, {to_string(operation)});
  }
  for (std::size_t i = 0; i < kOutcomes; ++i) {
    metrics_.begin(metric::kOccurrences, {to_string(static_cast<Outcome>(i))});
  }
  for (const MetricInfo& info :
       {metric::kFailovers, metric::kSchedulerLag, metric::kLoopLag, metric::kHttpSeconds}) {
    metrics_.begin(info);
  }
  for (const std::string_view code : {"200", "500", "503"}) {
    metrics_.begin(metric::kHttpRequests, {"GET", code});
  }
}

void DaemonMetrics::ask(std::function<bool()> ready, std::function<std::string()> election_problem,
                        std::function<std::vector<server::HealthCheck>()> health) {
  metrics_.at_scrape(metric::kReady, [ready = std::move(ready)] { return ready() ? 1.0 : 0.0; });
  metrics_.at_scrape(metric::kElectionUp, [problem = std::move(election_problem)] {
    return problem().empty() ? 1.0 : 0.0;
  });
  const auto of_each = [&](const MetricInfo& info, double (*figure)(const server::HealthCheck&)) {
    metrics_.at_scrape(info, [health, figure] {
      std::vector<MetricSample> samples;
      for (const auto& check : health()) {
        samples.push_back({.labels = {check.name}, .value = figure(check)});
      }
      return samples;
    });
  };
  of_each(metric::kHealth, [](const server::HealthCheck& check) {
    return static_cast<double>(check.health);  // in order
  });
  of_each(metric::kHealthSeconds,
          [](const server::HealthCheck& check) { return seconds_of(check.took); });
}

void DaemonMetrics::ask_fetches(std::function<FetchCounts()> counts) {
  metrics_.at_scrape(metric::kTemplateFetches, [counts = std::move(counts)] {
    const FetchCounts now = counts();
    const auto sample = [](const char* result, std::int64_t count) {
      return MetricSample{.labels = {result}, .value = static_cast<double>(count)};
    };
    return std::vector<MetricSample>{sample("succeeded", now.succeeded),
                                     sample("refused", now.refused),
                                     sample("unreachable", now.unreachable)};
  });
}

void DaemonMetrics::ask_breakers(std::function<std::vector<BreakerReport>()> breakers) {
  metrics_.at_scrape(metric::kBreakerState, [breakers = std::move(breakers)] {
    // Hosts are as many as people name in their code: the worst of them stands for all.
    std::map<std::string, double> states;
    for (const BreakerReport& breaker : breakers()) {
      double& worst = states[breaker.dependency.substr(0, breaker.dependency.find(':'))];
      worst = std::max(worst, figure_of(breaker.state));
    }
    std::vector<MetricSample> samples;
    for (const auto& [kind, worst] : states) samples.push_back({.labels = {kind}, .value = worst});
    return samples;
  });
}

void DaemonMetrics::ask_pool(std::shared_ptr<const PostgresCounters> counters) {
  const auto figure = [&](const MetricInfo& info, std::int64_t PostgresCounters::* member) {
    metrics_.at_scrape(info, [counters, member] { return static_cast<double>(*counters.*member); });
  };
  figure(metric::kStoreRoundTrips, &PostgresCounters::round_trips);
  figure(metric::kStoreRepeated, &PostgresCounters::transactions_repeated);
  figure(metric::kStoreAmbiguous, &PostgresCounters::ambiguous);
  figure(metric::kConnectionsOpened, &PostgresCounters::connections_opened);
  figure(metric::kConnectionsWanted, &PostgresCounters::callers_waiting);
  metrics_.at_scrape(metric::kConnectionsMost,
                     [this] { return static_cast<double>(settings_.database.max_connections); });
  metrics_.at_scrape(metric::kConnections, [counters]() -> std::vector<MetricSample> {
    return {{.labels = {"busy"}, .value = static_cast<double>(counters->connections_busy)},
            {.labels = {"idle"}, .value = static_cast<double>(counters->connections_idle)}};
  });
}

void DaemonMetrics::ask(Parts parts) {
  leadership_ = &parts.leadership;
  parts.leadership.on_change([this] { note_leadership(); });

  metrics_.at_scrape(metric::kSchedulerBehind,
                     [&scheduler = parts.scheduler] { return seconds_of(scheduler.behind()); });
  parts.scheduler.on_plan(
      [this](const auto& occurrences, const auto& run) { note_plan(occurrences, run); });
  const auto of_census = [&](const MetricInfo& info, std::int64_t Census::Counts::* member) {
    metrics_.at_scrape(info, [&scheduler = parts.scheduler, member] {
      return static_cast<double>(scheduler.census().*member);
    });
  };
  of_census(metric::kWorkspacesHeld, &Census::Counts::held);
  of_census(metric::kWorkspacesDetached, &Census::Counts::detached);
  of_census(metric::kWorkspacesDisabled, &Census::Counts::disabled);
  metrics_.at_scrape(metric::kWorkspaces, [&scheduler = parts.scheduler] {
    std::vector<MetricSample> samples;
    const auto& counts = scheduler.census().by_status;
    for (std::size_t i = 0; i < counts.size(); ++i) {
      samples.push_back({.labels = {std::string(to_string(static_cast<WorkspaceStatus>(i)))},
                         .value = static_cast<double>(counts[i])});
    }
    return samples;
  });

  metrics_.at_scrape(metric::kRunsActive, [&dispatcher = parts.dispatcher] {
    return static_cast<double>(dispatcher.active());
  });
  metrics_.at_scrape(metric::kJobsRunning, [&runner_api = parts.runner_api] {
    return static_cast<double>(runner_api.running(Operation::kJob));
  });
  metrics_.at_scrape(metric::kInterrupted, [&runner_api = parts.runner_api] {
    return static_cast<double>(runner_api.interrupted());
  });
  parts.runner_api.on_end([this](const Run& run, RunStatus how) { note_end(run, how); });
}

void DaemonMetrics::note_plan(const std::vector<Occurrence>& occurrences,
                              const std::optional<NewRun>& run) {
  for (const Occurrence& occurrence : occurrences) {
    metrics_.add(metric::kOccurrences, {to_string(occurrence.outcome)},
                 static_cast<double>(occurrence.count));
  }
  if (run && run->scheduled_for) {
    metrics_.observe(metric::kSchedulerLag, {}, seconds_of(clock_.now() - *run->scheduled_for));
  }
}

void DaemonMetrics::note_end(const Run& run, RunStatus how) {
  if (!is_final(how) || how == RunStatus::kInterrupted) return;  // a later attempt decides
  metrics_.add(metric::kDeployments, {to_string(run.operation), to_string(how)});
  if (!run.started_at) return;
  metrics_.observe(metric::kDeploymentSeconds, {to_string(run.operation)},
                   seconds_of(clock_.now() - *run.started_at));
}

void DaemonMetrics::note_leadership() {
  const auto fence = leadership_->fence();
  if (!fence || fence->term == counted_) return;
  counted_ = fence->term;
  term_ = std::max(term_, fence->term);
  if (!last_leader_.value.empty() && last_leader_ != settings_.instance_id) {
    metrics_.add(metric::kFailovers);
  }
  last_leader_ = settings_.instance_id;
}

Task<> DaemonMetrics::watch_store(Store& store) {
  Signal look(co_await boost::asio::this_coro::executor);
  [[maybe_unused]] const auto subscription = store.subscribe([&look](const Change& change) {
    if (change.topic == Change::Topic::kLeadership) look.notify();
  });
  while (true) {
    const auto row = co_await store.leadership();
    store_answers_ = row.has_value();
    // What is read may be older than what this instance has become meanwhile.
    if (row && row->fence.term >= term_) {
      term_ = row->fence.term;
      if (!row->leader.value.empty()) last_leader_ = row->leader;
    }
    co_await look.wait_until(clock_, clock_.boot_now() + kLookAtStore);
  }
}

Task<> DaemonMetrics::watch_loop() {
  while (true) {
    const BootInstant due = clock_.boot_now() + kLookAtLoop;
    co_await clock_.sleep_until(due);
    metrics_.observe(metric::kLoopLag, {},
                     seconds_of(std::max(clock_.boot_now() - due, Duration::zero())));
  }
}

Task<http::Response> DaemonMetrics::count(http::Request request, const http::Handler& handler) {
  const BootInstant begun = clock_.boot_now();
  const std::string method(bounded_method(request.method));
  const bool is_runner = request.target.starts_with(runner::kPathPrefix);
  auto response = co_await handler(std::move(request));
  metrics_.add(metric::kHttpRequests, {method, fmt::format_int(response.status).str()});
  // Runners wait for a minute to hear of a cancel.
  if (!is_runner) {
    metrics_.observe(metric::kHttpSeconds, {}, seconds_of(clock_.boot_now() - begun));
  }
  co_return response;
}

http::Response DaemonMetrics::answer(const http::Request& request) const {
  if (request.path() != "/metrics") {
    return http::text_response(404, "this is the listener for Prometheus: /metrics\n");
  }
  if (request.method != "GET" && request.method != "HEAD") {
    auto refusal = http::text_response(405, "/metrics is to be read: GET\n");
    refusal.headers["Allow"] = "GET, HEAD";
    return refusal;
  }
  auto response = http::text_response(200, metrics_.page());
  response.headers["Content-Type"] = Metrics::kContentType;
  return response;
}

}  // namespace provisioner
