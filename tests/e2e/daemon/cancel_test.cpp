// How people stop things: a run, a command that waits, the daemon. And how a timeout does.
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>

#include "tests/support/daemon.hpp"
#include "tests/support/eventually.hpp"

namespace provisioner::testing {
namespace {

using namespace std::chrono_literals;

class Stopping : public ::testing::Test {
 protected:
  void SetUp() override {
    // In tofu's place, tofu's parent: it counts the interrupts and passes them on.
    const auto binary = installation_.root() / "counting-tofu";
    write_file(binary, "#!/bin/sh\nreal=" + tofu_on_path() + R"(
case "$1" in apply) ;; *) exec "$real" "$@" ;; esac
trap 'echo interrupt >> )" +
                           (installation_.root() / "journal").string() +
                           R"(; kill -INT $child' INT
"$real" "$@" &
child=$!
while wait $child; code=$?; [ $code -gt 128 ] && kill -0 $child 2>/dev/null; do :; done
exit $code
)");
    std::filesystem::permissions(binary, std::filesystem::perms::owner_all);
    installation_.environment["PROVISIONER_TOFU_BINARY"] = binary.string();
    installation_.environment["PROVISIONER_RUNS_LEASE"] = "20s";
    installation_.environment["PROVISIONER_RUNS_HEARTBEAT"] = "1s";
    installation_.environment["PROVISIONER_RUNS_STOP_ALLOWANCE"] = "8s";
  }

  // A workspace whose apply makes one resource and then waits for the file "go".
  void start(const Json& config) {
    installation_.add_workspace(
        "shop", config,
        R"(resource "terraform_data" "first" {}
resource "terraform_data" "gated" {
  depends_on = [terraform_data.first]
  provisioner "local-exec" {
    command = "cd )" +
            installation_.root().string() +
            R"( && echo begin >> journal && until test -e go; do sleep 0.05; done"
  }
}
)");
    installation_.start();
  }

  void deploy() {
    id_ = installation_.query({"workspace", "deploy", "shop", "--detach"})["id"];
    wait_for_apply();
  }
  void wait_for_apply() const {
    ASSERT_TRUE(eventually(60s, [&] { return said("begin") == 1; })) << installation_.log();
  }

  std::ptrdiff_t said(const std::string& word) const {
    const std::string journal = read_file(installation_.root() / "journal");
    std::ptrdiff_t times = 0;
    for (auto at = journal.find(word); at != std::string::npos; at = journal.find(word, at + 1)) {
      ++times;
    }
    return times;
  }
  void open_gate() const { write_file(installation_.root() / "go", ""); }
  bool nothing_lives() const { return installation_.processes_of(id_).empty(); }

  void expect_kept_state() const {
    const auto state = installation_.command({"state", "show", "shop"});
    EXPECT_NE(state.out.find("first"), std::string::npos) << state.out << state.err;
  }

  Installation installation_;
  std::string id_;
};

TEST_F(Stopping, ACancelledApplyIsInterruptedOnceAndKeepsItsState) {
  start({{"description", "gated"}});
  deploy();
  const auto cancel = installation_.command({"run", "cancel", id_});
  EXPECT_EQ(cancel.code, 0) << cancel.err;
  EXPECT_EQ(installation_.wait_for_end(id_)["status"], "cancelled") << installation_.log();
  EXPECT_TRUE(eventually(60s, [&] { return nothing_lives(); }));
  EXPECT_EQ(said("interrupt"), 1);
  expect_kept_state();
  EXPECT_EQ(installation_.run(id_)["attempt"], 1);
}

TEST_F(Stopping, ATimeoutLeavesNothingAlive) {
  start({{"timeout", "3s"}});
  id_ = installation_.query({"workspace", "deploy", "shop", "--detach"})["id"];
  const Json run = installation_.wait_for_end(id_);
  EXPECT_EQ(run["status"], "timed_out") << run.dump(2) << installation_.log();
  EXPECT_TRUE(eventually(60s, [&] { return nothing_lives(); }));
  EXPECT_LE(said("interrupt"), 1);
}

TEST_F(Stopping, CtrlCDetachesFromARunThatGoesOn) {
  start({{"description", "gated"}});
  const auto output = installation_.root() / "deploy.out";
  Background command({built("provisioner"), "workspace", "deploy", "shop"},
                     {{"PROVISIONER_STATE_DIR", installation_.state_dir().string()}}, output);
  wait_for_apply();
  command.signal(SIGINT);
  EXPECT_EQ(command.wait(40s), 0);
  EXPECT_NE(read_file(output).find("run cancel"), std::string::npos) << read_file(output);
  const auto runs = installation_.runs("shop");
  ASSERT_EQ(runs.size(), 1u);
  EXPECT_EQ(runs[0]["status"], "running");
  open_gate();
  EXPECT_EQ(installation_.wait_for_end(runs[0]["id"])["status"], "succeeded");
  EXPECT_EQ(said("interrupt"), 0);
}

TEST_F(Stopping, APausedCommandSeesTheEndOfItsRunWhenItGoesOn) {
  start({{"description", "gated"}});
  const auto output = installation_.root() / "deploy.out";
  Background command({built("provisioner"), "workspace", "deploy", "shop"},
                     {{"PROVISIONER_STATE_DIR", installation_.state_dir().string()}}, output);
  wait_for_apply();
  command.signal(SIGSTOP);
  const auto paused = std::chrono::steady_clock::now();
  open_gate();
  EXPECT_EQ(installation_.wait_for_end(installation_.runs("shop").at(0)["id"])["status"],
            "succeeded");
  // The tick of its progress line is due by then, together with the end of the log.
  EXPECT_TRUE(eventually(60s, [&] { return std::chrono::steady_clock::now() > paused + 1500ms; }));
  command.signal(SIGCONT);
  EXPECT_EQ(command.wait(), 0) << read_file(output);
}

TEST_F(Stopping, AStoppedDaemonLeavesTheApplyToTheNextOne) {
  start({{"description", "gated"}});
  deploy();
  installation_.daemon().signal(SIGTERM);
  EXPECT_EQ(installation_.daemon().wait(40s), 0) << installation_.log();
  EXPECT_FALSE(installation_.processes_of(id_, " apply").empty());
  installation_.start();
  open_gate();
  const Json run = installation_.wait_for_end(id_);
  EXPECT_EQ(run["status"], "succeeded") << run.dump(2) << installation_.log();
  EXPECT_EQ(run["attempt"], 1);
  EXPECT_EQ(said("interrupt"), 0);
  EXPECT_TRUE(eventually(60s, [&] { return nothing_lives(); }));
}

}  // namespace
}  // namespace provisioner::testing
