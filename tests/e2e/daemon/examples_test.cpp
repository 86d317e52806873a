// examples/features, with the real daemon and the real tofu: what people copy behaves as its README
// says.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <map>

#include "tests/support/daemon.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/git_repository.hpp"

namespace provisioner::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
namespace fs = std::filesystem;

class Examples : public ::testing::Test {
 protected:
  void SetUp() override {
    const fs::path source = fs::path(PROVISIONER_SOURCE_DIR) / "examples" / "features";
    fs::copy(source, installation_.config_dir(),
             fs::copy_options::recursive | fs::copy_options::overwrite_existing);
    fs::create_directories(home());
    installation_.environment["HOME"] = home();
    installation_.environment["PROVISIONER_SCHEDULER_FIRST_SEEN"] = "wait";
    installation_.start();
    ASSERT_TRUE(eventually(60s, [&] {
      return installation_.query({"workspace", "list"})["items"].size() == 7;
    })) << installation_.log();
    // Whatever the hour: the tests deploy by hand.
    for (const auto& row : installation_.query({"workspace", "list"})["items"]) {
      ASSERT_EQ(run({"workspace", "hold", row["name"]}).code, 0);
    }
  }

  fs::path home() const { return installation_.root() / "home"; }
  Finished run(const std::vector<std::string>& words) const {
    return installation_.command(words, 180s);
  }
  void succeed(const std::vector<std::string>& words) const {
    const auto done = run(words);
    EXPECT_EQ(done.code, 0) << done.out << done.err;
  }
  Json output(const std::string& workspace, const std::string& name) const {
    return installation_.query({"workspace", "outputs", workspace})[name]["value"];
  }
  // "08:00 deploy busy", in local time.
  std::vector<std::string> preview(const std::string& workspace, const std::string& from,
                                   const std::string& to) const {
    std::vector<std::string> lines;
    for (const auto& point :
         installation_.query({"schedule", "preview", workspace, "--from", from, "--to", to})) {
      std::string line = point["local_time"].get<std::string>().substr(11, 5) + " " +
                         point["action"].get<std::string>();
      if (point["mode"].is_string()) line += " " + point["mode"].get<std::string>();
      lines.push_back(line);
    }
    return lines;
  }
  std::size_t resources_in_store(const std::string& workspace) const {
    return Json::parse(run({"state", "pull", workspace}).out)["resources"].size();
  }
  // The runs of the workspace's jobs by name, once `count` of them have succeeded.
  std::map<std::string, Json> job_runs(const std::string& workspace, std::size_t count) const {
    std::map<std::string, Json> ended;
    eventually(90s, [&] {
      ended.clear();
      for (const auto& each : installation_.runs(workspace)) {
        if (each["job"].is_string() && each["finished_at"].is_string()) ended[each["job"]] = each;
      }
      return ended.size() >= count;
    });
    EXPECT_EQ(ended.size(), count) << installation_.log();
    for (const auto& [job, each] : ended) EXPECT_EQ(each["status"], "succeeded") << each;
    return ended;
  }
  std::string log_of(const Json& each) const { return run({"run", "logs", each["id"]}).out; }

  Installation installation_;
};

TEST_F(Examples, AllLoadWithoutAnError) {
  for (const auto& row : installation_.query({"workspace", "validate", "--all"})) {
    EXPECT_TRUE(row["valid"].get<bool>()) << row;
  }
}

TEST_F(Examples, TheOfficeHasTwoModes) {
  EXPECT_THAT(preview("office", "2026-03-02T00:00:00Z", "2026-03-03T00:00:00Z"),
              ElementsAre("08:00 deploy busy", "13:00 deploy quiet", "18:00 destroy"));
  EXPECT_THAT(preview("office", "2026-03-07T00:00:00Z", "2026-03-08T00:00:00Z"),
              ElementsAre("09:00 deploy quiet", "13:00 destroy"));
  succeed({"workspace", "deploy", "office", "quiet"});
  EXPECT_EQ(output("office", "desks"), 2);
  succeed({"workspace", "mode", "office", "busy"});
  EXPECT_EQ(output("office", "desks"), 5);
  EXPECT_EQ(installation_.workspace("office")["mode"], "busy");
}

TEST_F(Examples, ThePermanentOneIsNeverDestroyedByItself) {
  EXPECT_THAT(preview("always-on", "2026-03-01T00:00:00Z", "2026-03-15T00:00:00Z"),
              ElementsAre("06:00 deploy", "06:00 deploy"));
  succeed({"workspace", "deploy", "always-on"});
  EXPECT_EQ(output("always-on", "address"), "registry.example.org");
}

TEST_F(Examples, TheLunchBreakIsWrittenWithArrays) {
  EXPECT_THAT(preview("lunch-break", "2026-03-02T00:00:00Z", "2026-03-03T00:00:00Z"),
              ElementsAre("08:00 deploy", "12:00 destroy", "13:00 deploy", "18:00 destroy"));
  EXPECT_THAT(preview("lunch-break", "2026-03-07T00:00:00Z", "2026-03-08T00:00:00Z"),
              ElementsAre("09:00 deploy", "12:00 destroy"));
}

TEST_F(Examples, TheMakefilesStateIsInTheStore) {
  succeed({"workspace", "deploy", "makefile"});
  EXPECT_EQ(output("makefile", "colour"), "green");
  EXPECT_EQ(resources_in_store("makefile"), 1u);
  succeed({"workspace", "deploy", "makefile"});  // init, plan and apply on what is there
  succeed({"workspace", "destroy", "makefile", "--yes"});
  EXPECT_EQ(resources_in_store("makefile"), 0u);
}

TEST_F(Examples, TheMakefileWithABackendOfItsOwnKeepsItsState) {
  const fs::path state = home() / ".provisioner-example" / "own.tfstate";
  succeed({"workspace", "deploy", "makefile-own-state"});
  EXPECT_THAT(read_file(state), HasSubstr("of its own"));
  EXPECT_TRUE(installation_.query({"state", "list", "makefile-own-state"})["items"].empty());
  succeed({"workspace", "destroy", "makefile-own-state", "--yes"});
  EXPECT_EQ(Json::parse(read_file(state))["resources"], Json::array());
}

TEST_F(Examples, ThePipelinesJobsRunInOrderAndItsBranchesSideBySide) {
  succeed({"workspace", "deploy", "pipeline"});
  auto runs = job_runs("pipeline", 5);
  const auto began = [&](const char* job) { return runs[job]["started_at"]; };
  const auto ended = [&](const char* job) { return runs[job]["finished_at"]; };
  EXPECT_LE(ended("prepare"), began("load"));
  EXPECT_LE(ended("prepare"), began("index"));
  EXPECT_LE(ended("load"), began("warm"));
  EXPECT_LE(ended("warm"), began("announce"));
  EXPECT_LE(ended("index"), began("announce"));
  EXPECT_THAT(log_of(runs["announce"]), HasSubstr("pipeline is ready\n"));
}

TEST_F(Examples, TheShopHasADatabaseOfItsOwnThatGoesBeforeItDoes) {
  GitRepository repository;
  fs::copy(installation_.config_dir() / "templates", repository.path(),
           fs::copy_options::recursive);
  repository.commit();
  succeed({"template", "add", "database", repository.url(), "--path", "database"});
  succeed({"workspace", "deploy", "shop"});
  auto runs = job_runs("shop", 2);
  EXPECT_EQ(runs["database"]["resources"]["add"], 1);
  EXPECT_LE(runs["database"]["finished_at"], runs["check"]["started_at"]);
  EXPECT_THAT(log_of(runs["check"]), HasSubstr("checking shop\n"));
  EXPECT_EQ(resources_in_store("shop"), 1u);

  succeed({"workspace", "destroy", "shop", "--yes"});
  Json of_database, of_shop;
  for (const auto& each : installation_.runs("shop")) {
    if (each["operation"] == "destroy") (each["job"].is_null() ? of_shop : of_database) = each;
  }
  EXPECT_EQ(of_database["status"], "succeeded") << of_database;
  EXPECT_EQ(of_database["resources"]["destroy"], 1);
  EXPECT_LE(of_database["finished_at"], of_shop["started_at"]);
  EXPECT_EQ(resources_in_store("shop"), 0u);
}

TEST_F(Examples, HousekeepingBelongsToNoWorkspace) {
  EXPECT_TRUE(eventually(60s, [&] {
    return installation_.log().find(R"("message":"job loaded")") != std::string::npos &&
           installation_.log().find(R"("job":"housekeeping")") != std::string::npos;
  })) << installation_.log();
}

}  // namespace
}  // namespace provisioner::testing
