#include "store/postgres/records.hpp"

#include <fmt/format.h>

#include "store/cluster_rows.hpp"

namespace provisioner::postgres {

namespace {

const std::string& select_instance() {
  static const std::string text =
      fmt::format("SELECT {} FROM instances WHERE id = $1", kInstanceColumns);
  return text;
}

Result<Instance> one_instance(const Rows& rows, const InstanceId& id) {
  if (rows.empty()) {
    return fail(ErrorKind::kNotFound, fmt::format("there is no instance {}", id.value));
  }
  return read_instance(rows[0]);
}

}  // namespace

Task<Result<Instance>> enter_instance(Transaction& tx, const Instance& entering) {
  const Instance& i = entering;
  tx.send(
      "INSERT INTO instances (id, incarnation, version, home, started_at, last_seen, ready, "
      "stopped) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (id) DO UPDATE SET incarnation "
      "= excluded.incarnation, version = excluded.version, home = excluded.home, started_at = "
      "excluded.started_at, last_seen = excluded.last_seen, ready = excluded.ready, stopped = "
      "excluded.stopped",
      i.id, i.incarnation, i.version, i.home, i.started_at, i.last_seen, i.ready, i.stopped);
  co_return one_instance(co_await tx.query(select_instance(), i.id), i.id);
}

Task<Result<Instance>> beat_instance(Transaction& tx, const Instance& beating) {
  const Instance& i = beating;
  const auto beaten = tx.send(
      "UPDATE instances SET last_seen = $1, ready = $2, stopped = $3 WHERE id = $4 AND incarnation "
      "= $5",
      i.last_seen, i.ready, i.stopped, i.id, i.incarnation);
  const auto present = one_instance(co_await tx.query(select_instance(), i.id), i.id);
  if ((co_await tx.rows(beaten)).changed() == 1) co_return present;
  if (present) co_return std::unexpected(id_taken(*present));
  co_return co_await enter_instance(tx, i);  // it was forgotten meanwhile
}

Task<Result<Instance>> set_draining(Transaction& tx, const InstanceId& id, bool draining) {
  tx.send("UPDATE instances SET draining = $1 WHERE id = $2", draining, id);
  tx.announce(Change::Topic::kLeadership, id.value);
  co_return one_instance(co_await tx.query(select_instance(), id), id);
}

Task<Result<std::vector<Instance>>> instances(Transaction& tx) {
  static const std::string text =
      fmt::format("SELECT {} FROM instances ORDER BY id", kInstanceColumns);
  std::vector<Instance> all;
  for (Row row : co_await tx.query(text)) all.push_back(read_instance(row));
  co_return all;
}

Task<Result<Instant>> clock(Transaction& tx) {
  const Rows rows = co_await tx.query("SELECT clock_timestamp()");
  co_return rows[0].instant();
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

Task<Result<std::vector<AuditEvent>>> audit_events(Transaction& tx, const AuditFilter& filter) {
  static const std::string text = fmt::format(
      "SELECT {} FROM audit_events WHERE starts_with(action, $1) ORDER BY seq DESC LIMIT "
      "$2",
      kAuditColumns);
  std::vector<AuditEvent> events;
  for (Row row : co_await tx.query(text, filter.action_prefix, filter.limit)) {
    events.push_back(read_audit_event(row));
  }
  co_return events;
}

}  // namespace provisioner::postgres
