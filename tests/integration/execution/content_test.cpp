// What reaches tofu: includes, custom commands, own backends, lock files; and what a run leaves.
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

TEST(Content, OfIncludedModulesKeepsItsRelativePath) {
  Instance instance;
  instance.start();
  write_file(instance.settings.config_dir / "modules/thing/main.tf",
             R"(resource "terraform_data" "inner" { input = "from the module" }
)");
  instance.publish("shop", R"(module "thing" { source = "../../modules/thing" }
)",
                   R"({"include": ["../../modules"]})");
  const RunId run = instance.enqueue("shop", Operation::kDeploy);
  EXPECT_EQ(instance.finished(run).status, RunStatus::kSucceeded) << instance.log(run);
  EXPECT_THAT(instance.state("shop"), HasSubstr("from the module"));
}

TEST(Content, OfTheLastDeployIsWhatADestroyUses) {
  Instance instance;
  instance.start();
  instance.publish("shop", kOne);
  const RunId deploy = instance.enqueue("shop", Operation::kDeploy);
  ASSERT_EQ(instance.finished(deploy).status, RunStatus::kSucceeded) << instance.log(deploy);
  instance.publish("shop", "this is no tofu any more {");
  const RunId destroy = instance.enqueue("shop", Operation::kDestroy);
  EXPECT_EQ(instance.finished(destroy).status, RunStatus::kSucceeded) << instance.log(destroy);
}

TEST(Content, CustomCommandsSeeTheEnvironmentOfBehaviourMd) {
  Instance instance;
  instance.environment["AWS_PROFILE"] = "prod";
  instance.environment["SHELL_OF_THE_DAEMON"] = "never";
  instance.start();
  instance.publish("shop", kOne, R"({
    "environment": {"REGION": "eu-1"},
    "custom_deploy": {"init_command": "true", "plan_command": "true",
      "apply_command": "env | sort; echo tofu is $(command -v tofu); pwd"}})");
  const RunId run = instance.enqueue("shop", Operation::kDeploy);
  EXPECT_EQ(instance.finished(run).status, RunStatus::kSucceeded) << instance.log(run);
  EXPECT_THAT(instance.log(run),
              AllOf(HasSubstr("AWS_PROFILE=prod"), HasSubstr("REGION=eu-1"),
                    HasSubstr("WORKSPACE_ID=shop"), HasSubstr("RUN_ID=" + run.value),
                    HasSubstr("WORKSPACE_DEPLOYMENT_DIR="), HasSubstr("/bin/tofu"),
                    Not(HasSubstr("SHELL_OF_THE_DAEMON")), Not(HasSubstr("PROVISIONER_CLAIM"))));
}

TEST(Content, WithABackendOfItsOwnKeepsItsStateThere) {
  Instance instance;
  instance.start();
  const auto state = instance.root() / "elsewhere.tfstate";
  instance.publish("shop", "terraform {\n  backend \"local\" {\n    path = \"" + state.string() +
                               "\"\n  }\n}\n" + kOne);
  const RunId run = instance.enqueue("shop", Operation::kDeploy);
  EXPECT_EQ(instance.finished(run).status, RunStatus::kSucceeded) << instance.log(run);
  EXPECT_THAT(read_file(state), HasSubstr("terraform_data"));
  EXPECT_EQ(instance.state("shop"), "");
}

TEST(Content, ThatScannersCannotReadFailsTheRunWithFileAndLine) {
  Instance instance;
  instance.start();
  instance.publish("shop", "resource \"terraform_data\" \"one\" {\n  input = \"open\n");
  const RunId run = instance.enqueue("shop", Operation::kDeploy);
  const auto failed = instance.finished(run);
  EXPECT_EQ(failed.status, RunStatus::kFailed);
  EXPECT_THAT(failed.error, HasSubstr("main.tf"));
  EXPECT_TRUE(instance.is_clean(run));
}

TEST(Content, OfADeployWithATtlSaysWhenItIsToBeDestroyed) {
  Instance instance;
  instance.start();
  instance.publish("shop", kOne, R"({"ttl": "2h"})");
  const RunId run = instance.enqueue("shop", Operation::kDeploy);
  const auto before = instance.daemon().clock().now();
  ASSERT_EQ(instance.finished(run).status, RunStatus::kSucceeded) << instance.log(run);
  const auto after = instance.daemon().clock().now();
  const auto ends = instance.workspace("shop").ttl_expires_at;
  ASSERT_TRUE(ends.has_value());
  EXPECT_GE(*ends, before + 2h);
  EXPECT_LE(*ends, after + 2h);
}

TEST(Content, OnlyTheSecondDeployMayLeaveInitOut) {
  Instance instance;
  instance.start();
  instance.publish("shop", kOne);
  const RunId first = instance.enqueue("shop", Operation::kDeploy);
  ASSERT_EQ(instance.finished(first).status, RunStatus::kSucceeded) << instance.log(first);
  const RunId second = instance.enqueue("shop", Operation::kDeploy);
  ASSERT_EQ(instance.finished(second).status, RunStatus::kSucceeded) << instance.log(second);
  EXPECT_THAT(instance.log(first), HasSubstr("Initializing"));
  EXPECT_THAT(instance.log(second), Not(HasSubstr("Initializing")));
}

TEST(Content, ThatChangedLeavesInitOutUnlessInitDependsOnIt) {
  Instance instance;
  instance.start();
  const auto deployed_log = [&](const std::string& main_tf) {
    instance.publish("shop", main_tf);
    const RunId run = instance.enqueue("shop", Operation::kDeploy);
    EXPECT_EQ(instance.finished(run).status, RunStatus::kSucceeded) << instance.log(run);
    return instance.log(run);
  };
  deployed_log(kOne);
  EXPECT_THAT(deployed_log("resource \"terraform_data\" \"one\" { input = \"second\" }\n"),
              AllOf(HasSubstr("init: not needed"), Not(HasSubstr("Initializing"))));
  EXPECT_THAT(deployed_log(std::string("terraform { required_version = \">= 1.0\" }\n") + kOne),
              HasSubstr("Initializing"));
}

}  // namespace
}  // namespace provisioner::testing
