// The peer of everything that is stored: SQLite called from one thread without anything around it,
// one durable commit of a row after the other, with the pragmas of the store.
#pragma once

#include <sqlite3.h>

#include <filesystem>
#include <stdexcept>
#include <string>

namespace provisioner::bench {

// Throws when SQLite does not do what it is told. One thread at a time.
class RawSqlite {
 public:
  explicit RawSqlite(const std::filesystem::path& file) {
    check(sqlite3_open(file.c_str(), &db_));
    check(sqlite3_exec(db_,
                       "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
                       "CREATE TABLE runs (id INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT",
                       nullptr, nullptr, nullptr));
    check(sqlite3_prepare_v2(db_, "INSERT INTO runs (text) VALUES (?)", -1, &insert_, nullptr));
  }
  ~RawSqlite() {
    sqlite3_finalize(insert_);
    sqlite3_close(db_);
  }
  RawSqlite(const RawSqlite&) = delete;
  RawSqlite& operator=(const RawSqlite&) = delete;

  void commit() {
    check(
        sqlite3_bind_text(insert_, 1, text_.data(), static_cast<int>(text_.size()), SQLITE_STATIC));
    if (sqlite3_step(insert_) != SQLITE_DONE) throw std::runtime_error(sqlite3_errmsg(db_));
    check(sqlite3_reset(insert_));
  }

 private:
  void check(int code) {
    if (code != SQLITE_OK) throw std::runtime_error(sqlite3_errmsg(db_));
  }

  sqlite3* db_ = nullptr;
  sqlite3_stmt* insert_ = nullptr;
  std::string text_ = std::string(400, 'r');
};

}  // namespace provisioner::bench
