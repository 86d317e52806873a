// Commits of the embedded store. The peer is SQLite itself, called from one thread without anything
// around it, doing as many durable commits of a comparable row: what the disk costs anyway. The
// counter `vs_raw` is store time / raw time for the same number of commits.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstdlib>
#include <stdexcept>
#include <string>

#include "bench/raw_sqlite.hpp"
#include "runtime/random.hpp"
#include "store/sqlite/sqlite_store.hpp"
#include "tests/support/run_task.hpp"
#include "tests/support/temp_directory.hpp"

namespace provisioner {
namespace {

using bench::RawSqlite;
using testing::run_task;
using testing::TempDirectory;
using Seconds = std::chrono::duration<double>;

template <typename T>
T must(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().message);
  if constexpr (!std::is_void_v<T>) return *std::move(result);
}

template <typename Work>
double seconds(Work work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return Seconds(std::chrono::steady_clock::now() - start).count();
}

// A store with `count` workspaces, and the runs that go through it.
class Workspaces {
 public:
  explicit Workspaces(int count)
      : store_(must(open_sqlite_store(loop_.get_executor(), directory_ / "provisioner.db"))) {
    must(run_task(loop_, store_->put_bundle(definition_.bundle, "content")));
    int published = 0;
    for (int i = 0; i < count; ++i) {
      boost::asio::co_spawn(
          loop_,
          store_->publish({.workspace = name(i), .definition = definition_, .schedule_hash = "s"},
                          now_),
          [&](std::exception_ptr, Result<Workspace> done) { published += done.has_value(); });
    }
    settle();
    if (published != count) throw std::runtime_error("not every workspace was published");
  }

  // Three commits one after the other: what a caller waits for.
  void run_once() { must(run_task(loop_, life_of_a_run(0))); }

  // The same of every workspace at once.
  void run_all(int count) {
    int succeeded = 0;
    for (int i = 0; i < count; ++i) {
      boost::asio::co_spawn(loop_, life_of_a_run(i), [&](std::exception_ptr, Status done) {
        succeeded += done.has_value();
      });
    }
    settle();
    if (succeeded != count) throw std::runtime_error("not every run succeeded");
  }

  std::size_t list() { return must(run_task(loop_, store_->workspaces())).size(); }

  std::filesystem::path operator/(const char* file) const { return directory_ / file; }

 private:
  static WorkspaceName name(int i) { return WorkspaceName(fmt::format("workspace-{:05}", i)); }

  void settle() {
    loop_.restart();
    loop_.run();
  }

  Task<Status> life_of_a_run(int i) {
    const NewRun wanted{.id = random_.run_id(now_),
                        .workspace = name(i),
                        .requested_by = "bench",
                        .definition = definition_,
                        .created_at = now_};
    const auto queued = co_await store_->enqueue(wanted, WhenBusy::kRefuse);
    if (!queued) co_return std::unexpected(queued.error());
    const auto claimed = co_await store_->claim_next(
        {.instance = InstanceId("bench"), .claim = random_.claim_id(), .now = now_});
    if (!claimed) co_return std::unexpected(claimed.error());
    co_return co_await store_->finish_attempt((*claimed)->fence, {.status = RunStatus::kSucceeded},
                                              now_);
  }

  TempDirectory directory_;
  boost::asio::io_context loop_;
  SystemRandom random_;
  Instant now_ = from_micros(1'790'000'000'000'000);
  Definition definition_{.config = "{\"deploy_schedule\":\"0 8 * * *\"}",
                         .bundle = BundleHash("bundle"),
                         .inputs_hash = "inputs"};
  std::unique_ptr<Store> store_;
};

void report(benchmark::State& state, double ours, double raw, std::int64_t commits) {
  state.SetItemsProcessed(commits);
  state.counters["vs_raw"] = ours / raw;
  state.counters["raw_commits/s"] = static_cast<double>(commits) / raw;
}

// enqueue, claim, finish; each waits for its commit.
void RunsOneAfterTheOther(benchmark::State& state) {
  Workspaces workspaces(1);
  RawSqlite raw(workspaces / "raw.db");
  double ours = 0;
  double peer = 0;
  std::int64_t commits = 0;
  for (auto _ : state) {
    const double spent = seconds([&] { workspaces.run_once(); });
    state.SetIterationTime(spent);
    ours += spent;
    peer += seconds([&] {
      for (int i = 0; i < 3; ++i) raw.commit();
    });
    commits += 3;
  }
  report(state, ours, peer, commits);
}
BENCHMARK(RunsOneAfterTheOther)->UseManualTime()->MinTime(0.5);

// The same of many workspaces at once: group commit against one commit each.
void RunsAtOnce(benchmark::State& state) {
  constexpr int kRawShare = 10;
  const int count = static_cast<int>(state.range(0));
  Workspaces workspaces(count);
  RawSqlite raw(workspaces / "raw.db");
  double ours = 0;
  double peer = 0;
  std::int64_t commits = 0;
  for (auto _ : state) {
    const double spent = seconds([&] { workspaces.run_all(count); });
    state.SetIterationTime(spent);
    ours += spent;
    // The peer's commits all cost the same: some of them stand for all.
    peer += kRawShare * seconds([&] {
              for (int i = 0; i < 3 * count / kRawShare; ++i) raw.commit();
            });
    commits += 3 * count;
  }
  report(state, ours, peer, commits);
}
BENCHMARK(RunsAtOnce)->Arg(100)->Arg(1000)->UseManualTime()->MinTime(0.5);

// What a start reads.
void LoadTenThousandWorkspaces(benchmark::State& state) {
  Workspaces workspaces(10'000);
  for (auto _ : state) benchmark::DoNotOptimize(workspaces.list());
}
BENCHMARK(LoadTenThousandWorkspaces)->Unit(benchmark::kMillisecond)->MinTime(0.5);

}  // namespace
}  // namespace provisioner
