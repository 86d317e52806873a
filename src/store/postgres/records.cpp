#include "store/postgres/records.hpp"

namespace provisioner::postgres {

Task<Status> beat_instance(Transaction& tx, const Instance& instance) {
  tx.send(
      "INSERT INTO instances (id, incarnation, version, started_at, last_seen) VALUES ($1, $2, $3, "
      "$4, $5) ON CONFLICT (id) DO UPDATE SET incarnation = excluded.incarnation, version = "
      "excluded.version, started_at = excluded.started_at, last_seen = excluded.last_seen",
      instance.id, instance.incarnation, instance.version, instance.started_at, instance.last_seen);
  co_return Status();
}

Task<Result<std::vector<Instance>>> instances(Transaction& tx) {
  std::vector<Instance> all;
  for (Row row : co_await tx.query(
           "SELECT id, incarnation, version, started_at, last_seen FROM instances ORDER BY id")) {
    all.push_back({.id = row.as<InstanceId>(),
                   .incarnation = row.as<Incarnation>(),
                   .version = row.text(),
                   .started_at = row.instant(),
                   .last_seen = row.instant()});
  }
  co_return all;
}

Task<Result<std::string>> setting_or_insert(Transaction& tx, const std::string& key,
                                            const std::string& value) {
  // The first writer's value holds for the whole cluster: a second one waits for it, then reads.
  tx.send("INSERT INTO cluster_settings (key, value) VALUES ($1, $2) ON CONFLICT DO NOTHING", key,
          value);
  const Rows rows = co_await tx.query("SELECT value FROM cluster_settings WHERE key = $1", key);
  co_return rows[0].text();
}

Task<Status> audit(Transaction& tx, const AuditEvent& event) {
  tx.send(
      "INSERT INTO audit_events (at, actor, action, target, outcome) VALUES ($1, $2, $3, $4, $5)",
      event.at, event.actor, event.action, event.target, event.outcome);
  co_return Status();
}

}  // namespace provisioner::postgres
