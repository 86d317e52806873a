// What is killed, and what must hold afterwards. Judged from outside: by the processes that live and
// by a journal that the workspace's own commands write, not by what the daemon believes.
#include <gtest/gtest.h>
#include <signal.h>

#include <fstream>

#include "tests/support/daemon.hpp"
#include "tests/support/eventually.hpp"

namespace provisioner::testing {
namespace {

using namespace std::chrono_literals;

// An apply that says when it begins and ends, waits for the file "go" in between, and would notice a
// second one at work (the lock directory).
std::string gated_apply(const std::filesystem::path& root) {
  return R"(resource "terraform_data" "gated" {
  provisioner "local-exec" {
    command = <<-SH
      set -e
      cd )" + root.string() + R"(
      mkdir busy || { echo doubled >> journal; exit 1; }
      trap 'rmdir busy' EXIT
      echo begin >> journal
      while [ ! -e go ]; do sleep 0.05; done
      echo end >> journal
    SH
  }
}
)";
}

class Crash : public ::testing::Test {
 protected:
  void SetUp() override {
    installation_.environment["PROVISIONER_RUNS_LEASE"] = "12s";
    installation_.environment["PROVISIONER_RUNS_HEARTBEAT"] = "1s";
    installation_.environment["PROVISIONER_RUNS_STOP_ALLOWANCE"] = "3s";
    installation_.add_workspace("shop", {{"description", "gated"}}, gated_apply(installation_.root()));
    installation_.start();
    const auto run = installation_.query({"workspace", "deploy", "shop", "--detach"});
    id_ = run["id"];
    ASSERT_TRUE(eventually(30s, [&] { return journal().find("begin") != std::string::npos; }))
        << installation_.log();
  }

  std::string journal() const { return read_file(installation_.root() / "journal"); }
  void open_gate() const { write_file(installation_.root() / "go", ""); }
  void clear_busy() const { std::filesystem::remove(installation_.root() / "busy"); }

  pid_t process(std::string_view text) const {
    const auto found = installation_.processes_of(id_, text);
    EXPECT_FALSE(found.empty()) << "no process with " << text;
    return found.empty() ? -1 : found.front();
  }
  pid_t guard() const { return process("provisioner-runner guard"); }
  pid_t runner() const { return process("provisioner-runner run"); }
  pid_t tofu() const { return process(" apply"); }

  bool nothing_lives_of_attempt(int attempt) const {
    return processes_with("PROVISIONER_ATTEMPT", id_ + "." + std::to_string(attempt)).empty();
  }

  // The end of all these stories: one row, succeeded, the state stored, nothing left behind.
  void expect_success_on_attempt(int attempt) const {
    const Json run = installation_.wait_for_end(id_);
    EXPECT_EQ(run["status"], "succeeded") << run.dump(2) << installation_.log();
    EXPECT_EQ(run["attempt"], attempt);
    EXPECT_EQ(installation_.runs("shop").size(), 1u);
    EXPECT_EQ(installation_.workspace("shop")["status"], "deployed");
    EXPECT_EQ(journal().find("doubled"), std::string::npos) << journal();
    EXPECT_TRUE(eventually(10s, [&] { return installation_.processes_of(id_).empty(); }));
    const auto plan = installation_.command({"workspace", "plan", "shop"});
    EXPECT_EQ(plan.code, 0) << plan.out << plan.err;  // no lock is left
    EXPECT_NE((plan.out + plan.err).find("No changes"), std::string::npos) << plan.out;
  }

  Installation installation_;
  std::string id_;
};

TEST_F(Crash, AKilledDaemonLeavesTheApplyAloneAndAdoptsIt) {
  installation_.kill_daemon();
  EXPECT_GT(tofu(), 0);
  installation_.start();
  EXPECT_GT(tofu(), 0);
  open_gate();
  expect_success_on_attempt(1);
}

TEST_F(Crash, AnApplyThatEndsWhileNoDaemonLivesIsReportedLater) {
  installation_.kill_daemon();
  open_gate();
  ASSERT_TRUE(eventually(20s, [&] { return journal().find("end") != std::string::npos; }));
  installation_.start();
  expect_success_on_attempt(1);
}

TEST_F(Crash, AKilledRunnerTakesItsTofuWithItAndTheRunIsResumed) {
  kill(runner(), SIGKILL);
  ASSERT_TRUE(eventually(15s, [&] { return nothing_lives_of_attempt(1); })) << installation_.log();
  clear_busy();
  open_gate();
  expect_success_on_attempt(2);
}

TEST_F(Crash, AKilledTofuInterruptsTheAttemptAndItsChildrenEnd) {
  kill(tofu(), SIGKILL);
  ASSERT_TRUE(eventually(15s, [&] { return nothing_lives_of_attempt(1); })) << installation_.log();
  clear_busy();
  open_gate();
  expect_success_on_attempt(2);
}

TEST_F(Crash, AKilledGuardLeavesNothingAlive) {
  kill(guard(), SIGKILL);
  ASSERT_TRUE(eventually(15s, [&] { return nothing_lives_of_attempt(1); })) << installation_.log();
  clear_busy();
  open_gate();
  expect_success_on_attempt(2);
}

TEST_F(Crash, RunnerAndDaemonKilledTogether) {
  const pid_t victim = runner();
  installation_.kill_daemon();
  kill(victim, SIGKILL);
  ASSERT_TRUE(eventually(15s, [&] { return nothing_lives_of_attempt(1); }));
  clear_busy();
  open_gate();
  installation_.start();
  expect_success_on_attempt(2);
}

TEST_F(Crash, AStoppedRunnerLosesItsLeaseAndItsWrites) {
  const pid_t stopped = runner();
  kill(stopped, SIGSTOP);
  // The guard ends the attempt at its deadline, stopped processes included.
  ASSERT_TRUE(eventually(40s, [&] { return nothing_lives_of_attempt(1); })) << installation_.log();
  clear_busy();
  kill(stopped, SIGCONT);
  open_gate();
  expect_success_on_attempt(2);
}

}  // namespace
}  // namespace provisioner::testing
