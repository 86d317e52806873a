// Work for a cluster under faults, and the judge of what became of it. It watches from outside
// only: a journal that the workspaces' own commands write, the API's answers, the tables.
#pragma once

#include <chrono>
#include <filesystem>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/cluster.hpp"

namespace provisioner::testing {

// What a fault may have done to work in hand.
enum class Harm {
  kNone,        // an attempt that had begun its work is the last one of its run
  kAttempts,    // runners were killed: another attempt may have followed
  kLostCommits  // a number that the store has forgotten may have been given to a second attempt
};

// The workspaces that work goes on in are called w0, w1, ... Of all but the last the "tofu" is a
// shell script that takes an exclusive lock and writes into the journal; the last one is real tofu
// (or terraform) with real state. All have a schedule of every minute; deploys and destroys by hand
// come through a daemon chosen at random, as fast as they are taken.
//
// For a test of its own to deploy: `slow` is a script of 3 s, `brief`, `longer` and `long` are real
// tofu with several steps, of 10 s, of 40 s, and of 5 s times the steps asked for. `watched` is
// touched by its schedule alone.
class Recorder {
 public:
  Recorder(Cluster& cluster, int long_steps);

  bool all_published();  // whether the cluster knows every workspace
  void begin_work();
  // Waits until everything accepted or due has ended.
  void end_work();

  // Orders it of `daemon` until it is accepted; the run, or "" when it never was.
  std::string deploy(int daemon, const std::string& workspace, std::chrono::milliseconds patience);

  // The runs that the API accepted and that were not judged yet.
  std::vector<std::string> accepted();
  // Those of them that the store does not know; nobody is asked for them any more.
  std::vector<std::string> forget_lost();

  std::filesystem::path directory_of(const std::string& run);  // of its first attempt
  int begun_steps(const std::string& run) const;               // by all its attempts
  // How many runs have ended so far; work goes on where this grows.
  int ended_runs();

  // What is wrong; "" = nothing. Of an installation at rest.
  std::string judge(Harm done = Harm::kNone);

 private:
  static constexpr int kWorkspaces = 5;

  void add(const std::string& name, Json config, const std::string& tf = "");
  void add_script(const std::string& name, Json config, const std::string& seconds);
  void add_steps(const std::string& name, int count, int seconds);
  void work(const std::stop_token& stop);
  bool is_at_rest();
  void judge_runs(Harm done, std::string& wrong);
  void judge_journal(Harm done, std::string& wrong);
  void judge_ledger(std::string& wrong);
  void judge_states(std::string& wrong);

  Cluster& cluster_;
  int workspaces_ = 0;
  std::string scripts_;  // the names of those without real tofu, quoted
  std::mutex mutex_;
  std::vector<std::string> accepted_;
  std::string since_ = "0";  // runs up to this number were judged already
  std::jthread worker_;
};

// What a runner that slept through its lease would still send, by somebody who read its claim in
// the directory of its attempt: a state.
http::Request late_write(const std::filesystem::path& attempt);

}  // namespace provisioner::testing
