// Jobs of a workspace and standalone ones, as an installation sees them: what they write, in which
// order, and what is said of those that could not run.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "tests/support/daemon.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/git_repository.hpp"

namespace provisioner::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class Jobs : public ::testing::Test {
 protected:
  std::string file(const std::string& name) const { return (installation_.root() / name).string(); }
  std::string text_of(const std::string& name) const { return read_file(file(name)); }

  // Says in the journal when it begins and ends, with `work` between.
  Json noted(const std::string& name, const std::vector<std::string>& depends_on,
             const std::string& work = "true") const {
    return {{"name", name},
            {"type", "command"},
            {"schedule", "@deployment"},
            {"depends_on", depends_on},
            {"command", fmt::format("echo begin $JOB_NAME >> {0}; {1} || exit 3; "
                                    "echo end $JOB_NAME >> {0}",
                                    file("journal"), work)}};
  }
  // Ends when the other one has begun as well: proves that both were alive at one time.
  std::string meet(const std::string& own, const std::string& other) const {
    return fmt::format(
        "touch {}; i=0; until test -e {}; do i=$((i+1)); test $i -lt 1200 || "
        "exit 4; sleep 0.05; done",
        file(own), file(other));
  }
  // Which line of the journal says so; fails when none or several do.
  std::ptrdiff_t when(const std::string& what) const {
    std::vector<std::string> lines;
    std::string journal = text_of("journal");
    for (std::size_t end; (end = journal.find('\n')) != std::string::npos;) {
      lines.push_back(journal.substr(0, end));
      journal.erase(0, end + 1);
    }
    EXPECT_EQ(std::ranges::count(lines, what), 1) << what;
    return std::ranges::find(lines, what) - lines.begin();
  }

  std::vector<Json> all_runs() const {
    return installation_.query({"run", "list", "--limit", "500"})["items"];
  }
  // The jobs' runs by name, once all of `names` have ended.
  std::map<std::string, Json> ended(const std::vector<std::string>& names) const {
    std::map<std::string, Json> found;
    eventually(90s, [&] {
      found.clear();
      for (const auto& run : all_runs()) {
        if (run["job"].is_string() && run["finished_at"].is_string()) found[run["job"]] = run;
      }
      return std::ranges::all_of(names, [&](const auto& name) { return found.contains(name); });
    });
    for (const auto& name : names) {
      EXPECT_TRUE(found.contains(name)) << name << installation_.log();
    }
    return found;
  }
  void wait_until_known(const std::string& workspace) const {
    ASSERT_TRUE(eventually(60s, [&] {
      return installation_.command({"workspace", "show", workspace}).code == 0;
    })) << installation_.log();
  }
  void succeed(const std::vector<std::string>& words) const {
    const auto done = installation_.command(words, 180s);
    ASSERT_EQ(done.code, 0) << done.out << done.err << installation_.log();
  }
  bool says(const std::string& what) const {
    return eventually(60s, [&] { return installation_.log().find(what) != std::string::npos; });
  }

  Installation installation_;
};

TEST_F(Jobs, AChainWithTwoBranchesRunsInItsOrderAndTheBranchesSideBySide) {
  installation_.add_workspace(
      "shop", {{"jobs",
                {noted("announce", {"warm", "index"}), noted("warm", {"load"}),
                 noted("load", {"prepare"}, meet("load-is-there", "index-is-there")),
                 noted("index", {"prepare"}, meet("index-is-there", "load-is-there")),
                 noted("prepare", {})}}});
  installation_.start();
  wait_until_known("shop");
  succeed({"workspace", "deploy", "shop"});
  for (const auto& [job, run] : ended({"prepare", "load", "index", "warm", "announce"})) {
    EXPECT_EQ(run["status"], "succeeded") << run << installation_.log();
    EXPECT_EQ(run["trigger"], "event");
  }
  EXPECT_LT(when("end prepare"), when("begin load"));
  EXPECT_LT(when("end prepare"), when("begin index"));
  EXPECT_LT(when("end load"), when("begin warm"));
  EXPECT_LT(when("end warm"), when("begin announce"));
  EXPECT_LT(when("end index"), when("begin announce"));
  EXPECT_TRUE(says("job announce succeeded\""));
}

TEST_F(Jobs, AFailedOneSkipsThoseBehindItAndSaysSo) {
  installation_.add_workspace("shop", {{"jobs",
                                        {noted("prepare", {}), noted("load", {"prepare"}, "false"),
                                         noted("index", {"prepare"}), noted("warm", {"load"}),
                                         noted("announce", {"warm", "index"})}}});
  installation_.start();
  wait_until_known("shop");
  succeed({"workspace", "deploy", "shop"});
  auto runs = ended({"prepare", "load", "index", "warm", "announce"});
  EXPECT_EQ(runs["prepare"]["status"], "succeeded");
  EXPECT_EQ(runs["index"]["status"], "succeeded");
  EXPECT_EQ(runs["load"]["status"], "failed");
  EXPECT_EQ(runs["load"]["exit_code"], 3);
  EXPECT_EQ(runs["load"]["error"], "job load ended with exit code 3");
  EXPECT_EQ(runs["warm"]["status"], "cancelled");
  EXPECT_EQ(runs["warm"]["error"], "skipped: job load, which it depends on, has failed");
  EXPECT_EQ(runs["warm"]["started_at"], nullptr);
  EXPECT_EQ(runs["announce"]["status"], "cancelled");
  EXPECT_EQ(runs["announce"]["error"],
            "skipped: job warm, which it depends on, was not run to its end");
  EXPECT_EQ(text_of("journal").find("warm"), std::string::npos);
  EXPECT_EQ(text_of("journal").find("announce"), std::string::npos);
  EXPECT_TRUE(says("job warm is skipped: job load, which it depends on, has failed"));
  EXPECT_EQ(installation_.workspace("shop")["status"], "deployed");
}

TEST_F(Jobs, EventsOfAFailedDeployAndOfADestroyStartTheirOwn) {
  const auto on = [&](const std::string& name, const char* event) {
    return Json{{"name", name},
                {"command", fmt::format("echo {{{{job_name}}}} of {{{{workspace_name}}}} >> {}",
                                        file("journal"))},
                {"schedule", event}};
  };
  installation_.add_workspace("shop",
                              {{"retry", {{"max_retries", 0}}},
                               {"on_change", "ignore"},
                               {"jobs",
                                {on("cheer", "@deployment"), on("alarm", "@deployment-failed"),
                                 on("farewell", "@destroy")}}});
  installation_.start();
  wait_until_known("shop");
  succeed({"workspace", "deploy", "shop"});
  ended({"cheer"});
  const Json before = installation_.workspace("shop")["bundle"];
  installation_.write("shop", "broken.tf", R"(resource "terraform_data" "refuses" {
  provisioner "local-exec" { command = "exit 9" }
}
)");
  ASSERT_TRUE(eventually(60s, [&] { return installation_.workspace("shop")["bundle"] != before; }));
  EXPECT_EQ(installation_.command({"workspace", "deploy", "shop"}).code, 1);
  ended({"alarm"});
  succeed({"workspace", "destroy", "shop", "--yes"});
  ended({"farewell"});
  EXPECT_EQ(text_of("journal"), "cheer of shop\nalarm of shop\nfarewell of shop\n");
}

TEST_F(Jobs, StandaloneOnesRunAtTheDaemonsStartAndByTheClock) {
  const auto write_job = [&](const std::string& name, const Json& job) {
    write_file(installation_.config_dir() / "jobs" / (name + ".json"), job.dump(2));
  };
  write_job("awake",
            {{"script", fmt::format("#!/bin/sh\necho $WORKSPACE_ID $JOB_NAME $GREETING >> {}\n",
                                    file("awake"))},
             {"environment", {{"GREETING", "hello from {{job_name}}"}}},
             {"schedule", "@reboot"}});
  installation_.start();
  auto runs = ended({"awake"});
  EXPECT_EQ(runs["awake"]["workspace"], "_standalone_");
  EXPECT_EQ(runs["awake"]["status"], "succeeded");
  EXPECT_EQ(runs["awake"]["trigger"], "event");
  EXPECT_EQ(text_of("awake"), "_standalone_ awake hello from awake\n");

  // A file that comes later; its time comes within a minute.
  write_job("tick", {{"command", "echo tick >> " + file("tick")}, {"schedule", "* * * * *"}});
  ASSERT_TRUE(eventually(150s, [&] { return text_of("tick") == "tick\n"; })) << installation_.log();
  runs = ended({"tick"});
  EXPECT_EQ(runs["tick"]["trigger"], "schedule");
  EXPECT_EQ(text_of("awake"), "_standalone_ awake hello from awake\n");

  // One that goes with its file.
  std::filesystem::remove(installation_.config_dir() / "jobs" / "tick.json");
  EXPECT_TRUE(says("the file of job tick has vanished"));

  // Nobody was alive: the next start is one more reboot.
  EXPECT_EQ(installation_.stop_daemon(), 0);
  installation_.start();
  EXPECT_TRUE(eventually(60s, [&] {
    return text_of("awake") ==
           "_standalone_ awake hello from awake\n"
           "_standalone_ awake hello from awake\n";
  })) << installation_.log();
}

TEST_F(Jobs, AMistakeInOneIsSaidPreciselyAndConcernsItsWorkspaceOnly) {
  const auto good = Json{{"name", "fine"}, {"command", "true"}, {"schedule", "@deployment"}};
  const auto with = [&](const char* field, const Json& value) {
    Json job = good;
    job[field] = value;
    return job;
  };
  const std::vector<std::pair<std::vector<Json>, std::string>> mistakes = {
      {{good, with("type", "shell")}, "jobs[1].type: "},
      {{with("schedule", "61 * * * *")}, "jobs[0].schedule: "},
      {{with("schedule", {"0 4 * * *", "@deployed"})},
       "jobs[0].schedule[1]: @deployed is not known; "},
      {{with("timeout", "soon")}, "jobs[0].timeout: "},
      {{with("overlap", "maybe")}, "jobs[0].overlap: "},
      {{with("catch_up", "some")}, "jobs[0].catch_up: "},
      {{with("depends_on", {"nobody"})}, "jobs[0].depends_on"},
      {{with("environment", {{"JOB_NAME", "x"}})}, "jobs[0].environment.JOB_NAME: "},
      {{with("command", "echo {{nothing}}")}, "jobs[0].command: "},
      {{with("working_dir", "../other")}, "jobs[0].working_dir: "},
      {{with("enabled", "yes")}, "jobs[0].enabled: "},
      {{with("tags", 7)}, "jobs[0].tags"},
      {{good, good}, "jobs[1]"},
      {{{{"name", "empty"}}}, "jobs[0]: does nothing: give it a \"command\""},
      {{noted("hen", {"egg"}), noted("egg", {"hen"})},
       "jobs: depends_on goes round in a circle: hen -> egg -> hen"},
  };
  for (std::size_t i = 0; i < mistakes.size(); ++i) {
    installation_.add_workspace(fmt::format("bad-{}", i), {{"jobs", mistakes[i].first}});
  }
  write_file(installation_.config_dir() / "jobs" / "bad-file.json",
             R"({"command": "true", "schedule": "@deployment"})");
  installation_.add_workspace("good", {{"jobs", {good}}});
  installation_.start();
  wait_until_known("good");
  succeed({"workspace", "deploy", "good"});
  EXPECT_EQ(ended({"fine"})["fine"]["status"], "succeeded");
  const auto quoted = [](const std::string& text) {
    const std::string json = Json(text).dump();
    return json.substr(1, json.size() - 2);
  };
  for (std::size_t i = 0; i < mistakes.size(); ++i) {
    EXPECT_TRUE(
        says(quoted(fmt::format("workspaces/bad-{}/config.json: {}", i, mistakes[i].second))))
        << mistakes[i].second << installation_.command({"workspace", "validate", "--all"}).out;
  }
  EXPECT_TRUE(says("and @annually; events are @deployment, @deployment-failed, @destroy, "));
  EXPECT_TRUE(says("jobs/bad-file.json: schedule: @deployment is an event of a workspace"));
  EXPECT_EQ(installation_.query({"workspace", "list"})["items"].size(), 1u);

  // Mended, it is there.
  installation_.write("bad-0", "config.json", Json{{"jobs", {good}}}.dump());
  wait_until_known("bad-0");
}

// A deployment inside a deployment.
class TemplateJobs : public Jobs {
 protected:
  void SetUp() override {
    repository_.write("part/main.tf", R"(resource "terraform_data" "part" {
  provisioner "local-exec" { command = "echo deploy $JOB_NAME >> $JOURNAL" }
  provisioner "local-exec" {
    when    = destroy
    command = "echo destroy $JOB_NAME >> $JOURNAL"
  }
}
)");
    repository_.commit();
    installation_.start();
    succeed({"template", "add", "part", repository_.url(), "--path", "part"});
    const auto part = [&](const std::string& name, const std::vector<std::string>& after) {
      return Json{{"name", name},        {"type", "template"},
                  {"template", "part"},  {"schedule", "@deployment"},
                  {"depends_on", after}, {"environment", {{"JOURNAL", file("journal")}}}};
    };
    installation_.add_workspace(
        "shop",
        {{"environment", {{"JOURNAL", file("journal")}}},
         {"jobs",
          {part("network", {}), part("database", {"network"}), part("frontend", {"database"})}}},
        R"(resource "terraform_data" "shop" {
  provisioner "local-exec" { command = "echo deploy shop >> $JOURNAL" }
  provisioner "local-exec" {
    when    = destroy
    command = "echo destroy shop >> $JOURNAL"
  }
}
)");
    wait_until_known("shop");
  }

  GitRepository repository_;
};

TEST_F(TemplateJobs, AreDeployedAfterTheirWorkspaceAndDestroyedInReverseOrderBeforeIt) {
  succeed({"workspace", "deploy", "shop"});
  for (const auto& [job, run] : ended({"network", "database", "frontend"})) {
    EXPECT_EQ(run["status"], "succeeded") << run;
    EXPECT_EQ(run["operation"], "deploy");
    EXPECT_EQ(run["resources"]["add"], 1);
  }
  succeed({"workspace", "destroy", "shop", "--yes"});
  EXPECT_EQ(text_of("journal"),
            "deploy shop\ndeploy network\ndeploy database\ndeploy frontend\n"
            "destroy frontend\ndestroy database\ndestroy network\ndestroy shop\n");
  EXPECT_EQ(installation_.workspace("shop")["status"], "destroyed");

  // States of their own: that of the workspace has never held another's resources.
  const auto versions = installation_.query({"state", "list", "shop"})["items"];
  EXPECT_EQ(versions.size(), 2u);
  for (const auto& version : versions) EXPECT_LE(version["resources"], 1);
  // A second deploy finds nothing of the first: all is made anew.
  std::filesystem::remove(file("journal"));
  succeed({"workspace", "deploy", "shop"});
  EXPECT_TRUE(eventually(120s, [&] {
    return text_of("journal") == "deploy shop\ndeploy network\ndeploy database\ndeploy frontend\n";
  })) << text_of("journal");
}

}  // namespace
}  // namespace provisioner::testing
