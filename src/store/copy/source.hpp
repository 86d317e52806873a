// The embedded store that is copied.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "store/copy/rows.hpp"
#include "store/sqlite/connection.hpp"

namespace provisioner::copy {

// Sees the file as it was when it was opened, and changes nothing in it. The caller holds the lock
// of its directory. Everything throws sqlite::SqlError: kCorrupt for a damaged file, kInvalid for
// another schema than this program's.
class Source {
 public:
  explicit Source(const std::filesystem::path& file);

  std::vector<std::string> tables();
  std::vector<std::string> columns(const std::string& table);
  std::int64_t count(const std::string& table);

  // Runs that nobody has ended yet: "deploy of shop (01J...)".
  std::vector<std::string> unfinished_attempts();

  // Where the next row of a table comes from.
  class Reader {
   public:
    Reader(sqlite::Connection& connection, const Table& table);
    std::optional<Row> next();

   private:
    const Table& table_;
    sqlite::Statement statement_;
  };
  // In the order in which the rows were made, where that matters.
  Reader read(const Table& table) { return {connection_, table}; }

 private:
  sqlite::Connection connection_;
};

}  // namespace provisioner::copy
