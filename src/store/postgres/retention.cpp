#include "store/postgres/retention.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace provisioner::postgres {
namespace {

// A bundle is stored before the workspace that names it: what no pruning has seen unreferenced for
// this long may be about to be published.
constexpr Duration kBundleGrace = std::chrono::hours(1);

constexpr std::string_view kReferenced =
    "(SELECT bundle FROM workspace_states UNION SELECT deployed_bundle FROM workspace_states WHERE "
    "deployed_bundle IS NOT NULL UNION SELECT deployed_bundle FROM job_states WHERE "
    "deployed_bundle IS NOT NULL UNION SELECT bundle FROM runs WHERE status IN ('queued', "
    "'running') UNION SELECT content_hash FROM templates UNION SELECT bundle FROM job_events)";

// All queue.
Transaction::Answer prune_runs(Transaction& tx, Instant before) {
  // I4: only runs that have ended have finished_at. Children before parents.
  tx.send("DELETE FROM run_logs WHERE run IN (SELECT id FROM runs WHERE finished_at < $1)", before);
  tx.send("DELETE FROM run_attempts WHERE run IN (SELECT id FROM runs WHERE finished_at < $1)",
          before);
  return tx.send("DELETE FROM runs WHERE finished_at < $1", before);
}

Transaction::Answer prune_state_versions(Transaction& tx, Instant before, std::int64_t least) {
  // The current version of a slot stays whatever its age and rank: it is the state.
  return tx.send(
      "DELETE FROM state_versions v USING (SELECT workspace, job, number, at, row_number() OVER "
      "(PARTITION BY workspace, job ORDER BY number DESC) AS rank, max(number) FILTER (WHERE NOT "
      "divergent) OVER (PARTITION BY workspace, job) AS current FROM state_versions) o WHERE "
      "v.workspace = o.workspace AND v.job = o.job AND v.number = o.number AND o.at < $1 AND "
      "o.rank > $2 AND o.number IS DISTINCT FROM o.current",
      before, std::max<std::int64_t>(least, 1));
}

Transaction::Answer prune_bundles(Transaction& tx, Instant now) {
  static const std::string referenced = fmt::format(
      "UPDATE bundles SET unreferenced_since = NULL WHERE unreferenced_since IS NOT NULL AND hash "
      "IN {}",
      kReferenced);
  static const std::string unreferenced = fmt::format(
      "UPDATE bundles SET unreferenced_since = $1 WHERE unreferenced_since IS NULL AND hash NOT IN "
      "{}",
      kReferenced);
  static const std::string outdated = fmt::format(
      "DELETE FROM bundles WHERE unreferenced_since <= $1 AND hash NOT IN {}", kReferenced);
  tx.send(referenced);
  tx.send(unreferenced, now);
  // Whoever names a bundle holds it: once all that may go are ours, nobody has come to name one
  // whom the next statement does not see.
  tx.send("SELECT 1 FROM bundles WHERE unreferenced_since <= $1 FOR UPDATE", now - kBundleGrace);
  return tx.send(outdated, now - kBundleGrace);
}

}  // namespace

Task<Result<PruneReport>> prune(Transaction& tx, const RetentionPolicy& policy, Instant now) {
  const Instant runs_before = now - policy.runs;
  const auto runs = prune_runs(tx, runs_before);
  const auto occurrences =
      tx.send("DELETE FROM occurrences WHERE at < $1 AND until < $1", runs_before);
  const auto versions =
      prune_state_versions(tx, now - policy.state_versions, policy.least_state_versions);
  const auto bundles = prune_bundles(tx, now);
  // Jobs that no configuration names any more; a template job stays while something is deployed.
  tx.send(
      "DELETE FROM job_states WHERE NOT present AND deployed_config IS NULL AND updated_at < $1",
      runs_before);
  tx.send("DELETE FROM config_changes WHERE changed_at < $1", runs_before);
  tx.send("DELETE FROM audit_events WHERE at < $1", runs_before);
  tx.send("DELETE FROM api_tokens WHERE revoked_at < $1 OR expires_at < $1", runs_before);
  // Their reports stay: one that comes back must not pass its old folders off as news.
  tx.send("DELETE FROM instances WHERE last_seen < $1 AND NOT draining", runs_before);
  PruneReport report;
  report.runs = (co_await tx.rows(runs)).changed();
  report.occurrences = (co_await tx.rows(occurrences)).changed();
  report.state_versions = (co_await tx.rows(versions)).changed();
  report.bundles = (co_await tx.rows(bundles)).changed();
  co_return report;
}

}  // namespace provisioner::postgres
