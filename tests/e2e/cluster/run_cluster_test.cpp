// tools/run-cluster as somebody uses it who has just cloned the repository: one command, a leader
// that is killed, Ctrl-C, and the same again.
#include <gtest/gtest.h>
#include <signal.h>

#include "base/text.hpp"
#include "tests/support/daemon.hpp"
#include "tests/support/eventually.hpp"

namespace provisioner::testing {
namespace {

using namespace std::chrono_literals;

class RunCluster : public ::testing::Test {
 protected:
  // PostgreSQL's user has to reach it, also when root runs this.
  RunCluster() { std::filesystem::permissions(directory_.path(), std::filesystem::perms(0755)); }
  ~RunCluster() override {
    if (cluster_) cluster_->signal(SIGTERM);
    if (cluster_) cluster_->wait(60s);
    for (const pid_t pid : left()) kill(pid, SIGKILL);
  }

  void start() {
    write_file(output_, "");
    cluster_ = std::make_unique<Background>(
        std::vector<std::string>{PROVISIONER_SOURCE_DIR "/tools/run-cluster", run_,
                                 PROVISIONER_BIN_DIR},
        Environment{{"PROVISIONER_TEST_ROOT", directory_.path().string()},
                    {"TF_CLI_CONFIG_FILE", ""}},
        output_);
    ASSERT_TRUE(eventually(240s, [&] {
      return !cluster_->running() || output().find("three | ") != std::string::npos;
    }));
    ASSERT_TRUE(cluster_->running()) << output();
  }

  int interrupt() {
    cluster_->signal(SIGINT);
    const int code = cluster_->wait(60s);
    if (code != -1) cluster_.reset();
    return code;
  }

  Finished ask(const std::string& instance, std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), built("provisioner"));
    return run_program(arguments, {{"PROVISIONER_STATE_DIR", (run_ / instance / "state").string()}},
                       120s);
  }

  // As the instance sees it; null where it does not answer.
  Json status(const std::string& instance) const {
    const Finished shown = ask(instance, {"cluster", "status", "--output", "json"});
    return shown.code == 0 ? Json::parse(shown.out) : Json();
  }

  pid_t daemon_of(const std::string& instance) const {
    return static_cast<pid_t>(std::stol(read_file(run_ / instance / "state" / "provisioner.lock")));
  }

  std::string output() const { return read_file(output_); }

  // Processes of this cluster: by what they inherited, and, where PostgreSQL writes its title over
  // that, by their command line.
  std::vector<pid_t> left() const {
    auto found = processes_with("PROVISIONER_TEST_ROOT", directory_.path().string());
    for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
      const std::string name = entry.path().filename();
      if (name.find_first_not_of("0123456789") != std::string::npos) continue;
      const auto pid = static_cast<pid_t>(std::stol(name));
      if (command_of(pid).find(directory_.path().string()) != std::string::npos)
        found.push_back(pid);
    }
    return found;
  }
  static std::vector<pid_t> without_runs(std::vector<pid_t> all) {
    for (const pid_t pid : processes_with("PROVISIONER_ATTEMPT", "")) std::erase(all, pid);
    return all;
  }
  std::string commands_left() const {
    std::string all;
    for (const pid_t pid : left()) all += command_of(pid) + "\n";
    return all;
  }

  TempDirectory directory_;
  std::filesystem::path run_ = directory_ / "cluster";
  std::filesystem::path output_ = directory_ / "output";
  std::unique_ptr<Background> cluster_;
};

TEST_F(RunCluster, SurvivesItsLeaderEndsWithCtrlCAndContinuesWithItsData) {
  start();
  const Json before = status("one");
  const std::string leader = before.value("leader", "");
  ASSERT_FALSE(leader.empty()) << before << output();
  EXPECT_EQ(before["instances"].size(), 3u) << before;

  const Finished deployed = ask(leader, {"workspace", "deploy", "slow", "--queue"});
  EXPECT_EQ(deployed.code, 0) << deployed.out << deployed.err << output();

  kill(daemon_of(leader), SIGKILL);
  const std::string other = leader == "one" ? "two" : "one";
  Json after;
  EXPECT_TRUE(eventually(60s,
                         [&] {
                           after = status(other);
                           return after.is_object() && after["term"] > before["term"] &&
                                  !after.value("leader", "").empty() && after["leader"] != leader;
                         }))
      << after << output();
  EXPECT_TRUE(eventually(60s, [&] { return status(leader).is_object(); }))
      << "its parent starts the killed daemon again\n"
      << output();

  EXPECT_EQ(interrupt(), 0) << output();
  EXPECT_TRUE(eventually(5s, [&] { return left().empty(); })) << commands_left();

  start();
  const Finished shown = ask("three", {"workspace", "history", "slow", "--output", "json"});
  EXPECT_EQ(shown.code, 0) << shown.err;
  const Json runs = Json::parse(ask("three", {"run", "list", "slow", "--output", "json"}).out);
  EXPECT_GE(runs["items"].size(), 1u) << runs;
  EXPECT_GT(status("three")["term"], after["term"]);
  EXPECT_EQ(interrupt(), 0) << output();
  EXPECT_TRUE(eventually(5s, [&] { return left().empty(); })) << commands_left();
}

TEST_F(RunCluster, LeavesOnlyRunsBehindWhenItIsKilledWhichEndWithTheirLease) {
  start();
  cluster_->signal(SIGKILL);
  cluster_->wait();
  cluster_.reset();
  EXPECT_TRUE(eventually(60s, [&] { return without_runs(left()).empty(); })) << commands_left();
}

}  // namespace
}  // namespace provisioner::testing
