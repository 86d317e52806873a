// Rows of any table on their way from the embedded store to PostgreSQL.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace provisioner::copy {

// What a column holds, by its type in PostgreSQL.
enum class Kind { kText, kInteger, kBoolean, kInstant, kBytes, kJson };

struct Column {
  std::string name;
  Kind kind = Kind::kText;
};

struct Table {
  std::string name;
  std::vector<Column> columns;
};

// NULL, a number (booleans are 0 or 1, instants microseconds since 1970), or bytes.
using Value = std::variant<std::monostate, std::int64_t, std::string>;
using Row = std::vector<Value>;

// JSON in the one way in which all equal values are written: PostgreSQL's jsonb keeps neither
// spaces nor the order of keys. Text that is no JSON stays as it is.
std::string canonical_json(const std::string& text);

// What was in a table, in whatever order it was read.
class Digest {
 public:
  void add(const Row& row);

  std::int64_t rows() const { return static_cast<std::int64_t>(hashes_.size()); }
  std::int64_t bytes() const { return bytes_; }
  std::string hex();  // SHA-256 over all rows

  // How many rows are in only one of the two.
  static std::int64_t differing(Digest& a, Digest& b);

 private:
  using Hash = std::array<unsigned char, 32>;
  std::vector<Hash>& sorted();

  std::vector<Hash> hashes_;
  std::int64_t bytes_ = 0;
};

}  // namespace provisioner::copy
