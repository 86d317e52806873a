// What goes wrong inside this room. It stays here: the store turns it into the Error of the call.
#pragma once

#include <exception>
#include <string>

#include "base/error.hpp"

namespace provisioner::postgres {

// Thrown by everything that talks to the server, and by rows that contradict the schema.
class SqlError : public std::exception {
 public:
  SqlError(std::string sqlstate, Error error)
      : sqlstate_(std::move(sqlstate)), error_(std::move(error)) {}

  // Five letters of PostgreSQL's appendix A; "" when the connection was lost without a word, or
  // when the error is not the server's.
  const std::string& sqlstate() const { return sqlstate_; }
  const Error& error() const { return error_; }
  const char* what() const noexcept override { return error_.message.c_str(); }

 private:
  std::string sqlstate_;
  Error error_;
};

// A statement found what Query::refuse() had foreseen: the answer of the call, not a failure.
class Refusal : public std::exception {
 public:
  explicit Refusal(Error error) : error_(std::move(error)) {}

  const Error& error() const { return error_; }
  const char* what() const noexcept override { return error_.message.c_str(); }

 private:
  Error error_;
};

// The SQLSTATEs with which a transaction refuses itself: require_leader() and require_one_row() of
// the schema.
inline constexpr const char* kNotLeader = "PV001";
inline constexpr const char* kNotOneRow = "PV002";

// The value of a column that was parsed; a wrong one is SqlError kCorrupt.
template <typename T>
T stored(Result<T> value) {
  if (!value) throw SqlError("", Error{ErrorKind::kCorrupt, value.error().message});
  return *std::move(value);
}

}  // namespace provisioner::postgres
