// Runs that do nothing (every command is `true`) through queue, guard, runner and store, beside the
// least that the same work needs: as many processes started, as many commits, as many at a time.
#include <fmt/format.h>

#include <atomic>
#include <filesystem>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <vector>

#include "bench/raw_sqlite.hpp"
#include "bench/system/shared/api.hpp"
#include "bench/system/shared/figure.hpp"
#include "bench/system/shared/observed.hpp"
#include "tests/support/daemon.hpp"
#include "tests/support/eventually.hpp"

namespace provisioner::bench {
namespace {

using std::chrono::steady_clock;
using testing::eventually;
using testing::Installation;

constexpr int kWorkspaces = 60;
constexpr int kRounds = 3;
constexpr int kAtATime = 4;
// What a run cannot do without: queued, claimed, registered, its log, its result.
constexpr int kCommits = 5;
constexpr int kSteps = 3;

std::string name_of(int i) { return fmt::format("nothing-{:02}", i); }

class Ours {
 public:
  Ours() : api_(installation_.state_dir() / "provisioner.sock") {
    installation_.environment["PROVISIONER_EXECUTION_CAPACITY"] = fmt::format("{}", kAtATime);
    const Json config = {
        {"custom_deploy",
         {{"init_command", "true"}, {"plan_command", "true"}, {"apply_command", "true"}}}};
    for (int i = 0; i < kWorkspaces; ++i) installation_.add_workspace(name_of(i), config);
    installation_.start();
    const bool loaded = eventually(std::chrono::seconds(30), [&] {
      return api_.get("/api/v1/workspaces")["items"].size() == kWorkspaces;
    });
    if (!loaded) throw std::runtime_error("the workspaces were not loaded\n" + installation_.log());
  }

  // Runs a second, from the first request to the last result.
  double rate() {
    const auto start = steady_clock::now();
    std::vector<std::string> runs;
    for (int i = 0; i < kWorkspaces; ++i) runs.push_back(api_.deploy(name_of(i)));
    for (const auto& run : runs) {
      const Json ended = api_.follow(run);
      if (ended["status"] != "succeeded") {
        throw std::runtime_error(ended.dump(2) + installation_.log());
      }
    }
    return kWorkspaces / seconds_since(start);
  }

 private:
  Installation installation_;
  Api api_;
};

class Peer {
 public:
  explicit Peer(bool trampolines)
      : trampolines_(trampolines),
        store_(directory_ / "peer.db"),
        guard_(testing::built("provisioner-guard")),
        runner_(testing::built("provisioner-runner")) {}

  double rate() {
    const auto start = steady_clock::now();
    std::atomic<int> next = 0;
    std::vector<std::thread> workers;
    for (int i = 0; i < kAtATime; ++i) {
      workers.emplace_back([&] {
        while (next++ < kWorkspaces) one_run();
      });
    }
    for (auto& worker : workers) worker.join();
    return kWorkspaces / seconds_since(start);
  }

 private:
  void one_run() {
    for (int i = 0; i < kCommits; ++i) {
      const std::lock_guard lock(mutex_);
      store_.commit();
    }
    run_quietly({guard_});  // refuses, having started
    run_quietly({runner_});
    for (int i = 0; i < kSteps; ++i) {
      if (trampolines_) run_quietly({guard_});
      run_quietly({"/bin/sh", "-c", "true"});
    }
  }

  bool trampolines_;
  testing::TempDirectory directory_;
  RawSqlite store_;
  std::mutex mutex_;
  std::string guard_;
  std::string runner_;
};

void measure() {
  Ours ours;
  Peer peer(true);
  Peer without_trampolines(false);
  ours.rate();
  peer.rate();
  std::vector<double> rates, peers, narrower;
  for (int round = 0; round < kRounds; ++round) {
    rates.push_back(ours.rate());
    peers.push_back(peer.rate());
    narrower.push_back(without_trampolines.rate());
  }
  print({.name = "runs that do nothing",
         .unit = "runs/s",
         .ours = median(rates),
         .peer_name = "same starts and commits",
         .peer = median(peers),
         .target = 0.6,
         .of_ratio = true,
         .at_least = true,
         .note = fmt::format(
             "{} runs a round, medians of {} rounds in turn, {} at a time; the peer starts guard, "
             "runner, {} shells and for each the program that watches it, and commits {} times a "
             "run; without the programs that watch: {:.0f} runs/s, ratio {:.2f}; {}",
             kWorkspaces, kRounds, kAtATime, kSteps, kCommits, median(narrower),
             median(rates) / median(narrower), load_average())});
}

}  // namespace
}  // namespace provisioner::bench

int main() { provisioner::bench::measure(); }
