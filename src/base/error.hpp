// Errors are values. Every call that can fail and crosses a room returns Result<T>.
#pragma once

#include <expected>
#include <string>
#include <string_view>

namespace provisioner {

// What a program decides by. The sentence for people is Error::message.
enum class ErrorKind {
  kInvalid,          // the input is wrong; repeating it cannot help
  kNotFound,         // the named thing does not exist
  kConflict,         // somebody else holds it or changed it first (busy, exists, locked)
  kVersionConflict,  // optimistic locking: the row's version is not the one given
  kFenced,           // the caller's term or attempt is stale: stop, do not retry
  kUnavailable,      // a dependency is away for now; retrying may help
  kAmbiguous,        // sent, but the outcome is unknown: look it up before repeating
  kTimeout,          // the deadline passed
  kCancelled,        // somebody asked to stop
  kDenied,           // not allowed
  kIo,               // the operating system said no (disk full, permission)
  kCorrupt,          // stored data contradicts itself
  kInternal,         // a bug of ours
};

std::string_view to_string(ErrorKind kind);

struct Error {
  ErrorKind kind = ErrorKind::kInternal;
  std::string message;  // what, where, why and, where it can be known, what to do

  friend bool operator==(const Error&, const Error&) = default;
};

template <typename T>
using Result = std::expected<T, Error>;

using Status = Result<void>;

// return fail(ErrorKind::kInvalid, fmt::format("minute {} is outside 0-59", 75)) fits every
// Result<T>.
std::unexpected<Error> fail(ErrorKind kind, std::string message);

// Passes an error on, with what was being done in front: "reading a.json: no such file".
std::unexpected<Error> fail(std::string_view doing, Error error);

// The error of the last system call: "opening a.json: No such file or directory".
// ENOENT is kNotFound, EACCES, EPERM and EROFS are kDenied, the rest is kIo.
std::unexpected<Error> fail_errno(std::string_view doing, int error_number);

}  // namespace provisioner
