#include "cli/exit_code.hpp"

#include <fmt/format.h>

#include <cstdio>

namespace provisioner::cli {

ExitCode exit_code(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kInvalid: return kUsage;
    case ErrorKind::kNotFound: return kNotFound;
    case ErrorKind::kConflict:
    case ErrorKind::kVersionConflict:
    case ErrorKind::kFenced: return kConflict;
    case ErrorKind::kUnavailable:
    case ErrorKind::kTimeout:
    case ErrorKind::kAmbiguous: return kUnreachable;
    case ErrorKind::kCancelled:
    case ErrorKind::kDenied:
    case ErrorKind::kIo:
    case ErrorKind::kCorrupt:
    case ErrorKind::kInternal: return kFailed;
  }
  return kFailed;
}

int report(const Error& error) {
  fmt::print(stderr, "provisioner: {}\n", error.message);
  return exit_code(error.kind);
}

}  // namespace provisioner::cli
