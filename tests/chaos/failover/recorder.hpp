// Work for a cluster under faults, and the judge of what became of it. It watches from outside
// only: a journal that the workspaces' own commands write, the API's answers, the tables.
#pragma once

#include <atomic>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/cluster.hpp"

namespace provisioner::testing {

// Of all workspaces but one the "tofu" is a shell script that takes an exclusive lock and writes
// into the journal; the last one is real tofu (or terraform) with real state. All have a schedule
// of every minute; deploys and destroys by hand come through a daemon chosen at random, as fast as
// they are taken.
class Recorder {
 public:
  explicit Recorder(Cluster& cluster);

  void begin_work();
  // Waits until everything accepted has ended.
  void end_work();

  bool has_begun(const std::string& run) const;
  // How many runs have ended so far; work goes on where this grows.
  int ended_runs();

  // What is wrong; "" = nothing. Of an installation at rest. An attempt that had begun its
  // work is the last one, unless `runners_were_killed`.
  std::string judge(bool runners_were_killed = false);

 private:
  static constexpr int kWorkspaces = 5;

  void work(const std::stop_token& stop);
  void judge_runs(bool runners_were_killed, std::string& wrong);
  void judge_journal(std::string& wrong);
  void judge_ledger(std::string& wrong);
  void judge_states(std::string& wrong);

  Cluster& cluster_;
  std::mutex mutex_;
  std::vector<std::string> accepted_;
  std::string since_ = "0";  // runs up to this number were judged already
  std::jthread worker_;
};

}  // namespace provisioner::testing
