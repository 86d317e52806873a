#include "store/sqlite/records.hpp"

#include <fmt/format.h>

#include "store/cluster_rows.hpp"

namespace provisioner::sqlite {

namespace {

Result<Instance> instance(Transaction& tx, const InstanceId& id) {
  auto query = tx.sql(fmt::format("SELECT {} FROM instances WHERE id = ?", kInstanceColumns));
  query.bind(id);
  if (query.step()) return read_instance(query.row());
  return fail(ErrorKind::kNotFound, fmt::format("there is no instance {}", id.value));
}

}  // namespace

Result<Instance> enter_instance(Transaction& tx, const Instance& entering) {
  const Instance& i = entering;
  tx.sql(
        "INSERT INTO instances (id, incarnation, version, home, started_at, last_seen, ready, "
        "stopped) VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET incarnation = "
        "excluded.incarnation, version = excluded.version, home = excluded.home, started_at = "
        "excluded.started_at, last_seen = excluded.last_seen, ready = excluded.ready, stopped = "
        "excluded.stopped")
      .run(i.id, i.incarnation, i.version, i.home, i.started_at, i.last_seen, i.ready, i.stopped);
  return instance(tx, i.id);
}

Result<Instance> beat_instance(Transaction& tx, const Instance& beating) {
  const Instance& i = beating;
  const auto present = instance(tx, i.id);
  if (!present) return enter_instance(tx, i);  // it was forgotten meanwhile
  if (present->incarnation != i.incarnation) {
    return std::unexpected(id_taken(*present));
  }
  tx.sql("UPDATE instances SET last_seen = ?, ready = ?, stopped = ? WHERE id = ?")
      .run(i.last_seen, i.ready, i.stopped, i.id);
  return instance(tx, i.id);
}

Result<Instance> set_draining(Transaction& tx, const InstanceId& id, bool draining) {
  tx.sql("UPDATE instances SET draining = ? WHERE id = ?").run(draining, id);
  tx.announce(Change::Topic::kLeadership, id.value);
  return instance(tx, id);
}

Result<std::vector<Instance>> instances(Transaction& tx) {
  auto query = tx.sql(fmt::format("SELECT {} FROM instances ORDER BY id", kInstanceColumns));
  std::vector<Instance> all;
  while (query.step()) all.push_back(read_instance(query.row()));
  return all;
}

Result<Instant> clock(Transaction& tx) {
  // Milliseconds since 1970: SQLite counts days since 4714 BC.
  auto query = tx.sql("SELECT CAST(round((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER)");
  query.step();
  return Instant(std::chrono::milliseconds(query.row().integer()));
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

Result<std::vector<AuditEvent>> audit_events(Transaction& tx, const AuditFilter& filter) {
  auto query = tx.sql(
      fmt::format("SELECT {} FROM audit_events WHERE substr(action, 1, length(?1)) = ?1 ORDER BY "
                  "seq DESC LIMIT ?2",
                  kAuditColumns));
  query.bind(filter.action_prefix, filter.limit);
  std::vector<AuditEvent> events;
  while (query.step()) events.push_back(read_audit_event(query.row()));
  return events;
}

}  // namespace provisioner::sqlite
