#include "tofu/variables.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace provisioner::tofu {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(VariableFile, KeepsEveryValueAsItWasWritten) {
  EXPECT_EQ(*variable_file({{"a", "\"x\""}, {"big", "123456789012345678901234567890"}}, "", {}),
            "{\n  \"a\": \"x\",\n  \"big\": 123456789012345678901234567890\n}\n");
  EXPECT_EQ(*variable_file({}, "", {}), "{}\n");
}

TEST(VariableFile, CarriesTheModeOnlyWhereItIsDeclared) {
  EXPECT_EQ(*variable_file({}, "busy", {"deployment_mode"}),
            "{\n  \"deployment_mode\": \"busy\"\n}\n");
  EXPECT_EQ(*variable_file({}, "busy", {"other"}), "{}\n");
  EXPECT_EQ(*variable_file({{"deployment_mode", "\"calm\""}}, "busy", {"deployment_mode"}),
            "{\n  \"deployment_mode\": \"busy\"\n}\n");
}

TEST(VariableFile, NamesAValueThatIsNoJsonButNotTheValue) {
  const auto file = variable_file({{"password", "hunter2"}}, "", {});
  ASSERT_FALSE(file);
  EXPECT_EQ(file.error().message, "the value of variable password is not JSON");
  EXPECT_THAT(file.error().message, Not(HasSubstr("hunter2")));
}

TEST(BackendEnvironment, LeavesNoSettingToChance) {
  const auto environment = backend_environment({"http://127.0.0.1:1/state/shop", "run", "secret"});
  for (const char* name : {"TF_HTTP_ADDRESS", "TF_HTTP_LOCK_ADDRESS", "TF_HTTP_UNLOCK_ADDRESS"}) {
    EXPECT_EQ(environment.at(name), "http://127.0.0.1:1/state/shop") << name;
  }
  EXPECT_EQ(environment.at("TF_HTTP_RETRY_MAX"), "2");
}

}  // namespace
}  // namespace provisioner::tofu
