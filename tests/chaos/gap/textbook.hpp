// The textbook's election on the same servers, hit by the same faults.
#pragma once

#include <signal.h>

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/cluster.hpp"
#include "tests/support/program.hpp"

namespace provisioner::testing {

// Three processes (textbook_candidate.cpp) that campaign at the etcd and decide in the PostgreSQL
// of `cluster`, whose own daemons need not run.
class Textbook {
 public:
  static constexpr std::chrono::seconds kTtl{30};
  static constexpr std::chrono::milliseconds kInterval{10};
  static constexpr const char* kDecide = "INSERT INTO textbook (name) VALUES ($1)";

  explicit Textbook(Cluster& cluster);

  // Each returns the gap in ms, and leaves three candidates.
  double stop() { return after(SIGTERM); }
  double kill() { return after(SIGKILL); }
  // The one that was paused goes on after that: what it decides then is late.
  double pause() { return after(SIGSTOP); }

  // Decisions of one that was the leader no longer.
  int late_decisions() const { return late_; }

 private:
  double after(int signal);
  void launch(std::size_t number);
  // The number of the one that has decided last; waits until somebody but `not_this` does.
  std::size_t deciding(const std::string& not_this);
  double number(const std::string& sql);

  Cluster& cluster_;
  std::vector<std::unique_ptr<Background>> candidates_{3};
  int names_ = 0;
  std::vector<std::string> name_of_{3};
  int late_ = 0;
};

}  // namespace provisioner::testing
