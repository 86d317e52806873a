#include "store/sqlite/retention.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace provisioner::sqlite {
namespace {

// A bundle is stored before the workspace that names it: what no pruning has seen unreferenced for
// this long may be about to be published.
constexpr Duration kBundleGrace = std::chrono::hours(1);

std::int64_t prune_runs(Transaction& tx, Instant before) {
  // I4: only runs that have ended have finished_at. Children before parents.
  tx.sql("DELETE FROM run_logs WHERE run IN (SELECT id FROM runs WHERE finished_at < ?)")
      .run(before);
  tx.sql("DELETE FROM run_attempts WHERE run IN (SELECT id FROM runs WHERE finished_at < ?)")
      .run(before);
  return tx.sql("DELETE FROM runs WHERE finished_at < ?").run(before);
}

std::int64_t prune_state_versions(Transaction& tx, Instant before, std::int64_t least) {
  // The current version of a slot stays whatever its age and rank: it is the state.
  return tx
      .sql(
          "DELETE FROM state_versions WHERE rowid IN (SELECT rowid FROM (SELECT rowid, at, "
          "row_number() OVER (PARTITION BY workspace, job ORDER BY number DESC) AS rank, "
          "max(CASE WHEN divergent = 0 THEN number END) OVER (PARTITION BY workspace, job) AS "
          "current, number FROM state_versions) WHERE at < ? AND rank > ? AND number IS NOT "
          "current)")
      .run(before, std::max<std::int64_t>(least, 1));
}

std::int64_t prune_bundles(Transaction& tx, Instant now) {
  constexpr std::string_view kReferenced =
      "(SELECT bundle FROM workspace_states UNION SELECT deployed_bundle FROM workspace_states "
      "WHERE "
      "deployed_bundle IS NOT NULL UNION SELECT deployed_bundle FROM job_states WHERE "
      "deployed_bundle IS NOT NULL UNION SELECT bundle FROM runs WHERE status IN ('queued', "
      "'running') UNION SELECT content_hash FROM templates UNION SELECT bundle FROM job_events)";
  tx.sql(fmt::format("UPDATE bundles SET unreferenced_since = NULL WHERE unreferenced_since IS NOT "
                     "NULL AND hash IN {}",
                     kReferenced))
      .run();
  tx.sql(fmt::format("UPDATE bundles SET unreferenced_since = ? WHERE unreferenced_since IS NULL "
                     "AND hash NOT IN {}",
                     kReferenced))
      .run(now);
  return tx.sql("DELETE FROM bundles WHERE unreferenced_since <= ?").run(now - kBundleGrace);
}

}  // namespace

Result<PruneReport> prune(Transaction& tx, const RetentionPolicy& policy, Instant now) {
  const Instant runs_before = now - policy.runs;
  PruneReport report;
  report.runs = prune_runs(tx, runs_before);
  report.occurrences =
      tx.sql("DELETE FROM occurrences WHERE at < ?1 AND until < ?1").run(runs_before);
  report.state_versions =
      prune_state_versions(tx, now - policy.state_versions, policy.least_state_versions);
  report.bundles = prune_bundles(tx, now);
  // Jobs that no configuration names any more; a template job stays while something is deployed.
  tx.sql("DELETE FROM job_states WHERE NOT present AND deployed_config IS NULL AND updated_at < ?")
      .run(runs_before);
  tx.sql("DELETE FROM config_changes WHERE changed_at < ?").run(runs_before);
  tx.sql("DELETE FROM audit_events WHERE at < ?").run(runs_before);
  tx.sql("DELETE FROM api_tokens WHERE revoked_at < ?1 OR expires_at < ?1").run(runs_before);
  // Their reports stay: one that comes back must not pass its old folders off as news.
  tx.sql("DELETE FROM instances WHERE last_seen < ? AND NOT draining").run(runs_before);
  return report;
}

}  // namespace provisioner::sqlite
