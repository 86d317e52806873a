// How the daemon stops: what it tells load balancers and streams, and what becomes of runs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <string>

#include "tests/support/ask.hpp"
#include "tests/support/daemon.hpp"
#include "tests/support/eventually.hpp"

namespace provisioner::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

class Shutdown : public ::testing::Test {
 protected:
  Shutdown() {
    installation_.environment["PROVISIONER_RUNS_LEASE"] = "20s";
    installation_.environment["PROVISIONER_RUNS_HEARTBEAT"] = "1s";
    installation_.environment["PROVISIONER_RUNS_STOP_ALLOWANCE"] = "8s";
  }

  // A run whose apply makes one resource and then waits for the file "go".
  void deploy_gated() {
    const std::string root = installation_.root().string();
    installation_.add_workspace("shop", {{"description", "gated"}},
                                R"(resource "terraform_data" "first" {}
resource "terraform_data" "gated" {
  depends_on = [terraform_data.first]
  provisioner "local-exec" {
    command = "cd )" + root + R"( && touch began && until test -e go; do sleep 0.05; done"
  }
}
)");
    installation_.start();
    run_ = installation_.query({"workspace", "deploy", "shop", "--detach"})["id"];
    ASSERT_TRUE(eventually(60s, [&] { return exists(installation_.root() / "began"); }))
        << installation_.log();
  }
  static bool exists(const std::filesystem::path& file) { return std::filesystem::exists(file); }
  void open_gate() { write_file(installation_.root() / "go", ""); }

  http::Response ask(const std::string& target) {
    return testing::ask(installation_.state_dir(), "GET", target);
  }
  bool says(const std::string& text) const {
    return installation_.log().find(text) != std::string::npos;
  }
  bool nothing_lives() const { return installation_.processes_of(run_).empty(); }

  Installation installation_;
  std::string run_;
};

TEST_F(Shutdown, FirstItIsNotReadyAndAnswersUntilLoadBalancersHaveNoticed) {
  installation_.environment["PROVISIONER_SHUTDOWN_PAUSE"] = "20s";
  installation_.start();
  ASSERT_EQ(ask("/ready").status, 200);
  installation_.daemon().signal(SIGTERM);
  ASSERT_TRUE(eventually(30s, [&] { return ask("/ready").status == 503; })) << installation_.log();
  EXPECT_THAT(ask("/ready").body, HasSubstr("stopping"));
  EXPECT_EQ(ask("/health").status, 200);
  const auto list = ask("/api/v1/workspaces");
  EXPECT_EQ(list.status, 200);
  EXPECT_EQ(list.headers.at("Connection"), "close");
  EXPECT_TRUE(installation_.daemon().running());
  installation_.daemon().signal(SIGTERM);  // "hurry": the pause is over
  EXPECT_EQ(installation_.daemon().wait(15s), 0) << installation_.log();
}

TEST_F(Shutdown, EventStreamsEndInGoodOrderAndSayWhenToComeBack) {
  installation_.start();
  const auto socket = (installation_.state_dir() / "provisioner.sock").string();
  const auto heard = installation_.root() / "heard";
  Background reader({"curl", "-sN", "--unix-socket", socket, "http://localhost/api/v1/events"}, {},
                    heard);
  ASSERT_TRUE(
      eventually(30s, [&] { return read_file(heard).find("event: hello") != std::string::npos; }));
  EXPECT_EQ(installation_.stop_daemon(), 0) << installation_.log();
  EXPECT_EQ(reader.wait(), 0) << "the body has an end";
  EXPECT_THAT(read_file(heard), HasSubstr("retry: 1000\n\n"));
}

TEST_F(Shutdown, WithDrainTheDaemonWaitsForItsRunsAndServesThem) {
  installation_.environment["PROVISIONER_SHUTDOWN_DRAIN"] = "on";
  installation_.environment["PROVISIONER_SHUTDOWN_TIMEOUT"] = "10m";
  deploy_gated();
  installation_.daemon().signal(SIGTERM);
  ASSERT_TRUE(eventually(30s, [&] { return says("stopping; runs are waited for"); }));
  EXPECT_EQ(ask("/ready").status, 503);
  EXPECT_TRUE(installation_.daemon().running());
  open_gate();
  EXPECT_EQ(installation_.daemon().wait(60s), 0) << installation_.log();
  EXPECT_TRUE(nothing_lives());
  installation_.start();
  const Json run = installation_.run(run_);
  EXPECT_EQ(run["status"], "succeeded") << installation_.log();
  EXPECT_EQ(run["attempt"], 1);
}

TEST_F(Shutdown, WithDrainRunsThatTakeTooLongAreInterruptedAndResumedByTheNext) {
  installation_.environment["PROVISIONER_SHUTDOWN_DRAIN"] = "on";
  installation_.environment["PROVISIONER_SHUTDOWN_TIMEOUT"] = "30s";
  deploy_gated();
  installation_.daemon().signal(SIGTERM);
  EXPECT_EQ(installation_.daemon().wait(60s), 0) << installation_.log();
  EXPECT_TRUE(says("interrupting runs"));
  EXPECT_TRUE(nothing_lives());
  open_gate();
  installation_.start();
  const Json run = installation_.wait_for_end(run_);
  EXPECT_EQ(run["status"], "succeeded") << installation_.log();
  EXPECT_EQ(run["attempt"], 2);
  const auto state = installation_.command({"state", "show", "shop"});
  EXPECT_THAT(state.out, HasSubstr("first")) << "what the interrupted attempt made was kept";
}

TEST_F(Shutdown, ASecondSignalInterruptsAtOnceWhatIsWaitedFor) {
  installation_.environment["PROVISIONER_SHUTDOWN_DRAIN"] = "on";
  installation_.environment["PROVISIONER_SHUTDOWN_TIMEOUT"] = "1h";
  deploy_gated();
  installation_.daemon().signal(SIGTERM);
  ASSERT_TRUE(eventually(30s, [&] { return says("stopping; runs are waited for"); }));
  installation_.daemon().signal(SIGTERM);
  EXPECT_EQ(installation_.daemon().wait(60s), 0) << installation_.log();
  EXPECT_TRUE(says("interrupting runs"));
  EXPECT_TRUE(nothing_lives());
}

}  // namespace
}  // namespace provisioner::testing
