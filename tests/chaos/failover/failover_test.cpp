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
    ASSERT_TRUE(eventually(
        kPatience, [] { return cluster_->sql("SELECT 1 FROM workspace_states").size() == 5; }));
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
  void leads_anew_after(Fault fault, std::chrono::milliseconds within = kPatience) {
    const std::int64_t before = cluster_->term();
    const auto begun = std::chrono::steady_clock::now();
    fault(leader_);
    leader_ = cluster_->await_leader(before, within);
    const auto took = std::chrono::steady_clock::now() - begun;
    ASSERT_GE(leader_, 0) << "nobody leads" << logs();
    fmt::print("  term {} after {} ms\n", cluster_->term(),
               std::chrono::duration_cast<std::chrono::milliseconds>(took).count());
    work_goes_on();
  }

  static void work_goes_on() {
    const int before = recorder_->ended_runs();
    ASSERT_TRUE(eventually(kPatience, [&] { return recorder_->ended_runs() >= before + 3; }))
        << logs();
  }

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
    const int old = leader_;
    leads_anew_after([&](int leader) { cluster_->kill_with_parent(leader); });
    cluster_->start(old);
  }
}

TEST_F(Failover, TheLeaderIsStoppedInGoodOrder) {
  for (int i = 0; i < rounds(); ++i) {
    const int old = leader_;
    leads_anew_after([&](int leader) { EXPECT_EQ(cluster_->stop(leader), 0) << logs(); });
    cluster_->start(old);
  }
}

TEST_F(Failover, TheLeaderIsPausedForThreeLeases) {
  for (int i = 0; i < rounds(); ++i) {
    const int old = leader_;
    const auto end = std::chrono::steady_clock::now() + 3 * kTtl;
    leads_anew_after([&](int leader) { cluster_->pause(leader); });
    const std::int64_t term = cluster_->term();
    std::this_thread::sleep_until(end);
    cluster_->resume(old);
    EXPECT_TRUE(
        eventually(kPatience, [&] { return cluster_->ask(old, "GET", "/leader").status == 503; }));
    EXPECT_EQ(cluster_->term(), term)
        << "the one who wakes up leaves the new leader alone" << logs();
    work_goes_on();
  }
}

TEST_F(Failover, TheLeaderIsCutOffEtcd) {
  for (int i = 0; i < rounds(); ++i) {
    const int old = leader_;
    leads_anew_after([&](int leader) { cluster_->cut_etcd(leader); });
    EXPECT_NE(leader_, old);
    cluster_->heal(old);
  }
}

TEST_F(Failover, TheLeaderIsCutOffPostgres) {
  for (int i = 0; i < rounds(); ++i) {
    const int old = leader_;
    leads_anew_after([&](int leader) { cluster_->cut_postgres(leader); });
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
                                    "CREATE", "--limit", "1", "-w", "json"}));
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
                                    "--sort-by", "CREATE", "--limit", "1"});
      cluster_->etcd().etcdctl({"del", out.substr(0, out.find('\n'))});
    });
  }
}

}  // namespace
}  // namespace provisioner::testing
