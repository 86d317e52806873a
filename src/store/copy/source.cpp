#include "store/copy/source.hpp"

#include <fmt/format.h>

#include "store/sqlite/schema.hpp"

namespace provisioner::copy {
namespace {

std::string select(const Table& table) {
  std::string names;
  for (const Column& column : table.columns) {
    names += fmt::format("{}\"{}\"", names.empty() ? "" : ", ", column.name);
  }
  // Its order is a column of its own in PostgreSQL.
  return fmt::format("SELECT {} FROM \"{}\"{}", names, table.name,
                     table.name == "config_changes" ? " ORDER BY rowid" : "");
}

std::vector<std::string> texts(sqlite::Connection& connection, const std::string& sql) {
  std::vector<std::string> all;
  auto query = connection.sql(sql);
  while (query.step()) all.push_back(query.row().text());
  return all;
}

}  // namespace

Source::Source(const std::filesystem::path& file) : connection_(file) {
  sqlite::check_integrity(connection_);
  const std::int64_t schema = sqlite::present_schema(connection_);
  const std::int64_t newest = sqlite::newest_schema();
  if (schema != newest) {
    throw sqlite::SqlError(
        SQLITE_ERROR,
        Error{ErrorKind::kInvalid,
              fmt::format("its schema {} is not the {} of this program: {}", schema, newest,
                          schema < newest ? "let the daemon of this version start and stop on it "
                                            "once, which migrates it"
                                          : "run the newer provisioner that wrote it")});
  }
  connection_.script("BEGIN");
}

std::vector<std::string> Source::tables() {
  return texts(connection_,
               "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'");
}

std::vector<std::string> Source::columns(const std::string& table) {
  return texts(connection_, fmt::format("SELECT name FROM pragma_table_info('{}')", table));
}

std::int64_t Source::count(const std::string& table) {
  auto query = connection_.sql(fmt::format("SELECT count(*) FROM \"{}\"", table));
  query.step();
  return query.row().integer();
}

std::vector<std::string> Source::unfinished_attempts() {
  return texts(
      connection_,
      "SELECT operation || ' of ' || workspace || ' (' || id || ')' FROM runs WHERE status "
      "= 'running' ORDER BY seq");
}

Source::Reader::Reader(sqlite::Connection& connection, const Table& table)
    : table_(table), statement_(connection.sql(select(table))) {}

std::optional<Row> Source::Reader::next() {
  if (!statement_.step()) return std::nullopt;
  sqlite::Row columns = statement_.row();
  Row row;
  for (const Column& column : table_.columns) {
    const bool is_number = column.kind == Kind::kInteger || column.kind == Kind::kBoolean ||
                           column.kind == Kind::kInstant;
    Value value;
    if (is_number) {
      if (const auto number = columns.optional_integer()) value = *number;
    } else if (auto text = columns.optional_text()) {
      value = *std::move(text);
    }
    row.push_back(std::move(value));
  }
  return row;
}

}  // namespace provisioner::copy
