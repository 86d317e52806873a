// Jobs as a user has them: real daemon, real processes (behaviour.md, "Jobs").
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/daemon.hpp"
#include "tests/support/eventually.hpp"

namespace provisioner::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

class Jobs : public ::testing::Test {
 protected:
  Jobs() {
    const auto job = [](const std::string& name, const std::string& command) {
      return Json{
          {"name", name}, {"type", "command"}, {"command", command}, {"schedule", "0 0 1 1 *"}};
    };
    installation_.add_workspace(
        "shop", {{"jobs",
                  {job("backup", "echo saved {{workspace_name}}"), job("broken", "exit 7"),
                   job("slow", "while true; do sleep 0.1; done")}}});
    installation_.start();
    installation_.wait_for_status("shop", "pending");
  }
  Finished run(const std::vector<std::string>& arguments) const {
    return installation_.command(arguments);
  }

  Installation installation_;
};

TEST_F(Jobs, AJobIsRunByHandAndFollowed) {
  const auto done = run({"job", "run", "backup"});
  EXPECT_EQ(done.code, 0) << done.err << installation_.log();
  EXPECT_THAT(done.out, HasSubstr("saved shop"));
  EXPECT_THAT(run({"job", "logs", "shop:backup"}).out, HasSubstr("saved shop"));
  const Json job = installation_.query({"job", "show", "backup", "--workspace", "shop"});
  EXPECT_EQ(job["status"], "success");
  EXPECT_EQ(job["run_count"], 1);
  EXPECT_EQ(installation_.query({"run", "list", "--job", "backup"})["items"].size(), 1u);
  EXPECT_THAT(run({"job", "list"}).out, HasSubstr("0 0 1 1 *"));
  EXPECT_THAT(run({"job", "status"}).out, HasSubstr("success"));
  EXPECT_THAT(run({"schedule", "preview", "shop:backup", "--count", "1"}).out, HasSubstr("backup"));
}

TEST_F(Jobs, AJobThatFailsFailsItsCommand) {
  EXPECT_EQ(run({"job", "run", "shop:broken"}).code, 1);
  const Json job = installation_.query({"job", "status", "broken"});
  EXPECT_EQ(job["status"], "failed");
  EXPECT_EQ(job["last_exit_code"], 7);
  EXPECT_EQ(run({"job", "run", "bakup"}).code, 3);
  EXPECT_EQ(run({"job", "run", "shop:bakup"}).code, 3);
  EXPECT_EQ(run({"job", "list", "--workspace", "shup"}).code, 3);
  EXPECT_EQ(run({"job", "logs", "backup"}).code, 3) << "it has no run yet";
}

TEST_F(Jobs, ABusyJobRefusesAndIsKilled) {
  const auto started = run({"job", "run", "slow", "--detach"});
  ASSERT_EQ(started.code, 0) << started.err;
  const std::string id = started.out.substr(0, started.out.find('\n'));
  EXPECT_EQ(run({"job", "run", "slow"}).code, 4);
  EXPECT_EQ(run({"job", "kill", "slow"}).code, 0);
  EXPECT_EQ(installation_.wait_for_end(id)["status"], "cancelled") << installation_.log();
  EXPECT_EQ(run({"job", "kill", "slow"}).code, 4);
}

TEST_F(Jobs, JobctlTakesItsArgumentsAsItAlwaysDid) {
  const auto link = installation_.root() / "jobctl";
  std::filesystem::create_symlink(built("provisioner"), link);
  const auto jobctl = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), link);
    return run_program(arguments, {{"PROVISIONER_STATE_DIR", installation_.state_dir()},
                                   {"PROVISIONER_CONFIG_DIR", installation_.config_dir()}});
  };
  EXPECT_EQ(jobctl({"--workspace", "shop", "run", "backup"}).code, 0) << installation_.log();
  EXPECT_THAT(jobctl({"--workspace", "shop", "status", "backup"}).out, HasSubstr("success"));
  EXPECT_THAT(jobctl({"list"}).out, HasSubstr("broken"));
  EXPECT_EQ(jobctl({"--workspace", "shop", "kill", "backup"}).code, 4) << "nothing of it runs";
}

}  // namespace
}  // namespace provisioner::testing
