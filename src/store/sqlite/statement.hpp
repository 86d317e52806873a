// A prepared statement while it is in use, and the reader of its rows.
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <exception>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "base/ids.hpp"
#include "base/time.hpp"

namespace provisioner::sqlite {

// Thrown by every call into SQLite that fails, and by rows that contradict the schema. It stays
// inside this room: the owner thread turns it into the Error of the call.
class SqlError : public std::exception {
 public:
  SqlError(int code, Error error) : code_(code), error_(std::move(error)) {}

  int code() const { return code_; }  // SQLite's extended result code
  const Error& error() const { return error_; }
  const char* what() const noexcept override { return error_.message.c_str(); }

 private:
  int code_;
  Error error_;
};

// What a person can do about a damaged file.
inline constexpr std::string_view kRecoveryAdvice =
    "stop the daemon, then restore the file from a backup, or save what can be read with `sqlite3 "
    "<file> .recover | sqlite3 <new file>`";

// Throws the last error of `db`.
[[noreturn]] void throw_sql_error(sqlite3* db, std::string_view doing);

// The value of a column that was parsed; a wrong one is SqlError kCorrupt.
template <typename T>
T stored(Result<T> value) {
  if (!value) throw SqlError(SQLITE_CORRUPT, Error{ErrorKind::kCorrupt, value.error().message});
  return *std::move(value);
}

// Bytes to bind as BLOB. They are not copied: they outlive the statement's execution.
struct Blob {
  std::string_view bytes;
};

// Reads the columns of the present row from left to right.
class Row {
 public:
  explicit Row(sqlite3_stmt* statement) : statement_(statement) {}

  std::int64_t integer() { return sqlite3_column_int64(statement_, column_++); }
  bool boolean() { return integer() != 0; }
  std::string text();  // NULL is ""; BLOBs come as they are
  Instant instant() { return from_micros(integer()); }
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
  bool is_null() { return sqlite3_column_type(statement_, column_) == SQLITE_NULL; }

  sqlite3_stmt* statement_;
  int column_ = 0;
};

// Borrows a cached statement; gives it back reset, with its bindings cleared.
class Statement {
 public:
  Statement(sqlite3_stmt* statement, bool& in_use) : statement_(statement), in_use_(&in_use) {}
  ~Statement();
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  // Binds the parameters from the first on.
  template <typename... Values>
  Statement& bind(const Values&... values) {
    (bind_one(values), ...);
    return *this;
  }

  // True when there is a row to read.
  bool step();
  Row row() { return Row(statement_); }

  // Executes to the end; the number of rows it changed.
  template <typename... Values>
  std::int64_t run(const Values&... values) {
    bind(values...);
    while (step()) {
    }
    return sqlite3_changes64(sqlite3_db_handle(statement_));
  }

 private:
  void bind_one(std::int64_t value);
  void bind_one(int value) { bind_one(static_cast<std::int64_t>(value)); }
  void bind_one(bool value) { bind_one(static_cast<std::int64_t>(value)); }
  void bind_one(std::string_view value);
  void bind_one(const std::string& value) { bind_one(std::string_view(value)); }
  void bind_one(const char* value) { bind_one(std::string_view(value)); }
  void bind_one(Blob value);
  void bind_one(Instant value) { bind_one(to_micros(value)); }
  void bind_one(std::nullopt_t);
  template <typename Tag>
  void bind_one(const StrongString<Tag>& value) {
    bind_one(std::string_view(value.value));
  }
  template <typename Tag>
  void bind_one(StrongInt<Tag> value) {
    bind_one(value.value);
  }
  template <typename T>
  void bind_one(const std::optional<T>& value) {
    if (value) {
      bind_one(*value);
    } else {
      bind_one(std::nullopt);
    }
  }
  void check(int code);

  sqlite3_stmt* statement_;
  bool* in_use_;
  int parameter_ = 0;
};

}  // namespace provisioner::sqlite
