// Modes, switches, removal and the old names, against a real daemon and real tofu.
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/support/daemon.hpp"
#include "tests/support/eventually.hpp"

namespace provisioner::testing {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

constexpr std::string_view kSized = R"(variable "deployment_mode" { type = string }
resource "terraform_data" "size" { input = var.deployment_mode }
output "size" { value = terraform_data.size.output }
)";

bool holds(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

class Modes : public ::testing::Test {
 protected:
  void given(const std::string& name, const Json& config, std::string_view tf) {
    installation_.add_workspace(name, config, tf);
    if (!installation_.has_daemon()) installation_.start();
    ASSERT_TRUE(eventually(60s, [&] { return run({"workspace", "show", name}).code == 0; }))
        << installation_.log();
  }
  Finished run(const std::vector<std::string>& arguments) const {
    return installation_.command(arguments);
  }
  // As one of the file-based version's programs.
  Finished old_name(const std::string& program, const std::vector<std::string>& arguments) {
    const fs::path link = installation_.root() / program;
    if (!fs::exists(link)) fs::create_symlink(built("provisioner"), link);
    std::vector<std::string> words = {link};
    words.insert(words.end(), arguments.begin(), arguments.end());
    return run_program(words, {{"PROVISIONER_STATE_DIR", installation_.state_dir()},
                               {"PROVISIONER_CONFIG_DIR", installation_.config_dir()}});
  }
  std::string size() const {
    return installation_.query({"workspace", "outputs", "sized"})["size"]["value"];
  }

  Installation installation_;
};

// Which modes there are, and which one the schedule has just now, at whatever hour the test runs.
TEST_F(Modes, AreDeployedRecordedShownAndChanged) {
  given("sized", {{"mode_schedules", {{"busy", "* * * * *"}, {"quiet", "0 0 29 2 *"}}}}, kSized);
  // The timeline says busy: by itself, or by a person who names none.
  ASSERT_EQ(installation_.wait_for_status("sized", "deployed")["mode"], "busy");
  EXPECT_EQ(size(), "busy");
  ASSERT_EQ(run({"workspace", "hold", "sized"}).code, 0);

  const auto unknown = run({"workspace", "mode", "sized", "calm"});
  EXPECT_EQ(unknown.code, 2);
  EXPECT_TRUE(holds(unknown.err, "busy, quiet")) << unknown.err;
  EXPECT_EQ(run({"workspace", "mode", "sized"}).code, 2);

  ASSERT_EQ(run({"workspace", "mode", "sized", "quiet"}).code, 0) << installation_.log();
  EXPECT_EQ(size(), "quiet");
  EXPECT_EQ(installation_.workspace("sized")["mode"], "quiet");
  EXPECT_EQ(installation_.runs("sized").at(0)["mode"], "quiet");
  EXPECT_TRUE(holds(run({"workspace", "list"}).out, "quiet"));
  EXPECT_TRUE(holds(run({"workspace", "status", "sized"}).out, "mode: quiet"));
  EXPECT_TRUE(
      holds(run({"run", "show", installation_.runs("sized").at(0)["id"]}).out, "mode: quiet"));

  // None given: the timeline's, not the last.
  ASSERT_EQ(run({"workspace", "deploy", "sized"}).code, 0);
  EXPECT_EQ(size(), "busy");
}

TEST_F(Modes, WithoutOneInTheTimelineTheLastCountsAndElseTheyAreListed) {
  using std::chrono::year;
  const auto today = std::chrono::floor<std::chrono::days>(std::chrono::system_clock::now());
  const year this_year = std::chrono::year_month_day(today).year();
  if (this_year.is_leap() || (this_year - std::chrono::years(1)).is_leap()) {
    GTEST_SKIP() << "a twenty-ninth of February is too near: the timeline has a mode";
  }
  given("sized", {{"mode_schedules", {{"busy", "0 0 29 2 *"}, {"quiet", "0 1 29 2 *"}}}}, kSized);
  const auto none = run({"workspace", "deploy", "sized"});
  EXPECT_EQ(none.code, 2);
  EXPECT_TRUE(holds(none.err, "busy, quiet")) << none.err;
  const auto pending = run({"workspace", "mode", "sized", "quiet"});
  EXPECT_EQ(pending.code, 4);
  EXPECT_TRUE(holds(pending.err, "workspace deploy sized quiet")) << pending.err;
  ASSERT_EQ(run({"workspace", "deploy", "sized", "quiet"}).code, 0) << installation_.log();
  ASSERT_EQ(run({"workspace", "deploy", "sized"}).code, 0);
  EXPECT_EQ(size(), "quiet");
  EXPECT_EQ(run({"workspace", "destroy", "sized", "--yes"}).code, 0);
  EXPECT_EQ(run({"workspace", "deploy", "sized"}).code, 0);
  EXPECT_EQ(size(), "quiet");
}

TEST_F(Modes, WhatIsEnabledAgainNeitherDeploysNorMakesUpForWhatItMissed) {
  given("shop", {{"enabled", false}, {"deploy_schedule", "0 * * * *"}}, Installation::kOneResource);
  EXPECT_EQ(installation_.workspace("shop")["enabled"], false);
  const Json enabled = installation_.query({"workspace", "enable", "shop"});
  EXPECT_EQ(enabled["enabled"], true);
  EXPECT_EQ(enabled["next"]["action"], "deploy");
  EXPECT_TRUE(installation_.runs("shop").empty());
  ASSERT_EQ(run({"workspace", "deploy", "shop"}).code, 0);
  ASSERT_EQ(run({"workspace", "disable", "shop"}).code, 0);
  EXPECT_TRUE(holds(run({"workspace", "list"}).out, "disabled"));
  EXPECT_EQ(installation_.workspace("shop")["status"], "deployed");
  // The file still says what it said: the switch holds over a restart.
  installation_.stop_daemon();
  installation_.start();
  EXPECT_EQ(installation_.workspace("shop")["enabled"], false);
  EXPECT_EQ(run({"workspace", "enable", "nobody"}).code, 3);
}

TEST_F(Modes, RemoveWithItsFolderPutsThatAsideUnlessSomethingIsDeployed) {
  given("shop", {{"deploy_schedule", false}}, Installation::kOneResource);
  ASSERT_EQ(run({"workspace", "deploy", "shop"}).code, 0);
  const auto deployed = run({"workspace", "remove", "shop", "--with-folder", "--yes"});
  EXPECT_EQ(deployed.code, 4);
  EXPECT_TRUE(holds(deployed.err, "--abandon")) << deployed.err;
  EXPECT_TRUE(fs::exists(installation_.workspace_dir("shop") / "main.tf"));
  EXPECT_EQ(run({"workspace", "remove", "shop", "--destroy", "--yes"}).code, 4)
      << "its folder would make it anew";
  EXPECT_EQ(installation_.workspace("shop")["status"], "deployed") << "nothing was destroyed";
  const auto removed = run(
      {"workspace", "remove", "shop", "--with-folder", "--destroy", "--yes", "--output", "json"});
  ASSERT_EQ(removed.code, 0) << removed.err;
  EXPECT_FALSE(fs::exists(installation_.workspace_dir("shop")));
  // What was followed comes first.
  const Json answer = Json::parse(removed.out.substr(removed.out.rfind("{\n")));
  EXPECT_TRUE(fs::exists(fs::path(answer["folder"].get<std::string>()) / "main.tf")) << answer;
  EXPECT_EQ(run({"workspace", "show", "shop"}).code, 3);
}

TEST_F(Modes, TheOldNamesHaveTheirOldHabits) {
  given("sized",
        {{"mode_schedules", {{"busy", "0 0 29 2 *"}, {"quiet", "0 1 29 2 *"}}},
         {"description", "of two sizes"}},
        kSized);
  EXPECT_EQ(old_name("workspacectl", {"deploy", "sized", "busy"}).code, 0) << installation_.log();
  EXPECT_EQ(old_name("workspacectl", {"mode", "sized", "quiet"}).code, 0);
  EXPECT_EQ(size(), "quiet");
  EXPECT_TRUE(holds(old_name("workspacectl", {"list", "--detailed"}).out, "of two sizes"));
  EXPECT_TRUE(holds(old_name("workspacectl", {"status"}).out, "sized"));
  EXPECT_TRUE(holds(old_name("workspacectl", {"status", "sized"}).out, "status: deployed"));
  EXPECT_TRUE(holds(old_name("workspacectl", {"logs", "sized"}).out, "terraform_data"));
  EXPECT_EQ(old_name("workspacectl", {"validate", "--all"}).code, 0);
  EXPECT_EQ(
      old_name("workspacectl", {"add", "shop", "--description", "the shop", "--deploy-schedule",
                                "0 8 * * 1-5", "--destroy-schedule", "0 18 * * 1-5", "--disabled"})
          .code,
      0);
  EXPECT_EQ(old_name("workspacectl", {"update", "shop", "--enable"}).code, 0);
  EXPECT_EQ(old_name("workspacectl", {"remove", "sized", "--force"}).code, 4) << "it is deployed";
  EXPECT_EQ(old_name("workspacectl", {"destroy", "sized"}).code, 0);
  EXPECT_EQ(old_name("workspacectl", {"remove", "sized", "--force"}).code, 0);
  EXPECT_FALSE(fs::exists(installation_.workspace_dir("sized")));
  EXPECT_TRUE(holds(old_name("workspacectl", {"--version"}).out, "workspacectl "));
  EXPECT_TRUE(holds(old_name("workspacectl", {"--version-full"}).out, "built with"));
  EXPECT_TRUE(holds(old_name("workspacectl", {"--help"}).out, "deploy"));
  EXPECT_TRUE(holds(old_name("workspacectl", {"deploy", "--help"}).out, "mode"));
}

}  // namespace
}  // namespace provisioner::testing
