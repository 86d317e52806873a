// The daemon's parent: what it does when one of the two dies, judged by processes and by the keys
// in a real etcd.
#include <gtest/gtest.h>
#include <signal.h>

#include <charconv>
#include <chrono>
#include <optional>

#include "base/text.hpp"
#include "tests/support/daemon.hpp"
#include "tests/support/etcd.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/postgres.hpp"

namespace provisioner::testing {
namespace {

using namespace std::chrono_literals;

std::optional<pid_t> child_of(pid_t parent) {
  const std::string pid = std::to_string(parent);
  const std::string children = read_file("/proc/" + pid + "/task/" + pid + "/children");
  pid_t child = 0;
  const auto [end, error] =
      std::from_chars(children.data(), children.data() + children.size(), child);
  if (error != std::errc()) return std::nullopt;
  return child;
}

bool lives(pid_t pid) { return !command_of(pid).empty(); }

class Supervision : public ::testing::Test {
 protected:
  Supervision() { installation_.environment["PROVISIONER_SUPERVISE"] = "on"; }

  pid_t parent() { return installation_.daemon().pid(); }
  pid_t daemon() {
    std::optional<pid_t> child;
    EXPECT_TRUE(eventually(30s, [&] { return (child = child_of(parent())).has_value(); }));
    return child.value_or(-1);
  }

  Installation installation_;
};

TEST_F(Supervision, AKilledDaemonIsStartedAgain) {
  installation_.start();
  const pid_t first = daemon();
  kill(first, SIGKILL);
  ASSERT_TRUE(eventually(60s, [&] {
    return child_of(parent()).value_or(first) != first &&
           installation_.command({"cluster", "status"}).code == 0;
  })) << installation_.log();
  EXPECT_NE(installation_.log().find("the daemon was ended by signal 9 (Killed)"),
            std::string::npos);
  EXPECT_EQ(installation_.stop_daemon(), 0) << installation_.log();
}

TEST_F(Supervision, ASignalForTheParentIsForTheDaemon) {
  installation_.start();
  const pid_t child = daemon();
  EXPECT_EQ(installation_.stop_daemon(), 0) << installation_.log();
  EXPECT_FALSE(lives(child));
  EXPECT_NE(installation_.log().find("stopping; runs go on"), std::string::npos);
}

TEST_F(Supervision, WhereOnlyTheParentDiesTheDaemonGoesOnAndKeepsOthersAway) {
  installation_.start();
  const pid_t child = daemon();
  installation_.kill_daemon();  // the process that was started: the parent
  EXPECT_TRUE(lives(child));
  EXPECT_EQ(installation_.command({"cluster", "status"}).code, 0);
  installation_.launch();
  EXPECT_EQ(installation_.daemon().wait(30s), 4) << installation_.log();
  EXPECT_NE(installation_.log().find("another provisioner"), std::string::npos);
  kill(child, SIGKILL);
}

TEST_F(Supervision, WhatIsWrongWithTheSettingsIsSaidOnceAndNotRetried) {
  installation_.environment["ETCD_ENDPOINTS"] = "http://127.0.0.1:2379";
  installation_.launch();
  EXPECT_EQ(installation_.daemon().wait(30s), 2);
  EXPECT_NE(installation_.log().find("each would lead alone"), std::string::npos);
}

// With a time to live that no test waits for.
class SupervisedLeader : public Supervision {
 protected:
  void launch(const std::string& ttl) {
    installation_.environment["ETCD_ENDPOINTS"] = etcd_.urls();
    installation_.environment["PROVISIONER_ELECTION_TTL"] = ttl;
    installation_.environment["DATABASE_HOST"] = PostgresServer::kHost;
    installation_.environment["DATABASE_PORT"] = std::to_string(PostgresServer::shared().port());
    installation_.environment["DATABASE_NAME"] = database_;
    installation_.environment["DATABASE_USER"] = PostgresServer::kUser;
    installation_.environment["DATABASE_PASSWORD"] = PostgresServer::kPassword;
    installation_.launch();
    ASSERT_TRUE(eventually(60s, [&] {
      return std::filesystem::exists(token_file()) && !key().empty();
    })) << installation_.log();
  }
  std::filesystem::path token_file() const {
    return installation_.state_dir() / "leadership.token";
  }
  // The oldest key of the election; "" = nobody is in it.
  std::string key() const {
    const std::string out = etcd_.etcdctl(
        {"get", "--prefix", "/provisioner/election/", "--keys-only", "--sort-by", "CREATE"});
    return std::string(split(out, '\n').at(0));
  }
  void kill_both() {
    const pid_t child = daemon();
    installation_.kill_daemon();
    kill(child, SIGKILL);
    EXPECT_TRUE(eventually(30s, [&] { return !lives(child); }));
  }

  EtcdCluster etcd_;
  std::string database_ = PostgresServer::shared().take_database();
};

TEST_F(SupervisedLeader, AKilledDaemonsLeadershipIsFreeLongBeforeItsTtl) {
  launch("10m");
  const std::string before = key();
  const auto begun = std::chrono::steady_clock::now();
  kill(daemon(), SIGKILL);
  ASSERT_TRUE(eventually(60s, [&] { return key() != before; })) << installation_.log();
  const auto took = std::chrono::steady_clock::now() - begun;
  RecordProperty(
      "freed_after_ms",
      std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(took).count()));
  EXPECT_TRUE(eventually(60s, [&] {
    return installation_.log().find("its leadership is free") != std::string::npos;
  }));
  EXPECT_TRUE(eventually(60s, [&] { return !key().empty(); })) << "it is a candidate again";
}

TEST_F(SupervisedLeader, WhereBothAreKilledTheTtlDecides) {
  launch("15s");
  const std::string before = key();
  kill_both();
  EXPECT_EQ(key(), before) << "nobody is there to free it";
  EXPECT_TRUE(eventually(60s, [&] { return key().empty(); }));
}

TEST_F(SupervisedLeader, AServiceManagerFreesItByACommand) {
  launch("10m");
  EXPECT_EQ(installation_.command({"cluster", "release"}).code, 4) << "its daemon lives";
  EXPECT_NE(key(), "");
  kill_both();
  ASSERT_NE(key(), "");
  // A killed process holds its lock until the kernel is done with it.
  Finished released;
  EXPECT_TRUE(eventually(60s, [&] {
    released = installation_.command({"cluster", "release"});
    return released.code == 0;
  })) << released.err;
  EXPECT_EQ(key(), "");
  EXPECT_FALSE(std::filesystem::exists(token_file()));
  EXPECT_EQ(installation_.command({"cluster", "release"}).code, 0) << "nothing left to free";
}

TEST_F(SupervisedLeader, AGracefulStopLeavesNothingToFree) {
  launch("10m");
  EXPECT_EQ(installation_.stop_daemon(), 0) << installation_.log();
  EXPECT_EQ(key(), "");
  EXPECT_FALSE(std::filesystem::exists(token_file()));
}

}  // namespace
}  // namespace provisioner::testing
