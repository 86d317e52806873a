// What keeps the daemon from starting, each with a sentence that says what, where, why and what to
// do.
#include <gtest/gtest.h>
#include <unistd.h>

#include "tests/support/daemon.hpp"
#include "tests/support/eventually.hpp"

namespace provisioner::testing {
namespace {

using namespace std::chrono_literals;

Finished serve(const Installation& installation, const std::vector<std::string>& flags = {}) {
  std::vector<std::string> arguments = {"serve"};
  arguments.insert(arguments.end(), flags.begin(), flags.end());
  return installation.command(arguments);
}

TEST(Refusal, ASecondDaemonOnTheSameStoreSaysSoAndExits) {
  Installation installation;
  installation.start();
  const auto second = serve(installation);
  EXPECT_EQ(second.code, 4) << second.err;
  EXPECT_NE(second.err.find(std::to_string(installation.daemon().pid())), std::string::npos)
      << second.err;
  EXPECT_EQ(installation.command({"cluster", "status"}).code,
            0);  // the first one was not disturbed
}

TEST(Refusal, APortInUseIsNamed) {
  Installation first;
  first.environment["PROVISIONER_LISTEN"] = "127.0.0.1:0";
  first.start();
  const std::string log = first.log();
  const auto at = log.find("http://127.0.0.1:");
  ASSERT_NE(at, std::string::npos) << log;
  const std::string port = std::to_string(std::stoi(log.substr(at + 17)));
  Installation second;
  const auto refused = serve(second, {"--listen", "127.0.0.1:" + port});
  EXPECT_NE(refused.code, 0);
  EXPECT_NE(refused.err.find("127.0.0.1:" + port), std::string::npos) << refused.err;
  EXPECT_NE(refused.err.find("in use"), std::string::npos) << refused.err;
}

TEST(Refusal, ACorruptDatabaseIsNotOverwritten) {
  Installation installation;
  const auto file = installation.state_dir() / "provisioner.db";
  write_file(file, std::string(8192, 'x'));
  const auto refused = serve(installation);
  EXPECT_NE(refused.code, 0);
  EXPECT_NE(refused.err.find(file.string()), std::string::npos) << refused.err;
  EXPECT_EQ(read_file(file), std::string(8192, 'x'));
}

TEST(Refusal, AWrongSettingNamesTheNearestKey) {
  Installation installation;
  write_file(installation.config_dir() / "provisioner.toml", "[scheduler]\ntimezon = \"UTC\"\n");
  const auto refused = serve(installation);
  EXPECT_EQ(refused.code, 2) << refused.err;
  EXPECT_NE(refused.err.find("scheduler.timezone"), std::string::npos) << refused.err;
}

TEST(Refusal, AnUnknownZoneAndARelationThatCannotHold) {
  Installation installation;
  installation.environment["PROVISIONER_SCHEDULER_TIMEZONE"] = "Europe/Zürich";
  EXPECT_NE(serve(installation).code, 0);
  installation.environment = {{"PROVISIONER_RUNS_LEASE", "30s"}};
  const auto refused = serve(installation);
  EXPECT_EQ(refused.code, 2) << refused.err;
  EXPECT_NE(refused.err.find("runs.lease"), std::string::npos) << refused.err;
}

TEST(Refusal, AnOldInstallationIsNeverScheduledBySurprise) {
  Installation installation;
  installation.add_workspace("shop", {{"deploy_schedule", "* * * * *"}});
  write_file(installation.state_dir() / "scheduler.json", R"({"workspaces": {}})");
  installation.start();
  EXPECT_NE(installation.log().find("provisioner migrate import"), std::string::npos);
  EXPECT_EQ(installation.query({"workspace", "list"})["items"].size(), 0u);
}

TEST(Refusal, AStateDirectoryThatCannotBeWritten) {
  Installation installation;
  // A plain file where a directory is needed stops root, too.
  write_file(installation.root() / "file", "");
  installation.environment["PROVISIONER_STATE_DIR"] =
      (installation.root() / "file" / "state").string();
  const auto refused = serve(installation);
  EXPECT_EQ(refused.code, 1) << refused.err;
  EXPECT_NE(refused.err.find((installation.root() / "file" / "state").string()), std::string::npos);
}

TEST(Refusal, TofuMissingFailsTheRunWithWhatToDo) {
  Installation installation;
  installation.environment["PROVISIONER_TOFU_BINARY"] = (installation.root() / "no-tofu").string();
  installation.add_workspace("shop", {{"deploy_schedule", false}});
  installation.start();
  ASSERT_TRUE(eventually(
      60s, [&] { return installation.command({"workspace", "show", "shop"}).code == 0; }));
  const auto deploy = installation.command({"workspace", "deploy", "shop"});
  EXPECT_EQ(deploy.code, 1) << deploy.err;
  const Json run = installation.runs("shop").at(0);
  EXPECT_EQ(run["status"], "failed");
  EXPECT_NE(run["error"].get<std::string>().find("no-tofu"), std::string::npos) << run.dump(2);
}

}  // namespace
}  // namespace provisioner::testing
