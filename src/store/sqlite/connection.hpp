// One connection to one SQLite file, used by one thread.
#pragma once

#include <sqlite3.h>

#include <filesystem>
#include <string>
#include <string_view>
#include <unordered_map>

#include "store/sqlite/statement.hpp"

namespace provisioner::sqlite {

// Opens with WAL and synchronous=FULL: a committed transaction survives the loss of power.
// Everything throws SqlError. Prepared statements are kept for the connection's life.
class Connection {
 public:
  explicit Connection(const std::filesystem::path& file);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // A statement of the cache; `sql` is one statement. Not two of the same text at a time.
  Statement sql(std::string_view sql);

  // Several statements, not cached.
  void script(const std::string& sql);

  // False after an error that made SQLite roll the whole transaction back.
  bool in_transaction() const { return sqlite3_get_autocommit(db_) == 0; }

 private:
  struct Cached {
    sqlite3_stmt* statement = nullptr;
    bool in_use = false;
  };
  struct TextHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const {
      return std::hash<std::string_view>()(text);
    }
  };

  sqlite3* db_ = nullptr;
  std::unordered_map<std::string, Cached, TextHash, std::equal_to<>> cache_;
};

}  // namespace provisioner::sqlite
