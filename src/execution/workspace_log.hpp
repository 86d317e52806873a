// <log directory>/<workspace>.log, for people and grep:
//   2025/09/19 12:04:33 MANUAL DEPLOY: Starting manual deployment
// The store has the complete logs of runs; these files are a convenience and may lose lines when
// the disk is full.
#pragma once

#include <boost/asio/thread_pool.hpp>
#include <cstdint>
#include <filesystem>
#include <string>

#include "base/ids.hpp"
#include "base/time.hpp"
#include "model/run.hpp"
#include "telemetry/log.hpp"

namespace provisioner::execution {

struct WorkspaceLogLimits {
  std::int64_t bytes = 10 * 1024 * 1024;  // then shop.log becomes shop.log.1, and so on
  int files = 5;                          // the current one included
};

// Lines are written in the order of the calls, by a thread of its own: no call blocks. The
// destructor waits for what was handed over.
class WorkspaceLog {
 public:
  WorkspaceLog(std::filesystem::path directory, Logger log, WorkspaceLogLimits limits = {});
  ~WorkspaceLog();

  // Each line of `text` gets the time (in the system's zone) and `subject`, e.g. "MANUAL DEPLOY".
  void write(const WorkspaceName& workspace, Instant at, std::string subject, std::string text);

 private:
  void append(const std::filesystem::path& file, const std::string& lines);

  std::filesystem::path directory_;
  Logger log_;
  WorkspaceLogLimits limits_;
  bool complained_ = false;  // of the writing thread
  boost::asio::thread_pool writer_{1};
};

// "MANUAL DEPLOY", "SCHEDULED DESTROY", "EVENT JOB backup", "MANUAL DEPLOY of JOB database", ...
std::string log_subject(const Run& run);

}  // namespace provisioner::execution
