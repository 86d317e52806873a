// Runs through a real PostgreSQL, with two instances on it: how soon a request becomes a runner, by
// the instance that took the request and by the other one; and runs that do nothing, beside as many
// process starts and commits.
#include <fmt/format.h>
#include <libpq-fe.h>
#include <time.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <map>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "bench/system/shared/api.hpp"
#include "bench/system/shared/figure.hpp"
#include "bench/system/shared/observed.hpp"
#include "tests/support/daemon.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/postgres.hpp"

namespace provisioner::bench {
namespace {

namespace fs = std::filesystem;
using std::chrono::steady_clock;
using testing::eventually;
using testing::Installation;
using testing::PostgresServer;

constexpr int kWorkspaces = 60;
constexpr int kRounds = 3;
constexpr int kAtATime = 4;
// What a run cannot do without: queued, claimed, registered, its log, its result.
constexpr int kCommits = 5;
constexpr int kSteps = 3;
constexpr int kRequests = 100;
constexpr auto kPatience = std::chrono::seconds(60);

std::string name_of(int i) { return fmt::format("nothing-{:02}", i); }

// As a production server, apart from its size.
PostgresServer& server() {
  static PostgresServer server({"fsync=on", "full_page_writes=on", "shared_buffers=128MB"});
  return server;
}

// A daemon whose runs start a program in tofu's place.
class Instance {
 public:
  Instance(const std::string& id, const std::string& database, const std::string& mode)
      : api_(installation_.state_dir() / "provisioner.sock"),
        tofu_(installation_.root() / "recorder" / "tofu") {
    fs::create_directories(tofu_.parent_path());
    fs::copy_file(testing::built("stand_in_tofu"), tofu_);
    auto& environment = installation_.environment;
    environment["INSTANCE_ID"] = id;
    environment["PROVISIONER_TOFU_BINARY"] = tofu_.string();
    environment["PROVISIONER_EXECUTION_CAPACITY"] = fmt::format("{}", kAtATime);
    environment["PROVISIONER_EXECUTION_MODE"] = mode;
    environment["DATABASE_HOST"] = PostgresServer::kHost;
    environment["DATABASE_PORT"] = std::to_string(server().port());
    environment["DATABASE_NAME"] = database;
    environment["DATABASE_USER"] = PostgresServer::kUser;
    environment["DATABASE_PASSWORD"] = PostgresServer::kPassword;
    const Json nothing = {
        {"custom_deploy",
         {{"init_command", "true"}, {"plan_command", "true"}, {"apply_command", "true"}}}};
    for (int i = 0; i < kWorkspaces; ++i) installation_.add_workspace(name_of(i), nothing);
    installation_.add_workspace("asked", Json::object());
    installation_.start();
    const bool loaded = eventually(kPatience, [&] {
      return api_.get("/api/v1/workspaces")["items"].size() == kWorkspaces + 1;
    });
    if (!loaded) throw std::runtime_error("the workspaces were not loaded\n" + installation_.log());
  }

  Api& api() { return api_; }
  std::string log() const { return installation_.log(); }
  int stop() { return installation_.stop_daemon(); }

  // When the first program of each run began, in nanoseconds of CLOCK_REALTIME.
  std::map<std::string, std::int64_t> first_starts() const {
    std::map<std::string, std::int64_t> starts;
    std::ifstream journal(tofu_.string() + ".journal");
    std::string run, workspace, argument;
    for (std::int64_t at = 0; journal >> at >> run >> workspace >> argument;) {
      starts.try_emplace(run, at);
    }
    return starts;
  }

 private:
  Installation installation_;
  Api api_;
  fs::path tofu_;
};

std::int64_t nanoseconds_now() {
  timespec t{};
  clock_gettime(CLOCK_REALTIME, &t);
  return t.tv_sec * 1'000'000'000L + t.tv_nsec;
}

void deploy_to_the_end(Instance& asked, const std::string& run) {
  const Json ended = asked.api().follow(run);
  if (ended["status"] != "succeeded") throw std::runtime_error(ended.dump(2) + asked.log());
}

// From a request at `asked` to the start of tofu at `starting`, one run after the other.
void measure_latency(const std::string& whose, Instance& asked, Instance& starting) {
  std::map<std::string, std::int64_t> requested;
  for (int i = 0; i < kRequests; ++i) {
    const std::int64_t at = nanoseconds_now();
    const std::string run = asked.api().deploy("asked");
    requested.emplace(run, at);
    deploy_to_the_end(asked, run);
    std::this_thread::sleep_for(std::chrono::milliseconds(30));
  }
  std::vector<double> spent;
  const auto starts = starting.first_starts();
  for (const auto& [run, at] : requested) {
    spent.push_back(static_cast<double>(starts.at(run) - at) / 1e6);
  }
  const auto note =
      fmt::format("{} requests, one at a time: p90 {:.1f}, max {:.1f} ms; {}", kRequests,
                  percentile(spent, 0.9), percentile(spent, 1), load_average());
  print({.name = fmt::format("PostgreSQL, request to tofu started by {} (p50)", whose),
         .unit = "ms",
         .ours = median(spent),
         .target = 20,
         .note = note});
  print({.name = fmt::format("PostgreSQL, request to tofu started by {} (p99)", whose),
         .unit = "ms",
         .ours = percentile(spent, 0.99),
         .target = 60,
         .note = ""});
}

// The peer of everything that is stored: a durable commit of a row, prepared, on a connection of
// its own.
class RawPostgres {
 public:
  explicit RawPostgres(const std::string& database)
      : connection_(PQconnectdb(fmt::format("host={} port={} dbname={} user={} password='{}' "
                                            "options='-c client_min_messages=warning'",
                                            PostgresServer::kHost, server().port(), database,
                                            PostgresServer::kUser, PostgresServer::kPassword)
                                    .c_str())) {
    check(PQexec(connection_,
                 "CREATE TABLE IF NOT EXISTS peer (id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY "
                 "KEY, text TEXT NOT NULL)"));
    check(PQprepare(connection_, "insert", "INSERT INTO peer (text) VALUES ($1)", 1, nullptr));
  }
  ~RawPostgres() { PQfinish(connection_); }
  RawPostgres(const RawPostgres&) = delete;
  RawPostgres& operator=(const RawPostgres&) = delete;

  void commit() {
    const char* values[] = {text_.c_str()};
    check(PQexecPrepared(connection_, "insert", 1, values, nullptr, nullptr, 0));
  }

 private:
  void check(PGresult* result) {
    const auto status = PQresultStatus(result);
    PQclear(result);
    if (status != PGRES_COMMAND_OK) throw std::runtime_error(PQerrorMessage(connection_));
  }

  PGconn* connection_;
  std::string text_ = std::string(400, 'r');
};

class Peer {
 public:
  Peer(const std::string& database, bool trampolines)
      : trampolines_(trampolines),
        guard_(testing::built("provisioner-guard")),
        runner_(testing::built("provisioner-runner")) {
    for (int i = 0; i < kAtATime; ++i) {
      stores_.push_back(std::make_unique<RawPostgres>(database));
    }
  }

  double rate() {
    const auto start = steady_clock::now();
    std::atomic<int> next = 0;
    std::vector<std::thread> workers;
    for (const auto& store : stores_) {
      workers.emplace_back([&] {
        while (next++ < kWorkspaces) one_run(*store);
      });
    }
    for (auto& worker : workers) worker.join();
    return kWorkspaces / seconds_since(start);
  }

 private:
  void one_run(RawPostgres& store) const {
    for (int i = 0; i < kCommits; ++i) store.commit();
    run_quietly({guard_});  // refuses, having started
    run_quietly({runner_});
    for (int i = 0; i < kSteps; ++i) {
      if (trampolines_) run_quietly({guard_});
      run_quietly({"/bin/sh", "-c", "true"});
    }
  }

  bool trampolines_;
  std::string guard_;
  std::string runner_;
  std::vector<std::unique_ptr<RawPostgres>> stores_;
};

// Runs a second, from the first request to the last result.
double rate_of(Instance& leader) {
  const auto start = steady_clock::now();
  std::vector<std::string> runs;
  for (int i = 0; i < kWorkspaces; ++i) runs.push_back(leader.api().deploy(name_of(i)));
  for (const auto& run : runs) deploy_to_the_end(leader, run);
  return kWorkspaces / seconds_since(start);
}

void measure_noop_runs(Instance& leader, const std::string& database) {
  Peer peer(database, true);
  Peer without_trampolines(database, false);
  rate_of(leader);
  peer.rate();
  std::vector<double> rates, peers, narrower;
  for (int round = 0; round < kRounds; ++round) {
    rates.push_back(rate_of(leader));
    peers.push_back(peer.rate());
    narrower.push_back(without_trampolines.rate());
  }
  print({.name = "PostgreSQL, runs that do nothing",
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

void measure() {
  const std::string database = server().take_database();
  // The first one leads; only the leader starts runs.
  Instance leader("leader", database, "leader");
  if (!eventually(kPatience,
                  [&] { return leader.api().get("/api/v1/cluster")["leader"] == "leader"; })) {
    throw std::runtime_error("nobody leads\n" + leader.log());
  }
  {
    Instance other("other", database, "leader");
    measure_latency("the same instance", leader, leader);
    measure_latency("another instance", other, leader);
    other.stop();
  }
  measure_noop_runs(leader, database);
  leader.stop();
}

}  // namespace
}  // namespace provisioner::bench

int main() { provisioner::bench::measure(); }
