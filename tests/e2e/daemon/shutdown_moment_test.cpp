// SIGTERM in the middle of what a daemon does with its store, found by the words that it says to a
// real PostgreSQL: nothing is lost, nothing happens twice.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <atomic>
#include <thread>

#include "tests/support/daemon.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/postgres.hpp"
#include "tests/support/relay.hpp"

namespace provisioner::testing {
namespace {

using namespace std::chrono_literals;

struct Moment {
  std::string name;
  std::string words;  // what the daemon says to PostgreSQL then
  bool scheduled =
      false;  // else a person asks for the deploy, and nobody waits for the next minute
};

class ShutdownIn : public ::testing::TestWithParam<Moment> {
 protected:
  ShutdownIn() {
    PostgresServer& server = PostgresServer::shared();
    installation_.environment.merge(
        server.settings_of("a", server.take_database(), to_postgres_.port()));
    installation_.environment["DATABASE_SSLMODE"] = "disable";
    // Each connection says its statements in full.
    installation_.environment["DATABASE_MAX_IDLE_CONNS"] = "0";
    installation_.add_workspace(
        "shop", GetParam().scheduled ? Json{{"deploy_schedule", "* * * * *"}} : Json::object());
    installation_.start();
    // Folders are published right after the daemon answers.
    EXPECT_TRUE(eventually(
        60s, [&] { return installation_.command({"workspace", "show", "shop"}).code == 0; }));
  }

  Network network_;
  Relay to_postgres_{network_.loop(), PostgresServer::shared().port()};
  Installation installation_;
};

TEST_P(ShutdownIn, LosesAndDoublesNothing) {
  std::atomic<bool> stopped = false;
  to_postgres_.hold_back(GetParam().words, 500ms, [&] {
    installation_.daemon().signal(SIGTERM);
    stopped = true;
  });
  if (!GetParam().scheduled) {
    EXPECT_EQ(installation_.command({"workspace", "deploy", "shop", "--detach"}).code, 0);
  }
  ASSERT_TRUE(eventually(120s, [&] { return stopped.load(); })) << installation_.log();
  EXPECT_EQ(installation_.daemon().wait(30s), 0) << installation_.log();

  installation_.start();
  EXPECT_EQ(installation_.wait_for_status("shop", "deployed", 120s)["status"], "deployed")
      << installation_.log();
  const auto runs = installation_.runs("shop");
  ASSERT_EQ(runs.size(), 1u) << Json(runs);
  EXPECT_EQ(runs[0]["status"], "succeeded");
  EXPECT_EQ(runs[0]["attempt"], 1) << "no attempt was lost";
  int fired = 0;
  for (const Json& one : installation_.query({"workspace", "history", "shop"})["items"]) {
    if (one["outcome"] == "fired") ++fired;
  }
  EXPECT_EQ(fired, GetParam().scheduled ? 1 : 0);
}

INSTANTIATE_TEST_SUITE_P(TheMiddleOf, ShutdownIn,
                         ::testing::Values(Moment{"APlan", "UPDATE schedules SET cursor", true},
                                           Moment{"AClaim", "INSERT INTO run_attempts"},
                                           Moment{"ARegistration", "SET registered = true"},
                                           Moment{"TheCommitOfAResult",
                                                  "UPDATE run_attempts SET status"}),
                         [](const auto& moment) { return moment.param.name; });

}  // namespace
}  // namespace provisioner::testing
