// Every command of `provisioner`, from arguments to exit code.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "base/error.hpp"

namespace provisioner::cli {

// What `migrate copy` is asked for.
struct CopyWish {
  std::map<std::string, std::string> flags;  // of the daemon's settings
  std::string to;                            // a URL; "" = the database of the settings
  bool dry_run = false;
};

// What `migrate import` is asked for.
struct ImportWish {
  std::map<std::string, std::string> flags;  // of the daemon's settings
  std::string from;                          // "" = the state directory of the settings
  bool dry_run = false;
};

// What only the composition (app/) can do.
struct Programs {
  using Program = std::function<int(std::map<std::string, std::string> flags)>;
  Program serve;
  Program release_leadership;                                            // `cluster release`
  std::function<Result<std::string>(const CopyWish&)> migrate_copy;      // JSON: what was copied
  std::function<Result<std::string>(const ImportWish&)> migrate_import;  // JSON: what was imported
};

// Runs the command that the arguments name and returns the exit code (exit_code.hpp). Invoked under
// a name of the file-based version (`workspacectl`) it takes the verbs of that noun directly.
int run_command_line(int argc, const char* const* argv, const Programs& programs);

// The version of this build: "0.1.0".
const char* version();

}  // namespace provisioner::cli
