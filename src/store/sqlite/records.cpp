#include "store/sqlite/records.hpp"

namespace provisioner::sqlite {

Status beat_instance(Transaction& tx, const Instance& instance) {
  tx.sql(
        "INSERT INTO instances (id, incarnation, version, started_at, last_seen) VALUES (?, ?, ?, "
        "?, ?) ON CONFLICT (id) DO UPDATE SET incarnation = excluded.incarnation, version = "
        "excluded.version, started_at = excluded.started_at, last_seen = excluded.last_seen")
      .run(instance.id, instance.incarnation, instance.version, instance.started_at,
           instance.last_seen);
  return {};
}

Result<std::vector<Instance>> instances(Transaction& tx) {
  auto query =
      tx.sql("SELECT id, incarnation, version, started_at, last_seen FROM instances ORDER BY id");
  std::vector<Instance> all;
  while (query.step()) {
    Row row = query.row();
    all.push_back({.id = row.as<InstanceId>(),
                   .incarnation = row.as<Incarnation>(),
                   .version = row.text(),
                   .started_at = row.instant(),
                   .last_seen = row.instant()});
  }
  return all;
}

Result<std::string> setting_or_insert(Transaction& tx, const std::string& key,
                                      const std::string& value) {
  // The first writer's value holds for the whole cluster.
  tx.sql("INSERT INTO cluster_settings (key, value) VALUES (?, ?) ON CONFLICT DO NOTHING")
      .run(key, value);
  auto query = tx.sql("SELECT value FROM cluster_settings WHERE key = ?");
  query.bind(key);
  query.step();
  return query.row().text();
}

Status audit(Transaction& tx, const AuditEvent& event) {
  tx.sql("INSERT INTO audit_events (at, actor, action, target, outcome) VALUES (?, ?, ?, ?, ?)")
      .run(event.at, event.actor, event.action, event.target, event.outcome);
  return {};
}

}  // namespace provisioner::sqlite
