// Three daemons, three etcd members, PostgreSQL, and a fault at a time, while work goes on. What
// must hold in each: exactly one leader again, work goes on, and the recorder finds nothing wrong.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <cstdlib>

#include "tests/chaos/failover/recorder.hpp"
#include "tests/support/cluster.hpp"
#include "tests/support/eventually.hpp"

namespace provisioner::testing {
namespace {

using namespace std::chrono_literals;

constexpr auto kPatience = 60s;
constexpr auto kTtl = 2s;

int rounds() {
  const char* given = std::getenv("PROVISIONER_TEST_ROUNDS");
  return given != nullptr ? std::atoi(given) : 2;
}

class Failover : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    // A run lives through 30 s without PostgreSQL.
    cluster_ = new Cluster({{"PROVISIONER_RUNS_LEASE", "60s"},
                            {"PROVISIONER_RUNS_HEARTBEAT", "1s"},
                            {"PROVISIONER_RUNS_STOP_ALLOWANCE", "10s"},
                            {"PROVISIONER_RUNS_ON_INTERRUPT", "resume"}});
    recorder_ = new Recorder(*cluster_);
    cluster_->start_all();
    ASSERT_GE(cluster_->await_leader(0, kPatience), 0);
    ASSERT_TRUE(eventually(kPatience, [] {
      return cluster_->sql("SELECT 1 FROM workspace_states").size() == 7;
    })) << logs();
  }
  static void TearDownTestSuite() {
    delete recorder_;
    delete cluster_;
  }

  void SetUp() override {
    recorder_->begin_work();
    leader_ = cluster_->await_leader(0, kPatience);
    ASSERT_GE(leader_, 0) << logs();
  }
  void TearDown() override {
    cluster_->mend();
    try {
      recorder_->end_work();
    } catch (const std::exception& error) {
      ADD_FAILURE() << error.what() << logs();
    }
    EXPECT_EQ(recorder_->judge(runners_were_killed_), "") << logs();
  }

  static std::string logs() {
    std::string all;
    for (int i = 0; i < Cluster::kSize; ++i) {
      all += fmt::format("\n--- daemon {}\n{}", cluster_->name(i), cluster_->log(i));
    }
    return all;
  }

  // Another term than the one before `fault`, of whomever; and the work goes on under it.
  template <typename Fault>
  void leads_anew_after(Fault fault) {
    changes_leader(fault);
    work_goes_on();
  }
  template <typename Fault>
  void changes_leader(Fault fault) {
    ASSERT_GE(leader_ = cluster_->await_leader(0, kPatience), 0) << logs();
    const std::int64_t before = cluster_->term();
    const auto begun = std::chrono::steady_clock::now();
    fault(leader_);
    leader_ = cluster_->await_leader(before, kPatience);
    const auto took = std::chrono::steady_clock::now() - begun;
    ASSERT_GE(leader_, 0) << "nobody leads" << logs();
    fmt::print("  term {} after {} ms\n", cluster_->term(),
               std::chrono::duration_cast<std::chrono::milliseconds>(took).count());
  }

  static void work_goes_on() {
    const int before = recorder_->ended_runs();
    ASSERT_TRUE(eventually(kPatience, [&] { return recorder_->ended_runs() >= before + 3; }))
        << logs();
  }

  std::string begun_deploy(const std::string& workspace);
  Json ended(const std::string& run);

  static Cluster* cluster_;
  static Recorder* recorder_;
  int leader_ = -1;
  bool runners_were_killed_ = false;
};
Cluster* Failover::cluster_ = nullptr;
Recorder* Failover::recorder_ = nullptr;

TEST_F(Failover, TheLeadersDaemonIsKilled) {
  for (int i = 0; i < rounds(); ++i) {
    leads_anew_after([&](int leader) { cluster_->kill_daemon(leader); });
  }
}

TEST_F(Failover, TheLeaderIsKilledWithItsParent) {
  for (int i = 0; i < rounds(); ++i) {
    int old = -1;
    leads_anew_after([&](int leader) { cluster_->kill_with_parent(old = leader); });
    cluster_->start(old);
  }
}

TEST_F(Failover, TheLeaderIsStoppedInGoodOrder) {
  for (int i = 0; i < rounds(); ++i) {
    int old = -1;
    leads_anew_after([&](int leader) { EXPECT_EQ(cluster_->stop(old = leader), 0) << logs(); });
    cluster_->start(old);
  }
}

// That it writes nothing when it wakes up, the recorder judges.
TEST_F(Failover, TheLeaderIsPausedForThreeLeases) {
  for (int i = 0; i < rounds(); ++i) {
    int old = -1;
    const auto end = std::chrono::steady_clock::now() + 3 * kTtl;
    leads_anew_after([&](int leader) { cluster_->pause(old = leader); });
    EXPECT_NE(leader_, old);
    std::this_thread::sleep_until(end);
    const std::size_t said = cluster_->log(old).size();
    cluster_->resume(old);
    EXPECT_TRUE(eventually(kPatience, [&] {
      return cluster_->log(old).find("not leading: ", said) != std::string::npos;
    })) << logs();
    work_goes_on();
  }
}

TEST_F(Failover, TheLeaderIsCutOffEtcd) {
  for (int i = 0; i < rounds(); ++i) {
    int old = -1;
    leads_anew_after([&](int leader) { cluster_->cut_etcd(old = leader); });
    EXPECT_NE(leader_, old);
    cluster_->heal(old);
  }
}

TEST_F(Failover, TheLeaderIsCutOffPostgres) {
  for (int i = 0; i < rounds(); ++i) {
    int old = -1;
    leads_anew_after([&](int leader) { cluster_->cut_postgres(old = leader); });
    EXPECT_NE(leader_, old);
    cluster_->heal(old);
  }
}

TEST_F(Failover, EtcdsLeaderIsKilled) {
  for (int i = 0; i < rounds(); ++i) {
    const int member = cluster_->etcd().leader();
    cluster_->etcd().kill(member);
    std::this_thread::sleep_for(kTtl);
    cluster_->etcd().start(member);
    ASSERT_GE(cluster_->await_leader(0, kPatience), 0) << logs();
    work_goes_on();
  }
}

TEST_F(Failover, PostgresIsRestarted) {
  for (int i = 0; i < rounds(); ++i) {
    cluster_->postgres().stop();
    cluster_->postgres().start();
    ASSERT_GE(cluster_->await_leader(0, kPatience), 0) << logs();
    work_goes_on();
  }
}

TEST_F(Failover, SessionsInPostgresAreTerminated) {
  for (int i = 0; i < 10 * rounds(); ++i) {
    cluster_->sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
        "AND pid <> pg_backend_pid() AND random() < 0.5");
    std::this_thread::sleep_for(100ms);
  }
  ASSERT_GE(cluster_->await_leader(0, kPatience), 0) << logs();
  work_goes_on();
}

TEST_F(Failover, TheLeaseIsRevokedByHand) {
  for (int i = 0; i < rounds(); ++i) {
    leads_anew_after([&](int) {
      const Json key = Json::parse(
          cluster_->etcd().etcdctl({"get", "--prefix", "/provisioner/election/", "--sort-by",
                                    "CREATE", "--order", "ASCEND", "--limit", "1", "-w", "json"}));
      cluster_->etcd().etcdctl(
          {"lease", "revoke", fmt::format("{:x}", key["kvs"][0]["lease"].get<std::int64_t>())});
    });
  }
}

TEST_F(Failover, TheElectionsKeyIsDeletedByHand) {
  for (int i = 0; i < rounds(); ++i) {
    leads_anew_after([&](int) {
      const std::string out =
          cluster_->etcd().etcdctl({"get", "--prefix", "/provisioner/election/", "--keys-only",
                                    "--sort-by", "CREATE", "--order", "ASCEND", "--limit", "1"});
      cluster_->etcd().etcdctl({"del", out.substr(0, out.find('\n'))});
    });
  }
}

// The run of a deploy that has begun its work.
std::string Failover::begun_deploy(const std::string& workspace) {
  std::string run;
  EXPECT_TRUE(eventually(kPatience, [&] {
    const auto answer = cluster_->ask(leader_, "POST",
                                      fmt::format("/api/v1/workspaces/{}/deploy", workspace), "{}");
    if (answer.status == 202) run = Json::parse(answer.body)["id"];
    return !run.empty();
  }));
  EXPECT_TRUE(eventually(kPatience, [&] { return recorder_->has_begun(run); })) << logs();
  return run;
}

Json Failover::ended(const std::string& run) {
  Json seen;
  EXPECT_TRUE(eventually(2 * kPatience,
                         [&] {
                           const auto answer = cluster_->ask(leader_, "GET", "/api/v1/runs/" + run);
                           if (answer.status == 200) seen = Json::parse(answer.body);
                           return seen.is_object() && seen["status"] != "queued" &&
                                  seen["status"] != "running";
                         }))
      << seen << logs();
  return seen;
}

TEST_F(Failover, ARunnerIsKilled) {
  runners_were_killed_ = true;
  for (int i = 0; i < rounds(); ++i) {
    const std::string run = begun_deploy("slow");
    for (const pid_t runner : cluster_->processes_of(run, "provisioner-runner")) {
      kill(runner, SIGKILL);
    }
    const Json end = ended(run);
    EXPECT_EQ(end["status"], "succeeded") << end << logs();
    EXPECT_EQ(end["attempt"], 2) << end;
  }
}

TEST_F(Failover, ARunnerAndItsDaemonAreKilledTogether) {
  runners_were_killed_ = true;
  for (int i = 0; i < rounds(); ++i) {
    const std::string run = begun_deploy("slow");
    leads_anew_after([&](int leader) {
      cluster_->kill_daemon(leader);
      for (const pid_t runner : cluster_->processes_of(run, "provisioner-runner")) {
        kill(runner, SIGKILL);
      }
    });
    const Json end = ended(run);
    EXPECT_EQ(end["status"], "succeeded") << end << logs();
    EXPECT_EQ(end["attempt"], 2) << end;
  }
}

TEST_F(Failover, PostgresIsAwayForHalfAMinuteDuringAnApply) {
  const std::string run = begun_deploy("long");
  const auto back = std::chrono::steady_clock::now() + 30s;
  cluster_->postgres().stop();
  for (int i = 0; i < Cluster::kSize; ++i) {
    const auto answer = cluster_->ask(i, "GET", "/api/v1/workspaces", "", 30s);
    EXPECT_EQ(answer.status, 503) << answer.body;
    EXPECT_TRUE(answer.headers.contains("Retry-After"));
    EXPECT_EQ(cluster_->ask(i, "GET", "/health").status, 200);
  }
  std::this_thread::sleep_until(back);
  cluster_->postgres().start();
  ASSERT_GE(leader_ = cluster_->await_leader(0, kPatience), 0) << logs();
  const Json end = ended(run);
  EXPECT_EQ(end["status"], "succeeded") << end << logs();
  EXPECT_EQ(end["attempt"], 1) << end;
  work_goes_on();
}

TEST_F(Failover, ALongApplySeesThreeLeadersAndARollingRestartAndSucceedsAtOnce) {
  const std::string run = begun_deploy("long");
  for (int i = 0; i < 3; ++i) {
    leads_anew_after([&](int leader) { cluster_->kill_daemon(leader); });
  }
  for (int i = 0; i < Cluster::kSize; ++i) {
    EXPECT_EQ(cluster_->stop(i), 0) << logs();
    cluster_->start(i);
  }
  ASSERT_GE(leader_ = cluster_->await_leader(0, kPatience), 0) << logs();
  const Json before = Json::parse(cluster_->ask(leader_, "GET", "/api/v1/runs/" + run).body);
  EXPECT_EQ(before["status"], "running") << "it must still be at work for this to prove anything";
  const Json end = ended(run);
  EXPECT_EQ(end["status"], "succeeded") << end << logs();
  EXPECT_EQ(end["attempt"], 1) << end;
}

// A row that somebody holds, until told otherwise.
class HeldRow {
 public:
  HeldRow(Cluster& cluster, std::string workspace, std::string name)
      : cluster_(cluster), name_(std::move(name)), session_([this, workspace] {
          try {
            cluster_.sql(
                fmt::format("BEGIN; SELECT 1 FROM workspace_states WHERE name = '{}' FOR "
                            "UPDATE; SELECT pg_sleep(120) AS {}; ROLLBACK",
                            workspace, name_));
          } catch (const std::runtime_error&) {
          }  // ended by free()
        }) {}
  ~HeldRow() { free(); }

  bool is_held() { return any("pid IN ({}) AND wait_event = 'PgSleep'"); }
  bool waits() { return any("pid IN ({}) AND wait_event_type = 'Lock'"); }
  // Whether a statement that names `who` waits for this one.
  bool keeps(std::string_view who) {
    return any(fmt::format("pg_blocking_pids(pid) && ARRAY({{}}) AND query LIKE '%{}%'", who));
  }
  void free() {
    if (!session_.joinable()) return;
    cluster_.sql(fmt::format(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid IN ({})", me()));
    session_.join();
  }

 private:
  std::string me() const {
    return fmt::format(
        "SELECT pid FROM pg_stat_activity WHERE query LIKE '%AS {};%' AND pid <> "
        "pg_backend_pid()",
        name_);
  }
  bool any(const std::string& condition) {
    return !cluster_
                .sql("SELECT 1 FROM pg_stat_activity WHERE " +
                     fmt::format(fmt::runtime(condition), me()))
                .empty();
  }

  Cluster& cluster_;
  std::string name_;
  std::jthread session_;
};

// I2: what the old leader sent before its pause is done after the new one has claimed its term. A
// busy machine may be too slow for the old one's statement, which waits for 5 s only: some tries
// may miss.
TEST_F(Failover, AWriteThatArrivesAfterTheNextTermIsRefusedAndLogged) {
  bool is_refused = false;
  for (int i = 0; i < 5 && !is_refused; ++i) {
    ASSERT_GE(leader_ = cluster_->await_leader(0, kPatience), 0);
    const int old = leader_;
    const int other = (old + 1) % Cluster::kSize;
    // The row passes from the first holder to the command, then to the second: the leader finds the
    // run, and its claim of it has to wait.
    HeldRow first(*cluster_, "slow", "first_holder");
    ASSERT_TRUE(eventually(kPatience, [&] { return first.is_held(); }));
    http::Response answer;
    std::jthread command([&] {
      answer = cluster_->ask(other, "POST", "/api/v1/workspaces/slow/deploy", "{}", 30s);
    });
    ASSERT_TRUE(eventually(kPatience, [&] { return first.keeps("workspace"); }));
    HeldRow second(*cluster_, "slow", "second_holder");
    ASSERT_TRUE(eventually(kPatience, [&] { return second.waits(); }));
    first.free();
    command.join();
    ASSERT_EQ(answer.status, 202) << answer.body;
    const std::string run = Json::parse(answer.body)["id"];
    ASSERT_TRUE(eventually(kPatience, [&] {
      return second.is_held() && second.keeps("workspace");
    })) << logs();
    const std::string refusal = fmt::format("a claim was refused: term {} ", cluster_->term());
    changes_leader([&](int) { cluster_->pause(old); });
    second.free();
    cluster_->resume(old);
    const Json end = ended(run);
    EXPECT_EQ(end["status"], "succeeded") << end << logs();
    is_refused = cluster_->log(old).find(refusal) != std::string::npos;
  }
  EXPECT_TRUE(is_refused) << logs();
}

}  // namespace
}  // namespace provisioner::testing
