// A child on the user's own terminal.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "runtime/task.hpp"

namespace provisioner::cli {

struct ForegroundCommand {
  std::vector<std::string> words;                  // the program's absolute path and its arguments
  std::map<std::string, std::string> environment;  // whole
  std::filesystem::path directory;
  std::filesystem::path output;  // not empty: both streams go into this file, and there is no input
};

// Runs it to its end; its exit code, or 128 + the signal that ended it. Meanwhile what the terminal
// sends (SIGINT, SIGQUIT, SIGHUP) is for the child, whose affair it is how to end; a SIGTERM to
// this process is handed on to it. One at a time. Main thread only.
Task<Result<int>> run_in_foreground(ForegroundCommand command);

}  // namespace provisioner::cli
