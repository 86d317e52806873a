#include "execution/process_proof.hpp"

#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <memory>
#include <string>
#include <thread>

#include "runner/process_set.hpp"

namespace provisioner::execution {
namespace {

using namespace std::chrono_literals;

RunId unique_run(const std::string& name) { return RunId(name + std::to_string(getpid())); }

// A child of the test that is of the attempt. Dies with its whole family.
class Child {
 public:
  Child(std::string script, const RunId& run, Attempt attempt = Attempt(1))
      : tag_(runner::attempt_tag(run, attempt)) {
    std::string shell = "sh", option = "-c", path = "PATH=/usr/bin:/bin";
    std::string variable = std::string(runner::kAttemptVariable) + "=" + tag_;
    char* argv[] = {shell.data(), option.data(), script.data(), nullptr};
    char* envp[] = {path.data(), variable.data(), nullptr};
    EXPECT_EQ(posix_spawn(&pid, "/bin/sh", nullptr, nullptr, argv, envp), 0);
  }
  ~Child() {
    const auto set = std::make_unique<runner::ProcessSet>(tag_);
    while (set->look(0, 0) > 0) set->signal_all(SIGKILL);
    // In the middle of its exec a process has no environment to be found by.
    kill(pid, SIGKILL);
    waitpid(pid, nullptr, 0);
  }
  pid_t pid = 0;

 private:
  std::string tag_;
};

// The most processes that the attempt was seen to have, up to `enough`; looks for 30 s at most.
std::size_t wait_for_processes(const RunId& run, std::size_t enough) {
  const auto set = std::make_unique<runner::ProcessSet>(runner::attempt_tag(run, Attempt(1)));
  const auto deadline = std::chrono::steady_clock::now() + 30s;
  std::size_t most = 0;
  while (most < enough && std::chrono::steady_clock::now() < deadline) {
    most = std::max(most, set->look(0, 0));
  }
  return most;
}

std::size_t count_processes(const RunId& run) {
  const auto set = std::make_unique<runner::ProcessSet>(runner::attempt_tag(run, Attempt(1)));
  return set->look(0, 0);
}

TEST(ProcessProof, KillsWhatHasLostItsParents) {
  const RunId run = unique_run("orphan");
  const Child child("setsid sleep 60 & exit 0", run);
  ASSERT_GE(wait_for_processes(run, 1), 1U);
  ASSERT_TRUE(kill_process_set(run, Attempt(1), 30s).has_value());
  EXPECT_EQ(count_processes(run), 0U);
}

TEST(ProcessProof, SparesOtherAttempts) {
  const RunId run = unique_run("spare");
  const Child other("sleep 60 & wait", run, Attempt(10));  // attempt 10 is not attempt 1
  ASSERT_TRUE(kill_process_set(run, Attempt(1), 30s).has_value());
  EXPECT_TRUE(start_time_of(other.pid).has_value());
}

TEST(ProcessProof, KillsTheSetUntilItIsEmpty) {
  const RunId run = unique_run("fork");
  // It goes on forking while it is killed.
  const Child child("while :; do sleep 0.01 & setsid sleep 60 & sleep 0.002; done", run);
  ASSERT_GE(wait_for_processes(run, 5), 5U);
  const auto killed = kill_process_set(run, Attempt(1), 30s);
  ASSERT_TRUE(killed.has_value()) << killed.error().message;
  EXPECT_GE(*killed, 1);
  EXPECT_EQ(count_processes(run), 0U);
}

// A look is unclear for the moment of an exec only.
TEST(ProcessProof, IsNotHeldUpByThoseWhoHaveEmptiedTheirEnvironment) {
  const RunId run = unique_run("bare");
  const Child child("exec env -i sleep 60", run);
  const auto deadline = std::chrono::steady_clock::now() + 30s;
  bool empty = false;
  while (!empty && std::chrono::steady_clock::now() < deadline) {
    empty = is_process_set_empty(run, Attempt(1));
  }
  EXPECT_TRUE(empty);
  EXPECT_TRUE(start_time_of(child.pid).has_value());
}

TEST(ProcessProof, CallsAZombieDead) {
  const Child child("exit 0", unique_run("other"));
  siginfo_t info{};
  ASSERT_EQ(waitid(P_PID, static_cast<id_t>(child.pid), &info, WEXITED | WNOWAIT), 0);
  const auto start = start_time_of(child.pid);
  ASSERT_FALSE(start.has_value());
  EXPECT_EQ(start.error().kind, ErrorKind::kNotFound);
}

TEST(ProcessProof, TellsTwoHoldersOfAPidApartByTheirStart) {
  const auto mine = start_time_of(getpid());
  ASSERT_TRUE(mine.has_value());
  EXPECT_GT(*mine, 0);
  const Child child("sleep 60", unique_run("other"));
  EXPECT_GE(start_time_of(child.pid).value(), *mine);
}

TEST(ProcessProof, KnowsWhereItLives) {
  const Habitat here = this_habitat();
  EXPECT_EQ(here.boot_id.size(), 36U);
  EXPECT_FALSE(here.pid_namespace.empty());
}

}  // namespace
}  // namespace provisioner::execution
