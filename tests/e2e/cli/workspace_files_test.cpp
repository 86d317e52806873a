// workspace add and update: edits of config.json that keep what they do not know, and never leave
// a broken file.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/support/daemon.hpp"

namespace provisioner::testing {
namespace {

namespace fs = std::filesystem;

bool holds(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

std::string read(const fs::path& file) {
  std::ostringstream text;
  text << std::ifstream(file).rdbuf();
  return text.str();
}

class WorkspaceFiles : public ::testing::Test {
 protected:
  Finished run(const std::vector<std::string>& arguments) const {
    return installation_.command(arguments);
  }
  std::string config(const std::string& name) const {
    return read(installation_.workspace_dir(name) / "config.json");
  }
  std::vector<std::string> files(const std::string& name) const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(installation_.workspace_dir(name))) {
      names.push_back(entry.path().filename());
    }
    return names;
  }

  Installation installation_;
};

TEST_F(WorkspaceFiles, AddMakesTheFolderAndSaysWhatIsMissing) {
  const auto added =
      run({"workspace", "add", "shop", "--description", "the shop", "--deploy-schedule",
           "0 8 * * *", "--deploy-schedule", "0 12 * * *", "--destroy-schedule", "never",
           "--timezone", "Europe/Berlin", "--disabled"});
  EXPECT_EQ(added.code, 0) << added.err;
  EXPECT_TRUE(holds(
      added.err, "put the tofu files (*.tf) into " + installation_.workspace_dir("shop").string()))
      << added.err;
  EXPECT_EQ(Json::parse(config("shop")), Json({{"enabled", false},
                                               {"description", "the shop"},
                                               {"deploy_schedule", {"0 8 * * *", "0 12 * * *"}},
                                               {"destroy_schedule", false},
                                               {"timezone", "Europe/Berlin"}}));
  EXPECT_EQ(files("shop"), std::vector<std::string>{"config.json"});
  installation_.write("shop", "main.tf", Installation::kOneResource);
  EXPECT_EQ(run({"workspace", "validate", "shop"}).code, 0);
}

TEST_F(WorkspaceFiles, AddOverwritesNothingAndWritesNothingBroken) {
  EXPECT_EQ(run({"workspace", "add", "shop"}).code, 0);
  const auto again = run({"workspace", "add", "shop", "--description", "another"});
  EXPECT_EQ(again.code, 4);
  EXPECT_TRUE(holds(again.err, "workspace update shop")) << again.err;
  const auto broken = run({"workspace", "add", "stall", "--deploy-schedule", "75 * * * *"});
  EXPECT_EQ(broken.code, 2);
  EXPECT_TRUE(holds(broken.err, "deploy_schedule: minute 75")) << broken.err;
  EXPECT_FALSE(fs::exists(installation_.workspace_dir("stall")));
  EXPECT_EQ(run({"workspace", "add", "../stall"}).code, 2);
  EXPECT_EQ(run({"workspace", "add", "kiosk", "--mode-schedule", "0 8 * * *"}).code, 2);
}

TEST_F(WorkspaceFiles, UpdateKeepsWhatItDoesNotKnowInItsOrder) {
  installation_.add_workspace("shop", Json::object());
  installation_.write("shop", "config.json", R"({
    "tags": ["b", "a"],
    "owner": {"team": 7},
    "deploy_schedule": "0 8 * * *",
    "description": "old"
})");
  const auto updated = run({"workspace", "update", "shop", "--description", "new",
                            "--destroy-schedule", "0 18 * * *", "--disable", "--output", "json"});
  ASSERT_EQ(updated.code, 0) << updated.err;
  EXPECT_EQ(Json::parse(updated.out)["problem"], nullptr);
  EXPECT_TRUE(holds(updated.out, "owner")) << "the unknown field is warned of: " << updated.out;
  EXPECT_EQ(config("shop"), R"({
    "tags": [
        "b",
        "a"
    ],
    "owner": {
        "team": 7
    },
    "deploy_schedule": "0 8 * * *",
    "description": "new",
    "enabled": false,
    "destroy_schedule": "0 18 * * *"
}
)");
  ASSERT_EQ(run({"workspace", "update", "shop", "--enable", "--description", ""}).code, 0);
  EXPECT_EQ(Json::parse(config("shop"))["enabled"], true);
  EXPECT_FALSE(Json::parse(config("shop")).contains("description"));
}

TEST_F(WorkspaceFiles, UpdateLeavesTheFileAsItWasWhenTheResultWouldBeBroken) {
  installation_.add_workspace("shop", {{"deploy_schedule", "0 8 * * *"}});
  const std::string before = config("shop");
  for (const std::vector<std::string>& wrong : std::vector<std::vector<std::string>>{
           {"--timezone", "Europe/Berlln"},
           {"--deploy-schedule", "0 0 31 2 *"},
           {"--mode-schedule", "busy=0 8 * * *"},
           {"--mode-schedule", "busy=0 8 * * *", "--deploy-schedule", "never"}}) {
    std::vector<std::string> words = {"workspace", "update", "shop"};
    words.insert(words.end(), wrong.begin(), wrong.end());
    const auto refused = run(words);
    EXPECT_EQ(refused.code, 2) << wrong.back();
    EXPECT_EQ(config("shop"), before) << wrong.back();
  }
  EXPECT_TRUE(holds(run({"workspace", "update", "shop", "--mode-schedule", "busy=0 8 * * *",
                         "--deploy-schedule", "never"})
                        .err,
                    "deployment_mode"));
  EXPECT_EQ(run({"workspace", "update", "shop"}).code, 2);
  EXPECT_EQ(run({"workspace", "update", "nobody", "--enable"}).code, 3);
  EXPECT_EQ(files("shop").size(), 2u) << "no temporary file is left";
}

TEST_F(WorkspaceFiles, UpdateWritesThroughALinkAndKeepsTheFilesMode) {
  installation_.add_workspace("shop", {{"deploy_schedule", "0 8 * * *"}});
  const fs::path real = installation_.root() / "kept-elsewhere.json";
  fs::rename(installation_.workspace_dir("shop") / "config.json", real);
  fs::create_symlink(real, installation_.workspace_dir("shop") / "config.json");
  fs::permissions(real, fs::perms(0640));
  ASSERT_EQ(run({"workspace", "update", "shop", "--description", "new"}).code, 0);
  EXPECT_TRUE(fs::is_symlink(installation_.workspace_dir("shop") / "config.json"));
  EXPECT_EQ(Json::parse(read(real))["description"], "new");
  EXPECT_EQ(fs::status(real).permissions(), fs::perms(0640));
}

TEST_F(WorkspaceFiles, TheDirectoryOfWorkspacesMayStandElsewhere) {
  const fs::path elsewhere = installation_.root() / "elsewhere";
  fs::create_directories(elsewhere);
  installation_.environment["PROVISIONER_WORKSPACES_DIR"] = elsewhere;
  ASSERT_EQ(run({"workspace", "add", "shop"}).code, 0);
  EXPECT_TRUE(fs::exists(elsewhere / "shop" / "config.json"));
}

}  // namespace
}  // namespace provisioner::testing
