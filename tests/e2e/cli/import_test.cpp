// An installation of the file-based version, in place: refused, looked at, taken over, and gone on
// with, with the states of a real tofu and nothing that happens by surprise.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <map>

#include "tests/support/ask.hpp"
#include "tests/support/daemon.hpp"
#include "tests/support/eventually.hpp"

namespace provisioner::testing {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

const Json kFarAway = {
    {"enabled", true}, {"deploy_schedule", "0 0 1 1 *"}, {"destroy_schedule", "0 1 1 1 *"}};

class OldInstallation : public ::testing::Test {
 protected:
  OldInstallation() {
    fs::create_directories(old() / "deployments");
    rows_ = Json::object();
  }

  fs::path old() const { return installation_.state_dir(); }
  fs::path journal() const { return installation_.root() / "journal"; }
  fs::path deployment(const std::string& name) const { return old() / "deployments" / name; }

  // Every creation and every destruction is a line of the journal.
  std::string content(const std::string& name) const {
    return fmt::format(R"(variable "size" {{
  type    = string
  default = "small"
}}
variable "deployment_mode" {{
  type    = string
  default = ""
}}
resource "terraform_data" "one" {{
  input = "${{var.size}} ${{var.deployment_mode}}"
  provisioner "local-exec" {{ command = "echo create {0} >> {1}" }}
  provisioner "local-exec" {{
    when    = destroy
    command = "echo destroy {0} >> {1}"
  }}
}}
)",
                       name, journal().string());
  }

  void given(const std::string& name, const Json& config, const std::string& status,
             Json row = Json::object()) {
    installation_.add_workspace(name, config, content(name));
    row["name"] = name;
    row["status"] = status;
    rows_[name] = row;
  }
  // What tofu left when it was run by the old version.
  void given_applied(const std::string& name, const fs::path& directory,
                     const std::string& mode = "") {
    write_file(directory / "main.tf", content(name));
    tofu(directory, {"init"});
    std::vector<std::string> apply = {"apply", "-auto-approve"};
    if (!mode.empty()) apply.push_back("-var=deployment_mode=" + mode);
    tofu(directory, apply);
  }
  void given_deployed(const std::string& name, const Json& config = kFarAway) {
    given(name, config, "deployed",
          {{"last_deployed", "2026-01-05T08:00:12.5+01:00"},
           {"last_config_modified", "2026-01-01T00:00:00Z"}});
    given_applied(name, deployment(name));
  }
  void write_scheduler() const {
    write_file(old() / "scheduler.json",
               Json({{"workspaces", rows_}, {"last_updated", "2026-01-05T09:00:00Z"}}).dump(2));
  }
  static void tofu(const fs::path& directory, std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {tofu_on_path(), "-chdir=" + directory.string()});
    const auto done = run_program(arguments, {{"TF_CLI_CONFIG_FILE", ""}}, 120s);
    ASSERT_EQ(done.code, 0) << done.out << done.err;
  }

  Json import(std::vector<std::string> more = {}) const {
    std::vector<std::string> words = {"migrate", "import"};
    words.insert(words.end(), more.begin(), more.end());
    return installation_.query(words);
  }
  static std::map<std::string, Json> by_name(const Json& report) {
    std::map<std::string, Json> rows;
    for (const auto& row : report["workspaces"]) rows[row["workspace"]] = row;
    return rows;
  }
  // Every file below the old directory, with its content.
  std::map<std::string, std::string> files() const {
    std::map<std::string, std::string> all;
    for (const auto& entry : fs::recursive_directory_iterator(old())) {
      if (entry.is_regular_file()) all[entry.path()] = read_file(entry.path());
    }
    return all;
  }
  Json state(const std::string& name) const {
    return Json::parse(installation_.command({"state", "pull", name}).out);
  }

  Installation installation_;
  Json rows_;
};

TEST_F(OldInstallation, IsTakenOverWithoutSurprises) {
  for (int i = 0; i < 6; ++i) {
    const std::string n = std::to_string(i);
    Json config = kFarAway;
    if (i == 0) config["deploy_schedule"] = "* * * * *";
    i < 3 ? given_deployed("live-" + n, config)
          : given("live-" + n, config, "pending", Json::object());
    given("gone-" + n, kFarAway, "destroyed",
          {{"last_deployed", "2026-01-04T08:00:00Z"}, {"last_destroyed", "2026-01-04T18:00:00Z"}});
  }
  given("half", kFarAway, "deploying");
  given_applied("half", deployment("half"));
  given("contrary", kFarAway, "destroyed", {{"last_destroyed", "2026-01-04T18:00:00Z"}});
  given_applied("contrary", deployment("contrary"));
  given("lost", {{"enabled", true}, {"destroy_schedule", "* * * * *"}}, "deployed");
  write_file(deployment("lost") / "terraform.tfstate",
             R"({"version": 4, "terraform_version": "1.11.4", "serial": 7, "lineage": "l-lost",
                 "outputs": {}, "resources": []})");
  given("asleep", {{"deploy_schedule", "* * * * *"}}, "pending");
  given_deployed("off", {{"enabled", false}, {"destroy_schedule", "* * * * *"}});
  given("sized", {{"enabled", true}, {"mode_schedules", {{"busy", "0 0 1 1 *"}}}}, "deployed",
        {{"deployment_mode", "busy"}, {"last_deployed", "2026-01-05T08:00:00Z"}});
  given_applied("sized", deployment("sized"), "busy");
  given_deployed("tuned");
  write_file(deployment("tuned") / "terraform.tfvars", "size = \"large\"\n");
  installation_.add_workspace("older", kFarAway, content("older"));
  given_applied("older", old() / "older");
  rows_["vanished"] = {{"name", "vanished"}, {"status", "deployed"}};
  given_applied("vanished", deployment("vanished"));
  // Its content is the template's, which only the old version has.
  write_file(old() / "templates" / "web" / "main.tf", content("made"));
  write_file(old() / "templates" / "registry.json",
             R"({"templates": {"web": {"name": "web", "source_url": "https://example.org/web.git",
                 "source_ref": "main", "created_at": "2026-01-01T00:00:00Z",
                 "updated_at": "2026-01-02T00:00:00Z"}}})");
  installation_.add_workspace("made", {{"enabled", true}, {"template", "web"}}, "");
  rows_["made"] = {{"name", "made"}, {"status", "deployed"}};
  given_applied("made", deployment("made"));
  write_file(old() / "jobs.json",
             R"({"jobs": {"live-0:report": {"name": "report", "workspace_id": "live-0",
                 "status": "success", "run_count": 4, "success_count": 4, "failure_count": 0},
                 "_standalone_:tidy": {"name": "tidy", "workspace_id": "_standalone_",
                 "status": "failed", "run_count": 9, "success_count": 8, "failure_count": 1}}})");
  write_file(installation_.config_dir() / "jobs/tidy.json",
             R"({"type": "command", "command": "true", "schedule": "0 4 1 1 *"})");
  write_scheduler();
  ASSERT_EQ(rows_.size() + 1, 22u);
  const std::string before = read_file(journal());
  const auto old_files = files();

  // Looked at: nothing is written, not even an empty store.
  const Json tried = import({"--dry-run"});
  EXPECT_EQ(files(), old_files);

  // Started in place it serves, and schedules nothing.
  installation_.launch();
  ASSERT_TRUE(eventually(60s, [&] {
    const auto ready = ask(old(), "GET", "/ready");
    return ready.status == 503 && ready.body.find("migrate import") != std::string::npos;
  })) << installation_.log();
  EXPECT_EQ(installation_.command({"migrate", "import"}).code, 4) << "the daemon has the store";
  installation_.stop_daemon();

  Json done = import();
  EXPECT_EQ(done["workspaces"], tried["workspaces"]);
  EXPECT_EQ(done["problems"], tried["problems"]);
  auto rows = by_name(done);
  const auto is = [&](const std::string& name, const std::string& status, bool held) {
    EXPECT_EQ(rows[name]["status"], status) << rows[name];
    EXPECT_EQ(rows[name]["held"], held) << rows[name];
  };
  is("live-0", "deployed", false);
  is("gone-0", "destroyed", false);
  is("half", "deploy_failed", true);
  is("contrary", "deployed", false);
  EXPECT_EQ(rows["contrary"]["notes"].size(), 1u) << rows["contrary"];
  is("lost", "destroyed", false);
  is("asleep", "pending", true);
  is("off", "deployed", false);
  is("sized", "deployed", false);
  EXPECT_EQ(rows["sized"]["mode"], "busy");
  is("tuned", "deployed", true);
  is("older", "deployed", false);
  is("vanished", "deployed", true);
  is("made", "deployed", false);
  EXPECT_EQ(done["templates"], Json({"web"}));

  // Again: nothing is new.
  for (const auto& row : import()["workspaces"]) EXPECT_EQ(row["outcome"], "unchanged") << row;

  // A start does what the schedules say from now on, and nothing else.
  installation_.start();
  const auto occurred = [&](const std::string& name, const std::string& outcome) {
    const Json rows_of = installation_.query({"workspace", "history", name})["items"];
    return std::ranges::any_of(rows_of, [&](const Json& row) { return row["outcome"] == outcome; });
  };
  ASSERT_TRUE(eventually(150s, [&] {
    return occurred("live-0", "no_change") && occurred("lost", "no_change") &&
           occurred("asleep", "skipped_hold") && occurred("off", "skipped_disabled");
  })) << installation_.log();
  EXPECT_EQ(read_file(journal()), before);
  EXPECT_TRUE(installation_.query({"run", "list"})["items"].empty());
  EXPECT_EQ(installation_.workspace("vanished")["detached"], true);
  const Json tidy = installation_.query({"job", "show", "tidy"});
  EXPECT_EQ(tidy["run_count"], 9) << tidy;
  EXPECT_EQ(tidy["status"], "failed");
  EXPECT_EQ(installation_.workspace("live-1")["last_deployed"], "2026-01-05T07:00:12.500Z");

  // A schedule works on a state that was imported, with the lineage it had.
  const Json imported = state("live-1");
  EXPECT_EQ(imported["lineage"],
            Json::parse(old_files.at(deployment("live-1") / "terraform.tfstate"))["lineage"]);
  Json soon = kFarAway;
  soon["destroy_schedule"] = "* * * * *";
  installation_.write("live-1", "config.json", soon.dump());
  ASSERT_EQ(installation_.wait_for_status("live-1", "destroyed", 150s)["status"], "destroyed")
      << installation_.log();
  EXPECT_EQ(read_file(journal()), before + "destroy live-1\n");
  EXPECT_EQ(state("live-1")["lineage"], imported["lineage"]);
  EXPECT_GT(state("live-1")["serial"], imported["serial"]);
  // A deploy of what is deployed finds nothing to do, in the mode it was deployed in.
  for (const char* name : {"live-2", "sized", "contrary", "made"}) {
    const auto deployed = installation_.command({"workspace", "deploy", name});
    EXPECT_EQ(deployed.code, 0) << deployed.err;
  }
  EXPECT_EQ(read_file(journal()), before + "destroy live-1\n");

  // What runs have worked on is not imported over.
  installation_.stop_daemon();
  rows = by_name(import());
  EXPECT_EQ(rows["live-1"]["outcome"], "kept");
  EXPECT_EQ(rows["live-0"]["outcome"], "unchanged");
  // What was mended is.
  installation_.write("tuned", "terraform.tfvars", "size = \"large\"\n");
  rows = by_name(import());
  EXPECT_EQ(rows["tuned"]["outcome"], "changed");
  EXPECT_EQ(rows["tuned"]["held"], false);
}

TEST_F(OldInstallation, ThatIsNoneOrIsHalfWrittenIsRefused) {
  const auto none =
      installation_.command({"migrate", "import", "--from", installation_.config_dir()});
  EXPECT_EQ(none.code, 3);
  EXPECT_NE(none.err.find("neither scheduler.json nor deployments/"), std::string::npos)
      << none.err;
  write_file(old() / "scheduler.json", R"({"workspaces": {"shop": {"name": "sh)");
  const auto half = installation_.command({"migrate", "import"});
  EXPECT_EQ(half.code, 2);
  EXPECT_NE(half.err.find((old() / "scheduler.json").string()), std::string::npos) << half.err;
}

TEST_F(OldInstallation, ImportedByRootBelongsToTheOwnerOfTheStateDirectory) {
  if (geteuid() != 0) GTEST_SKIP() << "only root can give files away";
  constexpr uid_t kNobody = 65534;
  given("asleep", kFarAway, "pending");
  write_scheduler();
  ASSERT_EQ(chown(old().c_str(), kNobody, kNobody), 0);
  ASSERT_EQ(installation_.command({"migrate", "import"}).code, 0);
  struct stat file{};
  ASSERT_EQ(stat((old() / "provisioner.db").c_str(), &file), 0);
  EXPECT_EQ(file.st_uid, kNobody);
}

TEST_F(OldInstallation, IsShownAsATableWithWhatToDo) {
  given("asleep", {{"deploy_schedule", "0 8 * * *"}}, "pending");
  write_scheduler();
  const auto shown = installation_.command({"migrate", "import", "--dry-run"});
  ASSERT_EQ(shown.code, 0) << shown.err;
  EXPECT_NE(shown.out.find("no terraform.tfstate"), std::string::npos) << shown.out;
  EXPECT_NE(shown.out.find("asleep: `enabled` is not in its config.json"), std::string::npos)
      << shown.out;
  EXPECT_NE(shown.out.find("Nothing was written"), std::string::npos) << shown.out;
}

}  // namespace
}  // namespace provisioner::testing
