#include "store/copy/target.hpp"

#include <fmt/format.h>

#include <utility>

namespace provisioner::copy {
namespace {

using postgres::Query;
using postgres::SqlError;

constexpr Duration kRoundTrip = std::chrono::minutes(10);
// So much is sent at a time.
constexpr std::size_t kMostRows = 500;
constexpr std::size_t kMostBytes = std::size_t{4} << 20;
// Of them so many are read at a time: a row may hold a state of many megabytes.
constexpr int kRowsRead = 50;

Kind kind_of(const std::string& column, const std::string& type) {
  if (type == "bigint" || type == "integer") return Kind::kInteger;
  if (type == "boolean") return Kind::kBoolean;
  if (type == "timestamp with time zone") return Kind::kInstant;
  if (type == "bytea") return Kind::kBytes;
  if (type == "jsonb") return Kind::kJson;
  if (type == "text" || type == "uuid" || type.starts_with("character varying")) return Kind::kText;
  throw SqlError("",
                 Error{ErrorKind::kInternal,
                       fmt::format("column {} is of type {}, which is not copied", column, type)});
}

// With the types said: what is bound must become what the column is.
Query insertion(const Table& table) {
  std::string names, places;
  for (std::size_t i = 0; i < table.columns.size(); ++i) {
    names += fmt::format("{}\"{}\"", i == 0 ? "" : ", ", table.columns[i].name);
    places += fmt::format("{}${}", i == 0 ? "" : ", ", i + 1);
  }
  return Query(fmt::format("INSERT INTO \"{}\" ({}) OVERRIDING SYSTEM VALUE VALUES ({})",
                           table.name, names, places));
}

void bind_value(Query& query, Kind kind, const Value& value) {
  if (const auto* number = std::get_if<std::int64_t>(&value)) {
    if (kind == Kind::kBoolean) {
      query.bind(*number != 0);
    } else if (kind == Kind::kInstant) {
      query.bind(from_micros(*number));
    } else {
      query.bind(*number);
    }
  } else if (const auto* text = std::get_if<std::string>(&value)) {
    if (kind == Kind::kBytes) {
      query.bind(postgres::Blob{*text});
    } else {
      query.bind(*text);
    }
  } else {
    query.bind(std::nullopt);
  }
}

std::string selection(const Table& table) {
  std::string names;
  for (const Column& column : table.columns) {
    const bool as_text = column.kind == Kind::kText || column.kind == Kind::kJson;
    names +=
        fmt::format("{}\"{}\"{}", names.empty() ? "" : ", ", column.name, as_text ? "::text" : "");
  }
  return fmt::format("SELECT {} FROM \"{}\"", names, table.name);
}

Value read(postgres::Row& row, Kind kind) {
  switch (kind) {
    case Kind::kInteger:
      if (const auto number = row.optional_integer()) return *number;
      break;
    case Kind::kBoolean:
      // NULL where a boolean may be NULL; there is none yet.
      return static_cast<std::int64_t>(row.boolean());
    case Kind::kInstant:
      if (const auto instant = row.optional_instant()) return to_micros(*instant);
      break;
    case Kind::kText:
    case Kind::kBytes:
      if (auto text = row.optional_text()) return *std::move(text);
      break;
    case Kind::kJson:
      if (const auto text = row.optional_text()) return canonical_json(*text);
      break;
  }
  return {};
}

std::size_t size_of(const Row& row) {
  std::size_t size = 0;
  for (const Value& value : row) {
    if (const auto* text = std::get_if<std::string>(&value)) size += text->size();
  }
  return size;
}

}  // namespace

Row presentable(const Table& table, Row row, std::int64_t& changed) {
  // Binding a text is what makes it so.
  for (std::size_t i = 0; i < row.size(); ++i) {
    auto* text = std::get_if<std::string>(&row[i]);
    if (text == nullptr || table.columns[i].kind == Kind::kBytes) continue;
    std::string kept = Query("", *text).parameters().front().value;
    if (kept != *text) ++changed;
    *text = table.columns[i].kind == Kind::kJson ? canonical_json(kept) : std::move(kept);
  }
  return row;
}

Task<std::vector<postgres::Rows>> Target::ask(const std::vector<Query>& queries) {
  co_return co_await connection_.round_trip(queries, clock_.boot_now() + kRoundTrip);
}

Task<std::vector<Column>> Target::columns(const std::string& table) {
  const auto answers = co_await ask(
      {Query("SELECT attname::text, format_type(atttypid, NULL) FROM pg_attribute WHERE attrelid = "
             "to_regclass($1) AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
             table)});
  std::vector<Column> found;
  for (postgres::Row row : answers.at(0)) {
    std::string name = row.text();
    const std::string type = row.text();
    if (type == "xid8") continue;  // who wrote the row last is nothing to copy
    const Kind kind = kind_of(name, type);
    found.push_back({std::move(name), kind});
  }
  co_return found;
}

Task<> Target::begin(const std::vector<std::string>& tables) {
  std::string names;
  for (const auto& table : tables)
    names += fmt::format("{}\"{}\"", names.empty() ? "" : ", ", table);
  Query lock(fmt::format("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE", names));
  lock.refuse("55P03", {ErrorKind::kConflict,
                        "somebody works in the database: stop every daemon that uses it"});
  std::vector<Query> queries;
  queries.emplace_back("BEGIN");
  // A source on a slow disk may take its time.
  queries.emplace_back("SET LOCAL idle_in_transaction_session_timeout = '10min'");
  queries.push_back(std::move(lock));
  co_await ask(queries);
}

Task<std::int64_t> Target::count(const std::string& table) {
  const auto answers = co_await ask({Query(fmt::format("SELECT count(*) FROM \"{}\"", table))});
  co_return answers.at(0)[0].integer();
}

Task<std::optional<std::string>> Target::setting(const std::string& key) {
  const auto answers =
      co_await ask({Query("SELECT value FROM cluster_settings WHERE key = $1", key)});
  if (answers.at(0).empty()) co_return std::nullopt;
  co_return answers.at(0)[0].text();
}

Task<> Target::set(const std::string& key, const std::string& value) {
  co_await ask({Query(
      "INSERT INTO cluster_settings (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET "
      "value = excluded.value",
      key, value)});
}

Task<> Target::insert(const Table& table, const Row& row) {
  if (rows_.capacity() < kMostRows) rows_.reserve(kMostRows);  // they stay where they are
  rows_.push_back(row);
  Query query = insertion(table);
  for (std::size_t i = 0; i < row.size(); ++i) {
    bind_value(query, table.columns[i].kind, rows_.back()[i]);
  }
  waiting_.push_back(std::move(query));
  waiting_bytes_ += size_of(row);
  if (rows_.size() == kMostRows || waiting_bytes_ >= kMostBytes) co_await flush();
}

Task<> Target::flush() {
  if (!waiting_.empty()) co_await ask(waiting_);
  waiting_.clear();
  rows_.clear();
  waiting_bytes_ = 0;
}

Task<> Target::number_on(const std::string& table, const std::string& column) {
  co_await ask({Query(fmt::format(
      "SELECT setval(pg_get_serial_sequence('{0}', '{1}'), max({1})) FROM {0} HAVING count(*) > 0",
      table, column))});
}

Task<Digest> Target::digest(const Table& table) {
  const std::string cursor = "copied_" + table.name;
  co_await ask({Query(fmt::format("DECLARE {} CURSOR FOR {}", cursor, selection(table)))});
  Digest digest;
  while (true) {
    const auto answers = co_await ask({Query(fmt::format("FETCH {} FROM {}", kRowsRead, cursor))});
    if (answers.at(0).empty()) break;
    for (postgres::Row from : answers.at(0)) {
      Row row;
      for (const Column& column : table.columns) row.push_back(read(from, column.kind));
      digest.add(row);
    }
  }
  co_await ask({Query(fmt::format("CLOSE {}", cursor))});
  co_return digest;
}

Task<> Target::commit() { co_await ask({Query("COMMIT")}); }

}  // namespace provisioner::copy
