#include "base/error.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <system_error>

namespace provisioner {

std::string_view to_string(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kInvalid: return "invalid";
    case ErrorKind::kNotFound: return "not_found";
    case ErrorKind::kConflict: return "conflict";
    case ErrorKind::kVersionConflict: return "version_conflict";
    case ErrorKind::kFenced: return "fenced";
    case ErrorKind::kUnavailable: return "unavailable";
    case ErrorKind::kAmbiguous: return "ambiguous";
    case ErrorKind::kTimeout: return "timeout";
    case ErrorKind::kCancelled: return "cancelled";
    case ErrorKind::kDenied: return "denied";
    case ErrorKind::kIo: return "io";
    case ErrorKind::kCorrupt: return "corrupt";
    case ErrorKind::kInternal: return "internal";
  }
  return "internal";
}

std::unexpected<Error> fail(ErrorKind kind, std::string message) {
  return std::unexpected(Error{kind, std::move(message)});
}

std::unexpected<Error> fail(std::string_view doing, Error error) {
  return std::unexpected(Error{error.kind, fmt::format("{}: {}", doing, error.message)});
}

std::unexpected<Error> fail_errno(std::string_view doing, int error_number) {
  ErrorKind kind = ErrorKind::kIo;
  if (error_number == ENOENT) kind = ErrorKind::kNotFound;
  if (error_number == EACCES || error_number == EPERM || error_number == EROFS) {
    kind = ErrorKind::kDenied;
  }
  return std::unexpected(
      Error{kind, fmt::format("{}: {}", doing, std::generic_category().message(error_number))});
}

}  // namespace provisioner
