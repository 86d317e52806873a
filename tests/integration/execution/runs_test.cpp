// Runs from the queue to their end, with everything real.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/integration/execution/instance.hpp"

namespace provisioner::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kOne = R"(resource "terraform_data" "one" { input = "first" }
)";

TEST(Runs, ADeployAndADestroyGoThroughTheStore) {
  Instance instance;
  instance.start();
  instance.publish("shop", kOne);

  const RunId deploy = instance.enqueue("shop", Operation::kDeploy);
  const auto deployed = instance.finished(deploy);
  EXPECT_EQ(deployed.status, RunStatus::kSucceeded) << deployed.error << instance.log(deploy);
  EXPECT_EQ(deployed.attempt, Attempt(1));
  EXPECT_EQ(deployed.resources.add, 1);
  EXPECT_EQ(instance.workspace("shop").status, WorkspaceStatus::kDeployed);
  EXPECT_THAT(instance.state("shop"), HasSubstr("terraform_data"));
  EXPECT_TRUE(instance.is_clean(deploy));
  EXPECT_THAT(instance.workspace_log("shop"),
              AllOf(HasSubstr("MANUAL DEPLOY: Starting manual deployment"),
                    HasSubstr("MANUAL DEPLOY: Completed successfully")));

  const RunId destroy = instance.enqueue("shop", Operation::kDestroy);
  const auto destroyed = instance.finished(destroy);
  EXPECT_EQ(destroyed.status, RunStatus::kSucceeded) << destroyed.error << instance.log(destroy);
  EXPECT_EQ(destroyed.resources.destroy, 1);
  EXPECT_EQ(instance.workspace("shop").status, WorkspaceStatus::kDestroyed);
  EXPECT_THAT(instance.state("shop"), Not(HasSubstr("terraform_data")));
  EXPECT_TRUE(instance.is_clean(destroy));
}

TEST(Runs, AFailingDeployEndsFailedWithTofusReason) {
  Instance instance;
  instance.start();
  instance.publish("shop", R"(resource "terraform_data" "one" {
  provisioner "local-exec" { command = "echo no luck today; exit 3" }
}
)");
  const RunId run = instance.enqueue("shop", Operation::kDeploy);
  const auto failed = instance.finished(run);
  EXPECT_EQ(failed.status, RunStatus::kFailed);
  EXPECT_THAT(failed.error, HasSubstr("exit status 3"));
  EXPECT_THAT(instance.log(run), HasSubstr("no luck today"));
  EXPECT_EQ(instance.workspace("shop").status, WorkspaceStatus::kDeployFailed);
  EXPECT_TRUE(instance.is_clean(run));
}

TEST(Runs, AMissingSecretFailsTheRunBeforeItBegins) {
  Instance instance;
  instance.environment.erase("SHOP_PASSWORD");
  instance.start();
  instance.publish("shop", kOne, R"({"variables": {"password": {"env": "SHOP_PASSWORD"}}})");
  const RunId run = instance.enqueue("shop", Operation::kDeploy);
  const auto failed = instance.finished(run);
  EXPECT_EQ(failed.status, RunStatus::kFailed);
  EXPECT_EQ(failed.error,
            "variables.password: the daemon's environment has no variable SHOP_PASSWORD");
  EXPECT_TRUE(instance.is_clean(run));
}

TEST(Runs, SecretsReachTofuButNeitherLogNorStore) {
  Instance instance;
  instance.environment["SHOP_PASSWORD"] = "swordfish-1138";
  instance.start();
  instance.publish("shop", R"(variable "password" {}
resource "terraform_data" "one" {
  provisioner "local-exec" { command = "test '${var.password}' = swordfish-1138 && echo got ${var.password}" }
}
)",
                   R"({"variables": {"password": {"env": "SHOP_PASSWORD"}}})");
  const RunId run = instance.enqueue("shop", Operation::kDeploy);
  const auto done = instance.finished(run);
  EXPECT_EQ(done.status, RunStatus::kSucceeded) << done.error;
  EXPECT_THAT(instance.log(run), AllOf(HasSubstr("got"), Not(HasSubstr("swordfish"))));
  EXPECT_THAT(instance.workspace_log("shop"), Not(HasSubstr("swordfish")));
}

TEST(Runs, AModeReachesTheContentThatDeclaresIt) {
  Instance instance;
  instance.start();
  instance.publish("shop", R"(variable "deployment_mode" {}
resource "terraform_data" "one" { input = "mode is ${var.deployment_mode}" }
)");
  const RunId run = instance.enqueue("shop", Operation::kDeploy, "busy");
  EXPECT_EQ(instance.finished(run).status, RunStatus::kSucceeded) << instance.log(run);
  EXPECT_THAT(instance.state("shop"), HasSubstr("mode is busy"));
}

TEST(Runs, WithoutTofuTheRunSaysSo) {
  Instance instance;
  instance.settings.tofu.binary = "/nowhere/tofu";
  instance.start();
  instance.publish("shop", kOne);
  const RunId run = instance.enqueue("shop", Operation::kDeploy);
  const auto failed = instance.finished(run);
  EXPECT_EQ(failed.status, RunStatus::kFailed);
  EXPECT_THAT(failed.error, HasSubstr("/nowhere/tofu"));
  EXPECT_TRUE(instance.is_clean(run));
}

TEST(Runs, ACancelInterruptsTofuOnceAndKeepsItsState) {
  Instance instance;
  instance.start();
  instance.publish("shop", R"(resource "terraform_data" "one" { input = "first" }
resource "terraform_data" "slow" {
  depends_on = [terraform_data.one]
  provisioner "local-exec" { command = "echo it has begun; sleep 300" }
}
)");
  const RunId run = instance.enqueue("shop", Operation::kDeploy);
  ASSERT_TRUE(instance.logged(run, "it has begun")) << instance.log(run);
  instance.daemon().get(
      instance.daemon().store().request_cancel(run, instance.daemon().clock().now()));
  const auto cancelled = instance.finished(run);
  EXPECT_EQ(cancelled.status, RunStatus::kCancelled) << cancelled.error << instance.log(run);
  EXPECT_THAT(instance.state("shop"), HasSubstr("first"));
  EXPECT_EQ(
      instance.daemon().get(instance.daemon().store().state_lock({WorkspaceName("shop"), ""})),
      std::nullopt);
  EXPECT_TRUE(instance.is_clean(run));
}

TEST(Runs, ATimeoutEndsTheRun) {
  Instance instance;
  instance.settings.runs.stop_allowance = 5s;
  instance.start();
  instance.publish("shop", R"(resource "terraform_data" "slow" {
  provisioner "local-exec" { command = "sleep 300" }
}
)",
                   R"({"timeout": "3s"})");
  const RunId run = instance.enqueue("shop", Operation::kDeploy);
  const auto ended = instance.finished(run);
  EXPECT_EQ(ended.status, RunStatus::kTimedOut) << ended.error << instance.log(run);
  EXPECT_TRUE(instance.is_clean(run));
}

TEST(Runs, CapacityBoundsWhatRunsAtATime) {
  Instance instance;
  instance.settings.execution.capacity = 1;
  instance.start();
  std::vector<RunId> runs;
  for (const char* name : {"a", "b", "c"}) {
    instance.publish(name, kOne);
    runs.push_back(instance.enqueue(name, Operation::kDeploy));
  }
  std::size_t most = 0;
  EXPECT_TRUE(instance.work_until([&] {
    std::size_t running = 0, ended = 0;
    for (const auto& id : runs) {
      const auto status = instance.run(id).status;
      running += status == RunStatus::kRunning ? 1 : 0;
      ended += is_final(status) ? 1 : 0;
    }
    most = std::max(most, running);
    return ended == runs.size();
  }));
  EXPECT_EQ(most, 1U);
  for (const auto& id : runs) EXPECT_EQ(instance.run(id).status, RunStatus::kSucceeded);
}

}  // namespace
}  // namespace provisioner::testing
