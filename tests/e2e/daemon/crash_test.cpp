// What is killed, and what must hold afterwards. Judged from outside: by the processes that live
// and by a journal that the workspace's own commands write, not by what the daemon believes.
#include <gtest/gtest.h>
#include <signal.h>

#include <fstream>

#include "http/client.hpp"
#include "runner/attempt_directory.hpp"
#include "runner/protocol.hpp"
#include "tests/support/daemon.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/run_task.hpp"

namespace provisioner::testing {
namespace {

using namespace std::chrono_literals;

// Two resources. The first is made at once and says so; the second says when it begins and ends,
// waits for the file "go" in between, and would notice another one at work (the lock directory).
// `between` stands between the two.
std::string gated_apply(const std::filesystem::path& root, const std::string& between = "") {
  return R"(resource "terraform_data" "first" {
  provisioner "local-exec" {
    command = "echo first >> )" +
         root.string() + R"(/journal"
  }
}
resource "terraform_data" "between" {
  depends_on = [terraform_data.first]
  provisioner "local-exec" {
    command = "true )" +
         between + R"("
  }
}
resource "terraform_data" "gated" {
  depends_on = [terraform_data.between]
  provisioner "local-exec" {
    command = <<-SH
      set -e
      cd )" +
         root.string() + R"(
      mkdir busy || { echo doubled >> journal; exit 1; }
      trap 'rmdir busy' EXIT
      echo begin >> journal
      while [ ! -e go ]; do sleep 0.05; done
      echo end >> journal
    SH
  }
}
)";
}

class Crash : public ::testing::Test {
 protected:
  void SetUp() override {
    installation_.environment["PROVISIONER_RUNS_LEASE"] = "30s";
    installation_.environment["PROVISIONER_RUNS_HEARTBEAT"] = "1s";
    // Without its runner tofu tries for about 10 s to hand its state over before it saves it
    // itself.
    installation_.environment["PROVISIONER_RUNS_STOP_ALLOWANCE"] = "20s";
    installation_.start();
  }

  // Returns while the second resource waits at its gate.
  void deploy(const std::string& between = "") {
    installation_.add_workspace("shop", {{"description", "gated"}},
                                gated_apply(installation_.root(), between));
    ASSERT_TRUE(eventually(
        60s, [&] { return installation_.command({"workspace", "show", "shop"}).code == 0; }));
    const auto run = installation_.query({"workspace", "deploy", "shop", "--detach"});
    id_ = run["id"];
    ASSERT_TRUE(eventually(60s, [&] { return journal().find("begin") != std::string::npos; }))
        << installation_.log();
  }

  std::string journal() const { return read_file(installation_.root() / "journal"); }
  void open_gate() const { write_file(installation_.root() / "go", ""); }
  void clear_busy() const { std::filesystem::remove(installation_.root() / "busy"); }

  pid_t process(std::string_view text) const {
    const auto found = installation_.processes_of(id_, text);
    EXPECT_FALSE(found.empty()) << "no process with " << text;
    return found.empty() ? -1 : found.front();
  }
  pid_t guard() const { return process("provisioner-guard guard"); }
  pid_t runner() const { return process("provisioner-runner run"); }
  pid_t tofu() const { return process(" apply"); }

  bool nothing_lives_of_attempt(int attempt) const {
    return processes_with("PROVISIONER_ATTEMPT", id_ + "." + std::to_string(attempt)).empty();
  }

  std::size_t created_first() const {
    std::size_t times = 0;
    const std::string text = journal();
    for (auto at = text.find("first"); at != std::string::npos; at = text.find("first", at + 1)) {
      ++times;
    }
    return times;
  }

  std::size_t begun() const {
    const std::string text = journal();
    std::size_t times = 0;
    for (auto at = text.find("begin"); at != std::string::npos; at = text.find("begin", at + 1)) {
      ++times;
    }
    return times;
  }

  // What the processes of an attempt show the daemon to be let in.
  AttemptFence fence_of_attempt(int attempt) const {
    const auto directory = runner::AttemptDirectory::of(
        installation_.state_dir(), WorkspaceName("shop"), RunId(id_), Attempt(attempt));
    const Json note = Json::parse(read_file(directory.root / "attempt.json"));
    return {RunId(id_), Attempt(attempt), ClaimId(note.at("claim").get<std::string>())};
  }

  http::Response write_state_as(const AttemptFence& fence) const {
    boost::asio::io_context loop;
    http::Client client(loop.get_executor(), http::Endpoint::unix_socket(installation_.state_dir() /
                                                                         "provisioner.sock"));
    http::Request request;
    request.method = "POST";
    request.target = std::string(runner::kStatePath) + "?ID=stale";
    request.headers["Authorization"] = runner::authorization(fence);
    request.body = R"({"version":4,"serial":1000,"lineage":"stale","outputs":{},"resources":[]})";
    const auto answer = run_task(loop, client.send(std::move(request), std::chrono::seconds(30)));
    EXPECT_TRUE(answer) << answer.error().message;
    return answer.value_or(http::Response());
  }

  // Every attempt but the last was interrupted, and says so.
  void expect_attempts(int last) const {
    const Json attempts = installation_.run(id_)["attempts"];
    ASSERT_EQ(attempts.size(), static_cast<std::size_t>(last));
    for (int i = 0; i + 1 < last; ++i) {
      EXPECT_EQ(attempts[i]["status"], "interrupted") << attempts.dump(2);
      EXPECT_TRUE(attempts[i]["error"].is_string()) << attempts.dump(2);
    }
    EXPECT_EQ(attempts[last - 1]["status"], "succeeded") << attempts.dump(2);
  }

  // The end of all these stories: one row, succeeded, the state stored, nothing left behind.
  void expect_success_on_attempt(int attempt) const {
    const Json run = installation_.wait_for_end(id_);
    EXPECT_EQ(run["status"], "succeeded") << run.dump(2) << installation_.log();
    EXPECT_EQ(run["attempt"], attempt);
    expect_attempts(attempt);
    EXPECT_EQ(installation_.runs("shop").size(), 1u);
    EXPECT_EQ(installation_.workspace("shop")["status"], "deployed");
    EXPECT_EQ(journal().find("doubled"), std::string::npos) << journal();
    EXPECT_TRUE(eventually(60s, [&] { return installation_.processes_of(id_).empty(); }));
    const auto plan = installation_.command({"workspace", "plan", "shop"});
    EXPECT_EQ(plan.code, 0) << plan.out << plan.err;  // no lock is left
    EXPECT_NE((plan.out + plan.err).find("Plan: 0 to add, 0 to change, 0 to destroy"),
              std::string::npos)
        << plan.out;
  }

  Installation installation_;
  std::string id_;
};

TEST_F(Crash, AKilledDaemonLeavesTheApplyAloneAndAdoptsIt) {
  deploy();
  installation_.kill_daemon();
  EXPECT_GT(tofu(), 0);
  installation_.start();
  EXPECT_GT(tofu(), 0);
  open_gate();
  expect_success_on_attempt(1);
  EXPECT_EQ(created_first(), 1u) << journal();
}

TEST_F(Crash, AnApplyThatEndsWhileNoDaemonLivesIsReportedLater) {
  deploy();
  installation_.kill_daemon();
  open_gate();
  ASSERT_TRUE(eventually(60s, [&] { return journal().find("end") != std::string::npos; }));
  installation_.start();
  expect_success_on_attempt(1);
  EXPECT_EQ(created_first(), 1u) << journal();
}

TEST_F(Crash, AKilledRunnerTakesItsTofuWithItAndTheRunIsResumed) {
  deploy();
  kill(runner(), SIGKILL);
  ASSERT_TRUE(eventually(90s, [&] { return nothing_lives_of_attempt(1); })) << installation_.log();
  clear_busy();
  open_gate();
  expect_success_on_attempt(2);
  EXPECT_EQ(created_first(), 1u) << journal();
}

TEST_F(Crash, AKilledTofuInterruptsTheAttemptAndItsChildrenEnd) {
  deploy();
  kill(tofu(), SIGKILL);
  ASSERT_TRUE(eventually(90s, [&] { return nothing_lives_of_attempt(1); })) << installation_.log();
  clear_busy();
  open_gate();
  expect_success_on_attempt(2);
}

TEST_F(Crash, AKilledGuardLeavesNothingAlive) {
  deploy();
  kill(guard(), SIGKILL);
  ASSERT_TRUE(eventually(90s, [&] { return nothing_lives_of_attempt(1); })) << installation_.log();
  clear_busy();
  open_gate();
  expect_success_on_attempt(2);
  EXPECT_EQ(created_first(), 1u) << journal();
}

TEST_F(Crash, RunnerAndDaemonKilledTogether) {
  deploy();
  const pid_t victim = runner();
  installation_.kill_daemon();
  kill(victim, SIGKILL);
  ASSERT_TRUE(eventually(90s, [&] { return nothing_lives_of_attempt(1); }));
  clear_busy();
  open_gate();
  installation_.start();
  expect_success_on_attempt(2);
  EXPECT_EQ(created_first(), 1u) << journal();
}

TEST_F(Crash, AStoppedRunnerLosesItsLeaseAndItsWrites) {
  deploy();
  const pid_t stopped = runner();
  const AttemptFence fence = fence_of_attempt(1);
  kill(stopped, SIGSTOP);
  // The guard ends the attempt at its deadline, stopped processes included.
  ASSERT_TRUE(eventually(90s, [&] { return nothing_lives_of_attempt(1); })) << installation_.log();
  clear_busy();
  kill(stopped, SIGCONT);
  ASSERT_TRUE(eventually(60s, [&] { return begun() == 2; })) << installation_.log();
  EXPECT_EQ(installation_.run(id_)["attempts"][0]["status"], "interrupted");

  // No process of it is left to write. One that woke up in time would have sent this:
  const Json before = installation_.query({"state", "list", "shop"});
  const http::Response refused = write_state_as(fence);
  EXPECT_EQ(refused.status, 409) << refused.body;
  EXPECT_NE(installation_.log().find("refused to write a state for an attempt that is over"),
            std::string::npos)
      << installation_.log();
  EXPECT_EQ(installation_.query({"state", "list", "shop"}), before);

  open_gate();
  expect_success_on_attempt(2);
  EXPECT_EQ(created_first(), 1u) << journal();
}

// tofu hands its state over when a resource is done and 20 s have passed since it last did.
TEST_F(Crash, AKilledTofuLosesNothingThatItHadHandedOver) {
  deploy("; sleep 21");
  ASSERT_TRUE(eventually(60s, [&] {
    return installation_.command({"state", "show", "shop"}).out.find("first") != std::string::npos;
  }));
  kill(tofu(), SIGKILL);
  ASSERT_TRUE(eventually(90s, [&] { return nothing_lives_of_attempt(1); })) << installation_.log();
  clear_busy();
  open_gate();
  expect_success_on_attempt(2);
  EXPECT_EQ(created_first(), 1u) << journal();
}

// Nobody of the attempt can watch the clock: the daemon sees its heartbeat stand still.
TEST_F(Crash, AStoppedGuardWithAStoppedRunnerIsEndedByTheDaemon) {
  deploy();
  const pid_t watcher = guard(), stopped = runner();
  kill(watcher, SIGSTOP);
  kill(stopped, SIGSTOP);
  ASSERT_TRUE(eventually(120s, [&] { return installation_.run(id_)["attempts"].size() > 1; }))
      << installation_.log();
  EXPECT_TRUE(nothing_lives_of_attempt(1)) << "the second attempt began before the first was dead";
  kill(watcher, SIGCONT);
  kill(stopped, SIGCONT);
  clear_busy();
  open_gate();
  expect_success_on_attempt(2);
  for (const auto& version : installation_.query({"state", "list", "shop"})["items"]) {
    EXPECT_EQ(version["attempt"], 2) << version;
  }
}

}  // namespace
}  // namespace provisioner::testing
