// A folder that is edited halfway, broken, renamed or deleted never destroys anything and never
// deploys something half-written.
#include <gtest/gtest.h>

#include "tests/support/daemon.hpp"
#include "tests/support/eventually.hpp"

namespace provisioner::testing {
namespace {

using namespace std::chrono_literals;

class Folder : public ::testing::Test {
 protected:
  void SetUp() override {
    installation_.add_workspace("shop", {{"deploy_schedule", "0 0 1 1 *"}});
    installation_.start();
    ASSERT_TRUE(eventually(
        60s, [&] { return installation_.command({"workspace", "show", "shop"}).code == 0; }));
    ASSERT_EQ(installation_.command({"workspace", "deploy", "shop"}).code, 0)
        << installation_.log();
  }

  std::size_t runs() const { return installation_.runs("shop").size(); }

  // A change of another workspace that was made later is in force: what came before was seen too.
  void let_the_daemon_look() {
    const std::string name = "probe-" + std::to_string(++probes_);
    installation_.add_workspace(name, {{"deploy_schedule", false}});
    ASSERT_TRUE(eventually(60s, [&] {
      return installation_.command({"workspace", "show", name}).code == 0;
    })) << installation_.log();
  }

  bool logged(std::string_view text) {
    return eventually(60s, [&] { return installation_.log().find(text) != std::string::npos; });
  }

  Installation installation_;
  int probes_ = 0;
};

TEST_F(Folder, AChangeOfContentRedeploys) {
  installation_.write("shop", "main.tf",
                      "resource \"terraform_data\" \"one\" { input = \"two\" }\n");
  ASSERT_TRUE(eventually(60s, [&] { return runs() == 2; })) << installation_.log();
  const Json run = installation_.wait_for_end(installation_.runs("shop")[0]["id"]);
  EXPECT_EQ(run["trigger"], "change");
  EXPECT_EQ(run["status"], "succeeded") << run.dump(2);
  EXPECT_EQ(installation_.workspace("shop")["status"], "deployed");
}

TEST_F(Folder, AChangeThatDeletesWaitsForAPerson) {
  installation_.write("shop", "main.tf",
                      "resource \"terraform_data\" \"other\" { input = \"x\" }\n");
  const auto waiting = installation_.wait_for_status("shop", "needs_confirmation");
  ASSERT_EQ(waiting["status"], "needs_confirmation") << installation_.log();
  EXPECT_NE(installation_.command({"state", "show", "shop"}).out.find("\"one\""),
            std::string::npos);
  EXPECT_EQ(installation_.command({"workspace", "confirm", "shop"}).code, 0);
  EXPECT_EQ(installation_.workspace("shop")["status"], "deployed");
  EXPECT_EQ(installation_.command({"state", "show", "shop"}).out.find("\"one\""),
            std::string::npos);
}

TEST_F(Folder, ABrokenConfigKeepsTheLastGoodOne) {
  installation_.write("shop", "config.json", R"({"deploy_schedule": "75 * * * *"})");
  ASSERT_TRUE(logged("minute 75 is outside 0-59"));
  let_the_daemon_look();
  EXPECT_EQ(installation_.workspace("shop")["status"], "deployed");
  EXPECT_EQ(runs(), 1u);
  installation_.write("shop", "config.json", R"({"deploy_schedule": )");
  ASSERT_TRUE(logged("workspaces/shop/config.json"));
  let_the_daemon_look();
  EXPECT_EQ(installation_.workspace("shop")["status"], "deployed");
  EXPECT_EQ(runs(), 1u);
}

TEST_F(Folder, AChangeOfTheScheduleAloneDeploysNothing) {
  installation_.write("shop", "config.json",
                      R"({"deploy_schedule": "0 0 2 2 *", "description": "new"})");
  ASSERT_TRUE(
      eventually(60s, [&] { return installation_.workspace("shop")["description"] == "new"; }));
  let_the_daemon_look();
  EXPECT_EQ(runs(), 1u);
}

TEST_F(Folder, ADeletedFolderDetachesAndItsReturnChangesNothing) {
  const auto folder = installation_.workspace_dir("shop");
  const auto aside = installation_.root() / "aside";
  std::filesystem::rename(folder, aside);
  ASSERT_TRUE(eventually(60s, [&] { return installation_.workspace("shop")["detached"] == true; }))
      << installation_.log();
  EXPECT_EQ(installation_.workspace("shop")["status"], "deployed");
  const auto refused = installation_.command({"workspace", "remove", "shop", "--yes"});
  EXPECT_EQ(refused.code, 4) << refused.err;
  const auto deploy = installation_.command({"workspace", "deploy", "shop"});
  EXPECT_EQ(deploy.code, 4) << deploy.err;
  EXPECT_NE(deploy.err.find("detached: its folder has vanished"), std::string::npos) << deploy.err;
  std::filesystem::rename(aside, folder);
  ASSERT_TRUE(
      eventually(60s, [&] { return installation_.workspace("shop")["detached"] == false; }));
  EXPECT_EQ(installation_.workspace("shop")["status"], "deployed");
  EXPECT_EQ(runs(), 1u);
  // The detached one can still be destroyed on request, from its last content.
  std::filesystem::remove_all(folder);
  ASSERT_TRUE(eventually(60s, [&] { return installation_.workspace("shop")["detached"] == true; }));
  EXPECT_EQ(installation_.command({"workspace", "remove", "shop", "--destroy", "--yes"}).code, 0);
  EXPECT_EQ(installation_.command({"workspace", "show", "shop"}).code, 3);
}

TEST_F(Folder, ARenamedFolderDetachesTheOldNameAndIsANewWorkspaceThatWaitsForItsSchedule) {
  // No occurrence of a yearly schedule lies in the look-back of a new workspace.
  std::filesystem::rename(installation_.workspace_dir("shop"),
                          installation_.workspace_dir("store"));
  ASSERT_TRUE(eventually(60s, [&] {
    return installation_.workspace("shop")["detached"] == true &&
           installation_.command({"workspace", "show", "store"}).code == 0;
  })) << installation_.log();
  let_the_daemon_look();
  EXPECT_EQ(installation_.workspace("shop")["status"], "deployed");
  EXPECT_EQ(runs(), 1u);
  EXPECT_EQ(installation_.workspace("store")["status"], "pending");
  EXPECT_EQ(installation_.workspace("store")["detached"], false);
  EXPECT_TRUE(installation_.runs("store").empty());
  // Each has its own state: the old one's is untouched, the new one has none.
  EXPECT_NE(installation_.command({"state", "show", "shop"}).out.find("\"one\""),
            std::string::npos);
  EXPECT_EQ(installation_.command({"state", "show", "store"}).code, 3);
}

TEST_F(Folder, AHalfWrittenContentIsNotDeployedAndWhatIsDeployedStays) {
  installation_.write("shop", "main.tf", "resource \"terraform_data\" \"one\" {\n  input = ");
  let_the_daemon_look();
  for (const auto& run : installation_.runs("shop")) {
    const Json ended = installation_.wait_for_end(run["id"]);
    EXPECT_EQ(ended["operation"] == "deploy" && ended["trigger"] == "change" &&
                  ended["status"] == "succeeded",
              false)
        << ended.dump(2);
  }
  EXPECT_NE(installation_.command({"state", "show", "shop"}).out.find("\"one\""),
            std::string::npos);
  EXPECT_EQ(installation_.query({"state", "list", "shop"})["items"].size(), 1u);
}

TEST_F(Folder, AnEditInPiecesIsReadOnlyWhenItIsQuiet) {
  // Each piece alone would delete the resource; only the whole is what the user meant.
  const auto file = installation_.workspace_dir("shop") / "main.tf";
  std::string text;
  for (const char* piece :
       {"resource \"terraform_data\"", " \"one\" {\n", "  input = \"three\"\n", "}\n"}) {
    text += piece;
    write_file(file, text);
  }
  ASSERT_TRUE(eventually(60s, [&] { return runs() == 2; })) << installation_.log();
  const Json run = installation_.wait_for_end(installation_.runs("shop")[0]["id"]);
  EXPECT_EQ(run["status"], "succeeded");
  EXPECT_EQ(run["resources"]["destroy"], 0);
  EXPECT_EQ(runs(), 2u);
}

TEST(FirstDeploy, ALocalStateThatWasNotImportedBlocksItUntilItIsPushed) {
  Installation installation;
  installation.add_workspace("shop", {{"deploy_schedule", false}});
  const auto folder = installation.workspace_dir("shop");
  // Somebody has worked on the folder by hand.
  const auto chdir = "-chdir=" + folder.string();
  ASSERT_EQ(run_program({tofu_on_path(), chdir, "init", "-input=false"}).code, 0);
  ASSERT_EQ(run_program({tofu_on_path(), chdir, "apply", "-auto-approve", "-input=false"}).code, 0);
  const auto state = (folder / "terraform.tfstate").string();
  installation.start();
  ASSERT_TRUE(eventually(
      60s, [&] { return installation.command({"workspace", "show", "shop"}).code == 0; }));

  const auto blocked = installation.command({"workspace", "deploy", "shop"});
  EXPECT_EQ(blocked.code, 1);
  EXPECT_NE(blocked.err.find("state push shop " + state), std::string::npos) << blocked.err;

  EXPECT_EQ(installation.command({"state", "push", "shop", state, "--yes"}).code, 0);
  const auto deploy = installation.command({"workspace", "deploy", "shop"});
  EXPECT_EQ(deploy.code, 0) << deploy.err;
  EXPECT_NE(deploy.err.find("0 added"), std::string::npos) << deploy.err;
}

TEST(Dependencies, ACircleAndAnUnknownNameAreSaidWhenTheyAreSeen) {
  Installation installation;
  installation.add_workspace("a", {{"deploy_schedule", false}, {"depends_on", {"b"}}});
  installation.add_workspace("b", {{"deploy_schedule", false}, {"depends_on", {"a"}}});
  installation.add_workspace("c", {{"deploy_schedule", false}, {"depends_on", {"nowhere"}}});
  const auto checked = installation.command({"workspace", "validate", "--all"});
  EXPECT_EQ(checked.code, 1);
  EXPECT_NE(checked.out.find("circle"), std::string::npos) << checked.out;
  EXPECT_NE(checked.out.find("nowhere"), std::string::npos) << checked.out;
  installation.start();
  EXPECT_TRUE(eventually(60s, [&] {
    return installation.log().find("circle") != std::string::npos &&
           installation.log().find("nowhere") != std::string::npos;
  })) << installation.log();
}

}  // namespace
}  // namespace provisioner::testing
