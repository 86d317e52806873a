#include "tofu/command_line.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace provisioner::tofu {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Not;

TEST(CommandLine, InitForgetsOnlyOurOwnBackend) {
  EXPECT_THAT(init_arguments({}), ElementsAre("init", "-input=false", "-no-color", "-reconfigure"));
  EXPECT_THAT(init_arguments({.own_backend = false}), Not(Contains("-reconfigure")));
  EXPECT_THAT(init_arguments({.upgrade = true}), Contains("-upgrade"));
}

TEST(CommandLine, APlanIsSavedAndTheApplyTakesIt) {
  EXPECT_THAT(plan_arguments({.plan_file = "/w/plan"}),
              ElementsAre("plan", "-json", "-input=false", "-out=/w/plan"));
  EXPECT_THAT(plan_arguments({.destroy = true, .var_file = "/w/v.tfvars.json", .plan_file = "p"}),
              ElementsAre("plan", "-json", "-input=false", "-destroy", "-var-file=/w/v.tfvars.json",
                          "-out=p"));
  EXPECT_THAT(apply_arguments("/w/plan"), ElementsAre("apply", "-json", "-input=false", "/w/plan"));
}

}  // namespace
}  // namespace provisioner::tofu
