#include "store/postgres/schema.hpp"

#include <fmt/format.h>

#include <span>

#include "store/postgres/migrations.hpp"

namespace provisioner::postgres {
namespace {

// Names the lock under which schemas change; any number that nobody else uses ("PROV").
constexpr std::int64_t kSchemaLock = 0x50524f56;

// What stands in the database before we touch it.
struct Present {
  bool ours = false;    // it has our table of migrations
  bool others = false;  // it has a table with one of our names, and is not ours
  std::int64_t schema = 0;
};

Task<Present> look(Connection& connection, BootInstant deadline) {
  const Query tables(
      "SELECT to_regclass('schema_migrations') IS NOT NULL, to_regclass('workspace_states') IS NOT "
      "NULL");
  const auto answers = co_await connection.round_trip({&tables, 1}, deadline);
  Row row = answers.at(0)[0];
  Present present;
  present.ours = row.boolean();
  present.others = row.boolean() && !present.ours;
  if (!present.ours) co_return present;
  const Query newest("SELECT coalesce(max(version), 0) FROM schema_migrations");
  const auto applied = co_await connection.round_trip({&newest, 1}, deadline);
  present.schema = applied.at(0)[0].integer();
  co_return present;
}

void refuse_unknown(const Present& present, std::int64_t newest) {
  if (present.others) {
    throw SqlError("", Error{ErrorKind::kInvalid,
                             "the database has a table workspace_states that another program made: "
                             "choose another database.name"});
  }
  if (present.schema > newest) {
    throw SqlError("", Error{ErrorKind::kInvalid,
                             fmt::format("its schema {} is newer than this program, which knows "
                                         "schema {}: run the newer provisioner that wrote it, or "
                                         "restore a backup from before the upgrade",
                                         present.schema, newest)});
  }
}

Task<> apply_missing(Connection& connection, std::span<const Migration> migrations,
                     BootInstant deadline) {
  co_await connection.script(
      fmt::format("SET lock_timeout = 0; SELECT pg_advisory_lock({})", kSchemaLock), deadline);
  // Another instance may have done it meanwhile.
  const Present present = co_await look(connection, deadline);
  const auto newest = static_cast<std::int64_t>(migrations.size());
  refuse_unknown(present, newest);
  if (!present.ours) {
    co_await connection.script(
        "CREATE TABLE schema_migrations (version BIGINT PRIMARY KEY, name TEXT NOT NULL, "
        "applied_at TIMESTAMPTZ NOT NULL DEFAULT now())",
        deadline);
  }
  for (std::int64_t next = present.schema + 1; next <= newest; ++next) {
    const Migration& migration = migrations[static_cast<std::size_t>(next - 1)];
    co_await connection.script(
        fmt::format("BEGIN; {}; INSERT INTO schema_migrations (version, name) VALUES ({}, '{}'); "
                    "COMMIT",
                    migration.sql, next, migration.name),
        deadline);
  }
}

}  // namespace

Task<std::int64_t> migrate(Pool& pool, BootInstant deadline) {
  const auto migrations = all_migrations();
  const auto newest = static_cast<std::int64_t>(migrations.size());
  auto lease = co_await pool.acquire(deadline);
  const Present present = co_await look(*lease, deadline);
  refuse_unknown(present, newest);
  if (present.schema == newest) co_return newest;
  // The lock ends with the connection, whatever happens.
  lease.throw_away();
  co_await apply_missing(*lease, migrations, deadline);
  co_return newest;
}

}  // namespace provisioner::postgres
