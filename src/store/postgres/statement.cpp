#include "store/postgres/statement.hpp"

#include <fmt/format.h>
#include <libpq-fe.h>

#include <bit>
#include <charconv>
#include <cstring>
#include <limits>

namespace provisioner::postgres {
namespace {

// PostgreSQL's own numbers of its types (pg_type.dat); they never change.
constexpr unsigned kBool = 16, kBytea = 17, kInt8 = 20, kInt2 = 21, kInt4 = 23, kTextArray = 1009,
                   kTimestamptz = 1184, kJsonb = 3802;

// Its timestamps count microseconds from here.
constexpr std::int64_t kEpoch2000 = 946'684'800'000'000;
constexpr std::int64_t kMinusInfinity = std::numeric_limits<std::int64_t>::min();
constexpr std::int64_t kInfinity = std::numeric_limits<std::int64_t>::max();

template <typename Integer>
std::string big_endian(Integer value) {
  std::string bytes(sizeof value, '\0');
  for (std::size_t i = 0; i < sizeof value; ++i) {
    bytes[sizeof value - 1 - i] = static_cast<char>(value >> (8 * i));
  }
  return bytes;
}

std::int64_t from_big_endian(std::string_view bytes) {
  // The sign is that of the first byte.
  std::int64_t value = static_cast<signed char>(bytes.front());
  for (const char c : bytes.substr(1)) value = value * 256 + static_cast<unsigned char>(c);
  return value;
}

// The length of the UTF-8 sequence that `text` begins with; 0 when there is none.
std::size_t sequence_length(std::string_view text) {
  const auto at = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = at(0);
  if (first == 0) return 0;
  if (first < 0x80) return 1;
  const std::size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((at(i) & 0xC0) != 0x80) return 0;
  }
  const unsigned char second = at(1);
  if ((first == 0xE0 && second < 0xA0) || (first == 0xED && second > 0x9F) ||
      (first == 0xF0 && second < 0x90) || (first == 0xF4 && second > 0x8F)) {
    return 0;
  }
  return length;
}

// PostgreSQL's text holds neither NUL nor broken UTF-8, and a program's last words may have both.
std::string presentable(std::string_view text) {
  std::string good;
  good.reserve(text.size());
  while (!text.empty()) {
    const std::size_t length = sequence_length(text);
    if (length == 0) {
      good += "\xEF\xBF\xBD";  // U+FFFD
      text.remove_prefix(1);
    } else {
      good += text.substr(0, length);
      text.remove_prefix(length);
    }
  }
  return good;
}

}  // namespace

Query& Query::bind(std::int64_t value) {
  parameters_.push_back(
      {.type = kInt8, .binary = true, .value = big_endian(static_cast<std::uint64_t>(value))});
  return *this;
}

Query& Query::bind(bool value) {
  parameters_.push_back({.type = kBool, .binary = true, .value = std::string(1, value ? 1 : 0)});
  return *this;
}

Query& Query::bind(std::string_view value) {
  parameters_.push_back({.value = presentable(value)});
  return *this;
}

Query& Query::bind(Blob value) {
  parameters_.push_back(
      {.type = kBytea,
       .binary = true,
       .blob = value.bytes.data() == nullptr ? std::string_view("") : value.bytes});
  return *this;
}

Query& Query::bind(const TextArray& value) {
  std::string text = "{";
  for (const std::string& item : value.items) {
    if (text.size() > 1) text += ',';
    text += '"';
    for (const char c : presentable(item)) {
      if (c == '"' || c == '\\') text += '\\';
      text += c;
    }
    text += '"';
  }
  parameters_.push_back({.type = kTextArray, .value = text + "}"});
  return *this;
}

Query& Query::bind(Instant value) {
  std::int64_t micros = kMinusInfinity;
  if (value == Instant::max()) {
    micros = kInfinity;
  } else if (to_micros(value) > kMinusInfinity + kEpoch2000) {
    micros = to_micros(value) - kEpoch2000;
  }
  parameters_.push_back({.type = kTimestamptz,
                         .binary = true,
                         .value = big_endian(static_cast<std::uint64_t>(micros))});
  return *this;
}

Query& Query::bind(std::nullopt_t) {
  parameters_.push_back({.null = true});
  return *this;
}

bool Row::is_null() const { return PQgetisnull(result_, row_, column_) != 0; }

std::string_view Row::bytes(std::string_view wanted) {
  if (column_ >= PQnfields(result_) || is_null()) {
    throw SqlError("", Error{ErrorKind::kInternal,
                             fmt::format("column {} ({}) is not {}: it is missing or NULL", column_,
                                         column_ < PQnfields(result_) ? PQfname(result_, column_)
                                                                      : "beyond the last",
                                         wanted)});
  }
  return {PQgetvalue(result_, row_, column_),
          static_cast<std::size_t>(PQgetlength(result_, row_, column_))};
}

std::int64_t Row::integer() {
  const std::string_view value = bytes("an integer");
  const unsigned type = PQftype(result_, column_);
  if (type != kInt8 && type != kInt4 && type != kInt2) {
    throw SqlError("", Error{ErrorKind::kInternal, fmt::format("column {} is of type {}, not an "
                                                               "integer",
                                                               PQfname(result_, column_), type)});
  }
  ++column_;
  return from_big_endian(value);
}

bool Row::boolean() {
  const std::string_view value = bytes("a boolean");
  ++column_;
  return value.size() == 1 && value[0] != 0;
}

std::string Row::text() {
  if (is_null()) return ++column_, "";
  std::string_view value = bytes("a text");
  // jsonb begins with the version of its format.
  if (PQftype(result_, column_) == kJsonb && !value.empty()) value.remove_prefix(1);
  ++column_;
  return std::string(value);
}

Instant Row::instant() {
  const std::string_view value = bytes("an instant");
  if (PQftype(result_, column_) != kTimestamptz) {
    throw SqlError("", Error{ErrorKind::kInternal, fmt::format("column {} is not a timestamptz",
                                                               PQfname(result_, column_))});
  }
  ++column_;
  const std::int64_t micros = from_big_endian(value);
  if (micros == kMinusInfinity) return Instant::min();
  if (micros > kInfinity - kEpoch2000) return Instant::max();
  return from_micros(micros + kEpoch2000);
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

Rows::Rows(std::shared_ptr<const pg_result> result) : result_(std::move(result)) {
  // libpq's function lacks the const.
  const std::string_view tuples = PQcmdTuples(const_cast<pg_result*>(result_.get()));
  std::from_chars(tuples.data(), tuples.data() + tuples.size(), changed_);
}

int Rows::size() const { return result_ ? PQntuples(result_.get()) : 0; }

}  // namespace provisioner::postgres
