#include "telemetry/metric_catalogue.hpp"

#include <fmt/format.h>

namespace provisioner {

using namespace metric;

std::span<const MetricInfo> metric_catalogue() {
  static constexpr MetricInfo kAll[] = {
      kWorkspaces,
      kWorkspacesHeld,
      kWorkspacesDetached,
      kWorkspacesDisabled,
      kDeployments,
      kDeploymentSeconds,
      kRunsActive,
      kRunsCapacity,
      kJobsRunning,
      kInterrupted,
      kSchedulerLag,
      kSchedulerBehind,
      kOccurrences,
      kLeader,
      kTerm,
      kFailovers,
      kReady,
      kHealth,
      kHealthSeconds,
      kElectionUp,
      kBreakerState,
      kTemplateFetches,
      kStoreUp,
      kStoreRoundTrips,
      kStoreRepeated,
      kStoreAmbiguous,
      kConnectionsOpened,
      kConnections,
      kConnectionsMost,
      kConnectionsWanted,
      kHttpRequests,
      kHttpSeconds,
      kLoopLag,
      kBuild,
      kCpuSeconds,
      kMemory,
      kOpenFiles,
      kMostFiles,
      kStartTime,
  };
  return kAll;
}

std::string metrics_table_markdown() {
  std::string text =
      "# Metrics\n\n"
      "`http://HOST:PORT/metrics` of `metrics.listen` (`--metrics-listen`, "
      "`PROVISIONER_METRICS_LISTEN`), in the text\nformat of Prometheus. The listener is off with "
      "the embedded store and at `:9090` with PostgreSQL, unless it is\nset. It speaks plain HTTP, "
      "asks for no token, and shows nothing but numbers: let only the monitoring reach it.\nIt "
      "answers also while the daemon is not ready and while the store is away. "
      "[deploy/monitoring](../deploy/monitoring/README.md)\nhas a scrape configuration, alert "
      "rules "
      "and a dashboard.\n\n"
      "Nothing is read from the store for a scrape, and no label has values that users can make "
      "grow: the page's size\nand time are the same with one workspace and with 10,000. Counters "
      "count what happened on their instance since it\nstarted, so add them up over instances.\n\n"
      "| metric | type | labels | meaning |\n"
      "| --- | --- | --- | --- |\n";
  for (const MetricInfo& info : metric_catalogue()) {
    std::string labels;
    for (std::size_t i = 0; i < info.label_count(); ++i) {
      labels += fmt::format("{}`{}`", i == 0 ? "" : ", ", info.label_names[i]);
    }
    text += fmt::format("| `{}` | {} | {} | {} |\n", info.name, to_string(info.kind), labels,
                        info.help);
  }
  text += R"(
`provisioner_store_round_trips_total` and the others of the pool are there with PostgreSQL only; a histogram or a gauge
that this instance cannot know yet is left out. The breakers of all hosts that tofu talks to are one `dependency`, "tofu",
those of the sources of templates another, "templates": the worst of them. The `instance` of `provisioner_leader` is the daemon's `instance_id`; Prometheus calls it
`exported_instance` unless `honor_labels` is on.
)";
  return text;
}

}  // namespace provisioner
