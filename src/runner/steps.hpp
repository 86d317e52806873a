// The steps of a run, in their order: init, plan, apply, or the commands that a workspace has
// instead of them. Knows what to start and what its end means; not how the attempt lives.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "model/run.hpp"
#include "runner/attempt_directory.hpp"
#include "runner/init_cache.hpp"
#include "runner/log_spool.hpp"
#include "runner/process.hpp"
#include "runner/protocol.hpp"
#include "runner/stop.hpp"
#include "runtime/clock.hpp"
#include "tofu/output.hpp"

namespace provisioner::runner {

class Steps {
 public:
  struct Parts {
    boost::asio::any_io_executor loop;
    Clock& clock;
    Reaper& reaper;
    int starter = -1;  // as Process::start takes it
    Course& course;
    LogSpool& log;
    const Assignment& assignment;
    AttemptDirectory directory;
    std::map<std::string, std::string> environment;  // of every child, whole
  };
  explicit Steps(Parts parts);

  // Runs all steps, or as many as the course allows. Children may still live when it returns.
  Task<AttemptResult> run();

  // Whether init has succeeded (or was not needed) for the present content.
  bool initialised() const { return initialised_; }
  const InitCache& cache() const { return cache_; }

 private:
  // What came of one step.
  struct Outcome {
    std::string step;
    ProcessExit exit;
    tofu::OutputSummary summary;
    std::string tail;  // the last lines of its output
  };
  // Absent: go on. Else the attempt has ended with it.
  using Verdict = std::optional<AttemptResult>;

  Task<Verdict> deploy();
  Task<Verdict> destroy();
  Task<Verdict> init(const std::optional<std::string>& custom);
  Task<Verdict> init_with_tofu();
  Task<Verdict> plan(bool destroy);
  Task<Verdict> plan_once(bool destroy);
  Task<Verdict> apply(bool destroy);

  Task<Result<Outcome>> tofu_step(std::string step, std::vector<std::string> arguments);
  Task<Verdict> shell_step(std::string step, std::string command);
  Task<Result<Outcome>> step(std::string step, Command command);
  // Releases a lock in a backend of the workspace's own that `failed` took and could not release.
  Task<> release_lock(const Outcome& failed);

  Verdict judge(const Result<Outcome>& outcome);
  AttemptResult stopped() const;
  bool is_our_relay(const std::string& host) const;
  std::vector<std::string> environment_list() const;
  Task<Result<int>> lock_plugin_cache();

  Parts parts_;
  InitCache cache_;
  std::string lock_file_before_;
  bool initialised_ = false;
  bool init_left_out_ = false;
  bool began_changes_ = false;
  bool plan_asks_for_init_ = false;             // the last one
  std::optional<tofu::OutputSummary> planned_;  // of the last plan
  ResourceCounts done_;
  std::int64_t last_code_ = 0;
};

}  // namespace provisioner::runner
