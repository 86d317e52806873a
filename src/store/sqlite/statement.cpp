#include "store/sqlite/statement.hpp"

#include <fmt/format.h>

namespace provisioner::sqlite {
namespace {

ErrorKind kind_of(int code) {
  switch (code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_NOMEM: return ErrorKind::kUnavailable;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB: return ErrorKind::kCorrupt;
    case SQLITE_FULL:
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH: return ErrorKind::kIo;
    case SQLITE_TOOBIG: return ErrorKind::kInvalid;
    default: return ErrorKind::kInternal;
  }
}

std::string_view advice(int code) {
  switch (code & 0xff) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB: return kRecoveryAdvice;
    case SQLITE_FULL: return "free space on the disk; nothing of this transaction was kept";
    case SQLITE_BUSY:
    case SQLITE_LOCKED: return "another program holds the file: close it";
    default: return "";
  }
}

}  // namespace

void throw_sql_error(sqlite3* db, std::string_view doing) {
  const int code = sqlite3_extended_errcode(db);
  std::string message = fmt::format("{}: {} ({})", doing, sqlite3_errmsg(db), code);
  if (const auto what_to_do = advice(code); !what_to_do.empty()) {
    message += fmt::format(": {}", what_to_do);
  }
  throw SqlError(code, Error{kind_of(code), std::move(message)});
}

std::string Row::text() {
  // column_blob gives text as its bytes, and bytes() then needs no conversion.
  const void* bytes = sqlite3_column_blob(statement_, column_);
  const int size = sqlite3_column_bytes(statement_, column_);
  ++column_;
  if (bytes == nullptr) return "";
  return std::string(static_cast<const char*>(bytes), static_cast<std::size_t>(size));
}

std::optional<std::int64_t> Row::optional_integer() {
  if (is_null()) return ++column_, std::nullopt;
  return integer();
}

std::optional<Instant> Row::optional_instant() {
  if (is_null()) return ++column_, std::nullopt;
  return instant();
}

std::optional<std::string> Row::optional_text() {
  if (is_null()) return ++column_, std::nullopt;
  return text();
}

Statement::~Statement() {
  // Both report only the error that step() has thrown already.
  sqlite3_reset(statement_);
  sqlite3_clear_bindings(statement_);
  *in_use_ = false;
}

bool Statement::step() {
  const int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  throw_sql_error(sqlite3_db_handle(statement_), "the store's database");
}

void Statement::bind_one(std::int64_t value) {
  check(sqlite3_bind_int64(statement_, ++parameter_, value));
}

void Statement::bind_one(std::string_view value) {
  // An empty view may have no data, which SQLite would bind as NULL.
  const char* data = value.data() == nullptr ? "" : value.data();
  check(sqlite3_bind_text64(statement_, ++parameter_, data, value.size(), SQLITE_TRANSIENT,
                            SQLITE_UTF8));
}

void Statement::bind_one(Blob value) {
  const char* data = value.bytes.data() == nullptr ? "" : value.bytes.data();
  check(sqlite3_bind_blob64(statement_, ++parameter_, data, value.bytes.size(), SQLITE_STATIC));
}

void Statement::bind_one(std::nullopt_t) { check(sqlite3_bind_null(statement_, ++parameter_)); }

void Statement::check(int code) {
  if (code != SQLITE_OK) throw_sql_error(sqlite3_db_handle(statement_), "binding a value");
}

}  // namespace provisioner::sqlite
