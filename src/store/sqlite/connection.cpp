#include "store/sqlite/connection.hpp"

#include <fmt/format.h>

namespace provisioner::sqlite {
namespace {

// Another program may read or copy the file for this long before a call fails.
constexpr int kBusyMilliseconds = 2000;

}  // namespace

Connection::Connection(const std::filesystem::path& file) {
  const int code =
      sqlite3_open_v2(file.c_str(), &db_, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nullptr);
  try {
    if (code != SQLITE_OK) throw_sql_error(db_, fmt::format("opening {}", file.native()));
    sqlite3_extended_result_codes(db_, 1);
    sqlite3_busy_timeout(db_, kBusyMilliseconds);
    script(
        "PRAGMA journal_mode = WAL;"
        "PRAGMA synchronous = FULL;"
        "PRAGMA foreign_keys = ON;"
        "PRAGMA temp_store = MEMORY;"
        "PRAGMA cache_size = -32768;"
        "PRAGMA journal_size_limit = 67108864;");
  } catch (...) {
    sqlite3_close(db_);
    throw;
  }
}

Connection::~Connection() {
  for (auto& [text, cached] : cache_) sqlite3_finalize(cached.statement);
  sqlite3_close(db_);
}

Statement Connection::sql(std::string_view sql) {
  auto found = cache_.find(sql);
  if (found == cache_.end()) {
    sqlite3_stmt* statement = nullptr;
    if (sqlite3_prepare_v3(db_, sql.data(), static_cast<int>(sql.size()), SQLITE_PREPARE_PERSISTENT,
                           &statement, nullptr) != SQLITE_OK) {
      throw_sql_error(db_, fmt::format("preparing \"{}\"", sql));
    }
    found = cache_.emplace(std::string(sql), Cached{statement, false}).first;
  }
  Cached& cached = found->second;
  if (cached.in_use) {
    throw SqlError(SQLITE_MISUSE,
                   Error{ErrorKind::kInternal, fmt::format("used twice at a time: \"{}\"", sql)});
  }
  cached.in_use = true;
  return {cached.statement, cached.in_use};
}

void Connection::script(const std::string& sql) {
  if (sqlite3_exec(db_, sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) {
    throw_sql_error(db_, "the store's database");
  }
}

}  // namespace provisioner::sqlite
