// Every family of the metrics page, with what it means: docs/metrics.md is made from it.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "telemetry/metrics.hpp"

namespace provisioner {

namespace metric {

inline constexpr double kRunSeconds[] = {1, 5, 15, 30, 60, 120, 300, 600, 1200, 1800, 3600};
inline constexpr double kLagSeconds[] = {0.01, 0.05, 0.1, 0.5, 1, 5, 15, 60, 300, 3600};
inline constexpr double kLoopSeconds[] = {0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 5};
inline constexpr double kRequestSeconds[] = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
                                             0.1,   0.25,   0.5,   1,    5};

// --- what people deploy --------------------------------------------------------------------------
inline constexpr MetricInfo kWorkspaces{
    "provisioner_workspaces_total",
    MetricKind::kGauge,
    "Workspaces by status, as this instance knows them; every instance knows all of them",
    {"status"}};
inline constexpr MetricInfo kWorkspacesHeld{
    "provisioner_workspaces_held", MetricKind::kGauge,
    "Workspaces on hold: no schedule, ttl, change or retry moves them"};
inline constexpr MetricInfo kWorkspacesDetached{
    "provisioner_workspaces_detached", MetricKind::kGauge, "Workspaces whose folder has vanished"};
inline constexpr MetricInfo kWorkspacesDisabled{
    "provisioner_workspaces_disabled", MetricKind::kGauge, "Workspaces that are not enabled"};
inline constexpr MetricInfo kDeployments{
    "provisioner_deployments_total",
    MetricKind::kCounter,
    "Runs that ended on this instance, by operation and how they ended",
    {"operation", "result"}};
inline constexpr MetricInfo kDeploymentSeconds{"provisioner_deployment_duration_seconds",
                                               MetricKind::kHistogram,
                                               "From the start of a run's first attempt to its end",
                                               {"operation"},
                                               kRunSeconds};
inline constexpr MetricInfo kRunsActive{"provisioner_runs_active", MetricKind::kGauge,
                                        "Runs in progress on this instance"};
inline constexpr MetricInfo kRunsCapacity{
    "provisioner_runs_capacity", MetricKind::kGauge,
    "Runs that this instance takes at a time (execution.capacity)"};
inline constexpr MetricInfo kJobsRunning{"provisioner_jobs_running", MetricKind::kGauge,
                                         "Jobs in progress on this instance"};

inline constexpr MetricInfo kInterrupted{
    "provisioner_attempts_interrupted_total", MetricKind::kCounter,
    "Attempts that ended without a result: their processes died, or were silent for a whole lease; "
    "the run is resumed, or its workspace waits for a person"};

// --- deciding ------------------------------------------------------------------------------------
inline constexpr MetricInfo kSchedulerLag{
    "provisioner_scheduler_lag_seconds",
    MetricKind::kHistogram,
    "From the instant at which a schedule said so until its run was queued; an instant that an "
    "outage covered counts with the outage",
    {},
    kLagSeconds};
inline constexpr MetricInfo kSchedulerBehind{
    "provisioner_scheduler_behind_seconds", MetricKind::kGauge,
    "How long the leader has been at work without coming to the end of what is due; 0 while it "
    "waits for the next instant, and on an instance that does not lead"};
inline constexpr MetricInfo kOccurrences{
    "provisioner_occurrences_total",
    MetricKind::kCounter,
    "Occurrences of schedules that this instance decided, by what became of them",
    {"outcome"}};

// --- the cluster ---------------------------------------------------------------------------------
inline constexpr MetricInfo kLeader{
    "provisioner_leader",
    MetricKind::kGauge,
    "1 while this instance leads, 0 else; over all instances the sum is 1",
    {"instance"}};
inline constexpr MetricInfo kTerm{
    "provisioner_term", MetricKind::kGauge,
    "The highest term that this instance has seen; it grows whenever somebody begins to lead"};
inline constexpr MetricInfo kFailovers{
    "provisioner_failovers_total", MetricKind::kCounter,
    "Times that this instance took the leadership over from another one, planned or not"};
inline constexpr MetricInfo kReady{
    "provisioner_ready", MetricKind::kGauge,
    "1 while this instance serves, 0 while it starts, stops or may not"};
inline constexpr MetricInfo kHealth{
    "provisioner_health",
    MetricKind::kGauge,
    "What this instance depends on, as /health/deep has it: 0 healthy, 1 degraded, 2 unhealthy",
    {"check"}};
inline constexpr MetricInfo kHealthSeconds{"provisioner_health_duration_seconds",
                                           MetricKind::kGauge,
                                           "How long the last answer of each check took",
                                           {"check"}};
inline constexpr MetricInfo kElectionUp{
    "provisioner_election_up", MetricKind::kGauge,
    "1 when the election answered when it was asked last (every 5 s), else 0"};
inline constexpr MetricInfo kBreakerState{
    "provisioner_breaker_state",
    MetricKind::kGauge,
    "Circuit breakers by what they protect: 0 closed, 1 half open, 2 open",
    {"dependency"}};

// --- templates -----------------------------------------------------------------------------------
inline constexpr MetricInfo kTemplateFetches{
    "provisioner_template_fetches_total",
    MetricKind::kCounter,
    "Fetches of templates from their Git sources by this instance: succeeded, refused (by us or by "
    "the source) or unreachable",
    {"result"}};

// --- the store -----------------------------------------------------------------------------------
inline constexpr MetricInfo kStoreUp{
    "provisioner_store_up", MetricKind::kGauge,
    "1 when the store answered when it was asked last (every 5 s), else 0"};
inline constexpr MetricInfo kStoreRoundTrips{"provisioner_store_round_trips_total",
                                             MetricKind::kCounter, "Round trips to PostgreSQL"};
inline constexpr MetricInfo kStoreRepeated{
    "provisioner_store_transactions_repeated_total", MetricKind::kCounter,
    "Transactions that were tried again: conflicts, lost connections, failovers of the database"};
inline constexpr MetricInfo kStoreAmbiguous{
    "provisioner_store_ambiguous_total", MetricKind::kCounter,
    "Commits whose answer was lost, so that what happened had to be looked up"};
inline constexpr MetricInfo kConnectionsOpened{"provisioner_store_connections_opened_total",
                                               MetricKind::kCounter,
                                               "Connections that were opened to PostgreSQL"};
inline constexpr MetricInfo kConnections{
    "provisioner_store_connections",
    MetricKind::kGauge,
    "Connections of the pool to PostgreSQL, by whether they are busy or idle",
    {"state"}};
inline constexpr MetricInfo kConnectionsMost{
    "provisioner_store_connections_max", MetricKind::kGauge,
    "Connections that the pool may have (database.max_connections)"};
inline constexpr MetricInfo kConnectionsWanted{
    "provisioner_store_connections_waiting", MetricKind::kGauge,
    "Calls that wait for a connection of the pool to be free"};

// --- the daemon ----------------------------------------------------------------------------------
inline constexpr MetricInfo kHttpRequests{
    "http_requests_total",
    MetricKind::kCounter,
    "Requests to the API that were answered, by method and status code; those of runners included",
    {"method", "code"}};
inline constexpr MetricInfo kHttpSeconds{
    "http_request_duration_seconds",
    MetricKind::kHistogram,
    "From a request of people and programs to its answer, streams to their beginning",
    {},
    kRequestSeconds};
inline constexpr MetricInfo kLoopLag{
    "provisioner_loop_lag_seconds",
    MetricKind::kHistogram,
    "How late a watchdog that looks every 250 ms got its turn on the daemon's event loop",
    {},
    kLoopSeconds};
inline constexpr MetricInfo kBuild{
    "provisioner_build_info", MetricKind::kGauge, "Always 1", {"version", "store"}};
inline constexpr MetricInfo kCpuSeconds{"process_cpu_seconds_total", MetricKind::kCounter,
                                        "Processor time of the daemon, without its runs"};
inline constexpr MetricInfo kMemory{"process_resident_memory_bytes", MetricKind::kGauge,
                                    "Memory of the daemon"};
inline constexpr MetricInfo kOpenFiles{"process_open_fds", MetricKind::kGauge,
                                       "Open file descriptors of the daemon"};
inline constexpr MetricInfo kMostFiles{"process_max_fds", MetricKind::kGauge,
                                       "File descriptors that the daemon may open"};
inline constexpr MetricInfo kStartTime{"process_start_time_seconds", MetricKind::kGauge,
                                       "When the daemon started, in seconds since 1970"};

}  // namespace metric

// In the order of the documentation.
std::span<const MetricInfo> metric_catalogue();

// docs/metrics.md, generated.
std::string metrics_table_markdown();

}  // namespace provisioner
