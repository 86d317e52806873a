// A statement with its parameters, and the reader of the rows that it returns.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.hpp"
#include "base/time.hpp"
#include "store/postgres/sql_error.hpp"

extern "C" struct pg_result;

namespace provisioner::postgres {

// Bytes to bind as bytea. Not copied: they outlive the round trip.
struct Blob {
  std::string_view bytes;
};

// Texts to bind as text[], for "= ANY($1)".
struct TextArray {
  std::vector<std::string> items;
};

// One parameter as libpq wants it. Texts are sent as text and take the column's type; numbers,
// booleans, instants and bytes are sent binary with the type said.
struct Parameter {
  unsigned type = 0;  // an OID; 0 = the server infers it
  bool null = false;
  bool binary = false;
  std::string value;
  std::string_view blob;  // instead of value, when its data is set

  const char* data() const { return blob.data() != nullptr ? blob.data() : value.c_str(); }
  std::size_t size() const { return blob.data() != nullptr ? blob.size() : value.size(); }
};

// One statement of constant text: it is prepared once a connection and kept.
class Query {
 public:
  template <typename... Values>
  explicit Query(std::string_view sql, const Values&... values) : sql_(sql) {
    parameters_.reserve(sizeof...(values));
    (bind(values), ...);
  }

  // When the statement fails with `sqlstate` the call's answer is `error`, and nothing of the
  // transaction is kept.
  Query& refuse(std::string_view sqlstate, Error error) {
    refusals_.emplace_back(sqlstate, std::move(error));
    return *this;
  }

  template <typename T>
  Query& bind(const std::optional<T>& value) {
    if (value) return bind(*value);
    bind(T{});  // for its type
    parameters_.back().null = true;
    return *this;
  }
  Query& bind(std::int64_t value);
  Query& bind(int value) { return bind(static_cast<std::int64_t>(value)); }
  Query& bind(bool value);
  Query& bind(std::string_view value);
  Query& bind(const std::string& value) { return bind(std::string_view(value)); }
  Query& bind(const char* value) { return bind(std::string_view(value)); }
  Query& bind(Blob value);
  Query& bind(const TextArray& value);
  Query& bind(Instant value);
  Query& bind(std::nullopt_t);
  template <typename Tag>
  Query& bind(const StrongString<Tag>& value) {
    return bind(std::string_view(value.value));
  }
  template <typename Tag>
  Query& bind(StrongInt<Tag> value) {
    return bind(value.value);
  }

  const std::string& sql() const { return sql_; }
  const std::vector<Parameter>& parameters() const { return parameters_; }
  const std::vector<std::pair<std::string, Error>>& refusals() const { return refusals_; }

 private:
  std::string sql_;
  std::vector<Parameter> parameters_;
  std::vector<std::pair<std::string, Error>> refusals_;
};

// Reads the columns of one row from left to right. All results are binary. Throws SqlError
// kInternal when a column is not of the type asked for.
class Row {
 public:
  Row(const pg_result* result, int row) : result_(result), row_(row) {}

  std::int64_t integer();  // int2, int4, int8
  bool boolean();
  std::string text();  // NULL is ""; bytea comes as it is
  Instant instant();
  std::optional<std::int64_t> optional_integer();
  std::optional<Instant> optional_instant();
  std::optional<std::string> optional_text();

  // A column that was parsed.
  template <typename T>
  T checked(Result<T> value) {
    return stored(std::move(value));
  }

  // Strong types: StrongString<...> and StrongInt<...>.
  template <typename T>
  T as() {
    if constexpr (requires(T t) { t.value.size(); }) {
      return T(text());
    } else {
      return T(integer());
    }
  }
  template <typename T>
  std::optional<T> optional_as() {
    if (is_null()) return ++column_, std::nullopt;
    return as<T>();
  }

 private:
  bool is_null() const;
  std::string_view bytes(std::string_view wanted);

  const pg_result* result_;
  int row_;
  int column_ = 0;
};

// What a statement returned. Cheap to copy.
class Rows {
 public:
  Rows() = default;
  explicit Rows(std::shared_ptr<const pg_result> result);

  bool empty() const { return size() == 0; }
  int size() const;
  Row operator[](int row) const { return {result_.get(), row}; }
  // The rows that an INSERT, UPDATE or DELETE changed.
  std::int64_t changed() const { return changed_; }

  class Iterator {
   public:
    Iterator(const Rows* rows, int row) : rows_(rows), row_(row) {}
    Row operator*() const { return (*rows_)[row_]; }
    Iterator& operator++() { return ++row_, *this; }
    friend bool operator==(const Iterator&, const Iterator&) = default;

   private:
    const Rows* rows_;
    int row_;
  };
  Iterator begin() const { return {this, 0}; }
  Iterator end() const { return {this, size()}; }

 private:
  std::shared_ptr<const pg_result> result_;
  std::int64_t changed_ = 0;
};

}  // namespace provisioner::postgres
