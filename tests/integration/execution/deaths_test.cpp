// Whatever dies during an apply: the run ends well, nothing lives on, no state is lost (I1, I4, I5,
// I8).
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include "execution/preparation.hpp"
#include "runner/attempt_directory.hpp"
#include "tests/integration/execution/instance.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/program.hpp"

namespace provisioner::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::AllOf;
using ::testing::HasSubstr;

class Deaths : public ::testing::Test {
 protected:
  // The first apply waits in a local-exec until the file `go_on` is there; its state already has
  // the resource "one".
  void deploy_slowly() {
    instance.start();
    instance.publish("shop", R"(resource "terraform_data" "one" { input = "first" }
resource "terraform_data" "slow" {
  depends_on = [terraform_data.one]
  provisioner "local-exec" { command = "echo it has begun; until test -e )" +
                                 go_on.string() + R"(; do sleep 0.05; done" }
}
)");
    run = instance.enqueue("shop", Operation::kDeploy);
    ASSERT_TRUE(instance.logged(run, "it has begun")) << instance.log(run);
    // The state of "one" reaches the store after some seconds only; these tests need not wait.
  }

  void let_go_on() { write_file(go_on, ""); }

  void expect_success(std::int64_t attempts) {
    const auto done = instance.finished(run);
    EXPECT_EQ(done.status, RunStatus::kSucceeded) << done.error << "\n" << instance.log(run);
    EXPECT_EQ(done.attempt, Attempt(attempts));
    EXPECT_THAT(instance.state("shop"), AllOf(HasSubstr("\"one\""), HasSubstr("\"slow\"")));
    EXPECT_EQ(instance.workspace("shop").status, WorkspaceStatus::kDeployed);
    EXPECT_FALSE(instance.workspace("shop").held) << instance.workspace("shop").hold_reason;
    EXPECT_TRUE(instance.is_clean(run));
  }

  // The resource that attempt 1 made was not made again.
  void expect_kept_resource() { EXPECT_THAT(instance.state("shop"), HasSubstr("\"one\"")); }

  // Until attempt 1 is in the store as interrupted.
  void expect_interruption(const std::string& reason) {
    EXPECT_TRUE(instance.work_until(
        [&] { return instance.attempts(run).front().status == RunStatus::kInterrupted; }));
    EXPECT_THAT(instance.attempts(run).front().error, HasSubstr(reason));
  }

  void kill_process(const std::string& command) {
    const pid_t pid = instance.process(run, command);
    ASSERT_GT(pid, 0) << command;
    ASSERT_EQ(kill(pid, SIGKILL), 0);
  }

  // Twice: the first look stops those who start others.
  void stop_all() {
    for (int look = 0; look < 2; ++look) {
      for (const pid_t pid : instance.processes(run)) kill(pid, SIGSTOP);
    }
  }
  // At one blow: nobody sees another one's death and has the time to report it.
  void kill_all() {
    stop_all();
    for (const pid_t pid : instance.processes(run)) kill(pid, SIGKILL);
  }

  Instance instance;
  std::filesystem::path go_on = instance.root() / "go_on";
  RunId run;
};

TEST_F(Deaths, OfTheRunnerInterruptsTheAttemptAndTheNextOneSucceeds) {
  deploy_slowly();
  const auto before = instance.processes(run);
  kill_process("provisioner-runner run");
  expect_interruption("");
  for (const pid_t pid : before) EXPECT_EQ(command_of(pid), "") << pid << " lives on";
  expect_kept_resource();
  let_go_on();
  expect_success(2);
}

TEST_F(Deaths, OfTofuInterruptsTheAttemptAndTheNextOneSucceeds) {
  deploy_slowly();
  kill_process(" apply");
  expect_interruption("signal 9");
  let_go_on();
  expect_success(2);
}

TEST_F(Deaths, OfTheGuardLeavesNothingAlive) {
  deploy_slowly();
  const auto before = instance.processes(run);
  const pid_t runner = instance.process(run, "provisioner-runner run");
  kill_process("provisioner-guard guard");
  expect_interruption("");
  for (const pid_t pid : before) {
    if (pid != runner) EXPECT_EQ(command_of(pid), "") << pid << " lives on";
  }
  // It is the one who told of the interruption, and ends after that.
  EXPECT_TRUE(eventually(60s, [&] { return command_of(runner).empty(); })) << "the runner lives on";
  expect_kept_resource();
  let_go_on();
  expect_success(2);
}

TEST_F(Deaths, OfTheWholeProcessSetIsProvedBeforeTheNextAttempt) {
  deploy_slowly();
  kill_all();
  expect_interruption("its guard is dead");
  let_go_on();
  expect_success(2);
}

TEST_F(Deaths, OfTheDaemonDuringAnApplyDoNotDisturbIt) {
  deploy_slowly();
  instance.kill_daemon();
  let_go_on();
  instance.start();
  expect_success(1);
}

TEST_F(Deaths, OfTheDaemonWhileTheRunFinishesLeaveTheResultToTheNextDaemon) {
  deploy_slowly();
  instance.kill_daemon();
  let_go_on();
  // tofu wants to hand over its last state, and its runner has nobody to give it to.
  ASSERT_TRUE(eventually(60s, [&] { return instance.process(run, "it has begun") == 0; }));
  instance.start();
  expect_success(1);
}

TEST_F(Deaths, OfDaemonAndRunnerTogetherAreOneInterruption) {
  deploy_slowly();
  instance.kill_daemon();
  kill_process("provisioner-runner run");
  instance.start();
  expect_interruption("");
  expect_kept_resource();
  let_go_on();
  expect_success(2);
}

TEST_F(Deaths, OfDaemonAndGuardAndRunnerLeaveNothingAlive) {
  deploy_slowly();
  instance.kill_daemon();
  const auto before = instance.processes(run);
  // tofu and its children are left to the next daemon.
  kill_process("provisioner-guard guard");
  kill_process("provisioner-runner run");
  instance.start();
  expect_interruption("its guard is dead");
  for (const pid_t pid : before) EXPECT_EQ(command_of(pid), "") << pid << " lives on";
  expect_kept_resource();
  let_go_on();
  expect_success(2);
}

TEST_F(Deaths, OfTheDaemonBetweenClaimAndSpawnCostOneAttempt) {
  instance.start();
  instance.publish("shop", R"(resource "terraform_data" "one" { input = "first" }
resource "terraform_data" "slow" {}
)");
  instance.daemon().dispatcher().set_claiming(false);
  run = instance.enqueue("shop", Operation::kDeploy);
  // What a daemon does first; then it dies.
  auto& store = instance.daemon().store();
  const auto leadership = instance.daemon().get(store.leadership());
  ClaimRequest request;
  request.instance = instance.settings.instance_id;
  request.incarnation = Incarnation("the one that dies");
  request.claim = ClaimId("0123456789abcdef0123456789abcdef");
  request.fence = leadership.fence;
  request.now = instance.daemon().clock().now();
  const auto claimed = instance.daemon().get(store.claim_next(request));
  ASSERT_TRUE(claimed.has_value());
  // It had even begun with the directory.
  std::filesystem::create_directories(runner::AttemptDirectory::of(instance.settings.state_dir,
                                                                   WorkspaceName("shop"), run,
                                                                   Attempt(1))
                                          .root /
                                      "bundle");
  instance.kill_daemon();
  instance.start();
  expect_interruption("before its runner had registered");
  expect_success(2);
}

TEST_F(Deaths, OfTheDaemonBeforeTheRunnerRegistersCostOneAttempt) {
  instance.start();
  instance.publish("shop", R"(resource "terraform_data" "one" { input = "first" }
resource "terraform_data" "slow" {}
)");
  // The guard and its runner are there, and nobody answers where they ask.
  const auto socket = instance.settings.state_dir / "provisioner.sock";
  std::filesystem::rename(socket, instance.root() / "elsewhere.sock");
  run = instance.enqueue("shop", Operation::kDeploy);
  ASSERT_TRUE(instance.work_until([&] { return !instance.processes(run).empty(); }));
  instance.kill_daemon();
  // Or they could register with the next daemon before it has judged them.
  stop_all();
  instance.start();
  expect_interruption("before its runner had registered");
  expect_success(2);
}

TEST_F(Deaths, OfAnInstanceAreSeenByTheEndOfItsLease) {
  instance.settings.runs.lease = 4s;
  instance.settings.runs.heartbeat = 500ms;
  instance.settings.runs.stop_allowance = 1s;
  instance.start();
  instance.publish("shop", R"(resource "terraform_data" "one" { input = "first" }
resource "terraform_data" "slow" {}
)");
  instance.daemon().dispatcher().set_claiming(false);
  run = instance.enqueue("shop", Operation::kDeploy);
  auto& store = instance.daemon().store();
  ClaimRequest request;
  request.instance = InstanceId("host-2");
  request.claim = ClaimId("0123456789abcdef0123456789abcdef");
  request.fence = instance.daemon().get(store.leadership()).fence;
  request.now = instance.daemon().clock().now();
  ASSERT_TRUE(instance.daemon().get(store.claim_next(request)).has_value());
  const auto claimed_at = instance.daemon().clock().boot_now();
  expect_interruption("host-2 was not heard of");
  EXPECT_GE(instance.daemon().clock().boot_now() - claimed_at, instance.settings.runs.lease);
  instance.kill_daemon();
  instance.start();
  expect_success(2);
}

TEST_F(Deaths, ThatTakeTheSpoolAlongHoldTheWorkspaceForAPerson) {
  deploy_slowly();
  instance.kill_daemon();
  kill_all();
  std::filesystem::remove_all(instance.settings.state_dir / "work");
  instance.start();
  expect_interruption("its guard is dead");
  EXPECT_EQ(instance.run(run).status, RunStatus::kInterrupted);
  EXPECT_TRUE(instance.workspace("shop").held);
  EXPECT_THAT(instance.workspace("shop").hold_reason, HasSubstr("workspace release shop"));
}

TEST_F(Deaths, ThatTakeTheSpoolAlongAreResumedWhereThatIsWanted) {
  instance.settings.runs.on_interrupt = OnInterrupt::kResume;
  deploy_slowly();
  instance.kill_daemon();
  for (const pid_t pid : instance.processes(run)) kill(pid, SIGKILL);
  std::filesystem::remove_all(instance.settings.state_dir / "work");
  instance.start();
  expect_interruption("its guard is dead");
  let_go_on();
  expect_success(2);
}

TEST_F(Deaths, OfAPausedRunnerComeBeforeItsLeaseEnds) {
  instance.settings.runs.lease = 20s;
  instance.settings.runs.stop_allowance = 10s;
  deploy_slowly();
  const pid_t runner = instance.process(run, "provisioner-runner run");
  ASSERT_GT(runner, 0);
  ASSERT_EQ(kill(runner, SIGSTOP), 0);
  expect_interruption("runner hung");
  EXPECT_EQ(command_of(runner), "");
  let_go_on();
  expect_success(2);
}

TEST_F(Deaths, OfTheDaemonForLongerThanTheLeaseEndTheRunAndLoseNoState) {
  instance.settings.runs.lease = 20s;
  instance.settings.runs.stop_allowance = 10s;
  deploy_slowly();
  instance.kill_daemon();
  // Guard and runner end the attempt by themselves.
  ASSERT_TRUE(eventually(60s, [&] { return instance.processes(run).empty(); }));
  ASSERT_TRUE(instance.has_attempt_directories());  // with tofu's last state in the spool
  instance.start();
  expect_interruption("");
  expect_kept_resource();
  let_go_on();
  expect_success(2);
}

}  // namespace
}  // namespace provisioner::testing
