// The PostgreSQL that an embedded store is copied to.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "runtime/clock.hpp"
#include "runtime/task.hpp"
#include "store/copy/rows.hpp"
#include "store/postgres/connection.hpp"

namespace provisioner::copy {

// Everything throws postgres::SqlError. One transaction of one connection, which the caller throws
// away: what was not committed is not there.
class Target {
 public:
  Target(postgres::Connection& connection, Clock& clock) : connection_(connection), clock_(clock) {}

  // The table's columns; none when there is no such table.
  Task<std::vector<Column>> columns(const std::string& table);

  // Keeps everybody else out of these tables until the end. kConflict when somebody is in them.
  Task<> begin(const std::vector<std::string>& tables);
  Task<std::int64_t> count(const std::string& table);

  // The value of a row of cluster_settings.
  Task<std::optional<std::string>> setting(const std::string& key);
  Task<> set(const std::string& key, const std::string& value);

  // Queued, and sent when enough of it has come together.
  Task<> insert(const Table& table, const Row& row);
  Task<> flush();
  // Numbers that PostgreSQL gives from now on follow those that were copied.
  Task<> number_on(const std::string& table, const std::string& column);

  // What is in the table now.
  Task<Digest> digest(const Table& table);

  Task<> commit();

 private:
  Task<std::vector<postgres::Rows>> ask(const std::vector<postgres::Query>& queries);

  postgres::Connection& connection_;
  Clock& clock_;
  std::vector<Row> rows_;  // what waits refers to their bytes
  std::vector<postgres::Query> waiting_;
  std::size_t waiting_bytes_ = 0;
};

// A row as it can be kept there; counts the texts that had to change.
Row presentable(const Table& table, Row row, std::int64_t& changed);

}  // namespace provisioner::copy
