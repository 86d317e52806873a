// What is wrong with the settings of an instance among others: said at the start, or waited for.
#include <gtest/gtest.h>

#include "tests/support/ask.hpp"
#include "tests/support/daemon.hpp"
#include "tests/support/etcd.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/postgres.hpp"

namespace provisioner::testing {
namespace {

using namespace std::chrono_literals;

class AnInstanceAmongOthers : public ::testing::Test {
 protected:
  // With PostgreSQL as its store, which elects, too.
  void join(Installation& installation) {
    PostgresServer& server = PostgresServer::shared();
    installation.environment.merge(server.settings_of("a", database_, server.port()));
  }
  static bool says(const Installation& installation, std::string_view text) {
    return eventually(60s, [&] { return installation.log().find(text) != std::string::npos; });
  }

  std::vector<std::string> sql(const std::string& text) {
    return PostgresServer::shared().execute(text, database_);
  }

  std::string database_ = PostgresServer::shared().take_database();
  Installation installation_;
};

TEST_F(AnInstanceAmongOthers, HasTimeForThreeRenewalsInItsTtl) {
  join(installation_);
  installation_.environment["PROVISIONER_ELECTION_TTL"] = "2s";
  installation_.environment["PROVISIONER_ELECTION_RENEW"] = "1s";
  const Finished refused = installation_.command({"serve"});
  EXPECT_EQ(refused.code, 2) << refused.err;
  EXPECT_NE(refused.err.find("the ttl must be at least 3s"), std::string::npos) << refused.err;
}

TEST_F(AnInstanceAmongOthers, EndsWithPostgresWordsWhenThePasswordIsWrong) {
  join(installation_);
  installation_.environment["DATABASE_PASSWORD"] = "another";
  const Finished refused = installation_.command({"serve"});
  EXPECT_NE(refused.code, 0);
  EXPECT_NE(refused.err.find("password authentication failed"), std::string::npos) << refused.err;
}

TEST_F(AnInstanceAmongOthers, EndsWhenAnotherWithItsIdLives) {
  join(installation_);
  installation_.start();
  Installation second;
  join(second);
  const Finished refused = second.command({"serve"});
  EXPECT_EQ(refused.code, 4) << refused.err;
  EXPECT_NE(refused.err.find("another live instance has the id a"), std::string::npos)
      << refused.err;
  EXPECT_EQ(installation_.command({"cluster", "status"}).code, 0) << "the first was not disturbed";
}

TEST_F(AnInstanceAmongOthers, CanBeStoppedWhileItWatchesWhetherAnotherLives) {
  join(installation_);
  installation_.start();
  installation_.kill_daemon();
  Installation second;  // on another home, and the first one is not known to be dead
  join(second);
  second.launch();
  ASSERT_TRUE(says(second, "watching whether it lives")) << second.log();
  const auto asked = std::chrono::steady_clock::now();
  EXPECT_EQ(second.stop_daemon(), 0) << second.log();
  EXPECT_LT(std::chrono::steady_clock::now() - asked, 8s) << "it would have watched for 11 s";
}

// As after a fail-over to a server that lacked the last commits.
TEST_F(AnInstanceAmongOthers, EntersAgainWhenTheStoreKnowsAnEarlierOneOfIt) {
  join(installation_);
  installation_.start();
  sql("UPDATE instances SET incarnation = 'earlier', started_at = started_at - interval '1 hour'");
  EXPECT_TRUE(says(installation_, "has forgotten that this instance entered"));
  EXPECT_TRUE(eventually(
      60s, [&] { return sql("SELECT 1 FROM instances WHERE incarnation = 'earlier'").empty(); }));
  EXPECT_EQ(installation_.command({"cluster", "status"}).code, 0);
}

TEST_F(AnInstanceAmongOthers, EndsWhenALaterOneHasTakenItsId) {
  join(installation_);
  installation_.start();
  sql("UPDATE instances SET incarnation = 'later', started_at = started_at + interval '1 hour'");
  EXPECT_EQ(installation_.daemon().wait(60s), 4) << installation_.log();
}

TEST_F(AnInstanceAmongOthers, EndsAtASchemaOfALaterVersion) {
  join(installation_);
  installation_.start();
  EXPECT_EQ(installation_.stop_daemon(), 0);
  sql("INSERT INTO schema_migrations (version, name) VALUES (99, 'of tomorrow')");
  const Finished refused = installation_.command({"serve"});
  EXPECT_EQ(refused.code, 2) << refused.err;
  EXPECT_NE(refused.err.find("schema 99"), std::string::npos) << refused.err;
  EXPECT_NE(refused.err.find("newer"), std::string::npos) << refused.err;
}

TEST_F(AnInstanceAmongOthers, WaitsForPostgresAndIsNotReadyMeanwhile) {
  join(installation_);
  PostgresServer::shared().stop();
  installation_.launch();
  EXPECT_TRUE(says(installation_, "not ready, trying again")) << installation_.log();
  const Finished status = installation_.command({"cluster", "status"});
  EXPECT_NE(status.code, 0);
  EXPECT_NE(status.err.find("opening the store"), std::string::npos) << status.err;
  PostgresServer::shared().start();
  EXPECT_TRUE(says(installation_, "leading with term")) << installation_.log();
}

// It serves all the same: what it reads and accepts needs no leader. But load balancers wait until
// etcd has answered once.
TEST_F(AnInstanceAmongOthers, TriesOnWhenEtcdIsAwayAndLeadsWhenItIsBack) {
  EtcdCluster etcd(EtcdCluster::Options{.members = 1});
  join(installation_);
  installation_.environment["ETCD_ENDPOINTS"] = etcd.urls();
  etcd.kill(0);
  installation_.launch();
  EXPECT_TRUE(says(installation_, "not leading: campaigning")) << installation_.log();
  const Finished status = installation_.command({"cluster", "status"});
  EXPECT_EQ(status.code, 0);
  EXPECT_NE(status.out.find("does not answer: "), std::string::npos) << status.out;
  const auto ready = [&] { return ask(installation_.state_dir(), "GET", "/ready"); };
  EXPECT_EQ(ready().status, 503);
  EXPECT_NE(ready().body.find("did not answer since the start"), std::string::npos) << ready().body;
  etcd.start(0);
  EXPECT_TRUE(says(installation_, "leading with term")) << installation_.log();
  EXPECT_TRUE(eventually(60s, [&] { return ready().status == 200; })) << ready().body;
  etcd.kill(0);
  EXPECT_TRUE(says(installation_, "the lease ended before it was renewed")) << installation_.log();
  EXPECT_EQ(ready().status, 200) << "a stand-by serves without it";
}

}  // namespace
}  // namespace provisioner::testing
