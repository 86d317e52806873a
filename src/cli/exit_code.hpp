// Exit codes, the same for every command.
#pragma once

#include "base/error.hpp"

namespace provisioner::cli {

enum ExitCode : int {
  kDone = 0,
  kFailed = 1,  // the operation was tried and failed
  kUsage = 2,
  kNotFound = 3,
  kConflict = 4,  // somebody else holds it, or it changed meanwhile
  kUnreachable = 5,
};

ExitCode exit_code(ErrorKind kind);

// Prints "provisioner: <message>" to standard error and returns the error's code.
int report(const Error& error);

}  // namespace provisioner::cli
