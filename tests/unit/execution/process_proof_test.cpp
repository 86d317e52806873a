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

// A child of the test with an environment and a process group of its own, which dies with it.
class Child {
 public:
  Child(std::string script, std::string variable) {
    std::string shell = "sh", option = "-c", path = "PATH=/usr/bin:/bin";
    char* argv[] = {shell.data(), option.data(), script.data(), nullptr};
    char* envp[] = {path.data(), variable.data(), nullptr};
    posix_spawnattr_t own_group;
    posix_spawnattr_init(&own_group);
    posix_spawnattr_setflags(&own_group, POSIX_SPAWN_SETPGROUP);
    EXPECT_EQ(posix_spawn(&pid, "/bin/sh", nullptr, &own_group, argv, envp), 0);
    posix_spawnattr_destroy(&own_group);
  }
  ~Child() {
    kill(-pid, SIGKILL);
    waitpid(pid, nullptr, 0);
  }
  pid_t pid = 0;
};

RunId unique_run(const std::string& name) { return RunId(name + std::to_string(getpid())); }

std::string tag_of(const RunId& run) { return runner::attempt_tag(run, Attempt(1)); }

std::string tagged(const RunId& run) {
  return std::string(runner::kAttemptVariable) + "=" + tag_of(run);
}

// How many processes the attempt has, once it has `least`; looks for 10 s at the longest.
std::size_t wait_for_processes(const RunId& run, std::size_t least) {
  const auto set = std::make_unique<runner::ProcessSet>(tag_of(run));
  const auto deadline = std::chrono::steady_clock::now() + 10s;
  while (set->look(0, 0) < least && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(1ms);
  }
  return set->look(0, 0);
}

TEST(ProcessProof, KillsWhatHasLostItsParents) {
  const RunId run = unique_run("orphan");
  const Child child("setsid sleep 60 & exit 0", tagged(run));
  ASSERT_EQ(wait_for_processes(run, 1), 1U);
  ASSERT_TRUE(kill_process_set(run, Attempt(1), 10s).has_value());
  EXPECT_EQ(wait_for_processes(run, 0), 0U);
}

TEST(ProcessProof, SparesOtherAttempts) {
  const RunId run = unique_run("spare");
  const Child other("sleep 60 & wait", tagged(run) + "0");  // attempt 10 is not attempt 1
  ASSERT_TRUE(kill_process_set(run, Attempt(1), 10s).has_value());
  EXPECT_TRUE(start_time_of(other.pid).has_value());
}

TEST(ProcessProof, KillsTheSetUntilItIsEmpty) {
  const RunId run = unique_run("fork");
  // It goes on forking while it is killed.
  const Child child("while :; do sleep 0.01 & setsid sleep 60 & sleep 0.002; done", tagged(run));
  ASSERT_GE(wait_for_processes(run, 5), 5U);
  const auto killed = kill_process_set(run, Attempt(1), 20s);
  ASSERT_TRUE(killed.has_value()) << killed.error().message;
  EXPECT_GE(*killed, 1);
  EXPECT_EQ(wait_for_processes(run, 0), 0U);
}

TEST(ProcessProof, CallsAZombieDead) {
  const Child child("exit 0", "X=1");
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
  const Child child("sleep 60", "X=1");
  EXPECT_GE(start_time_of(child.pid).value(), *mine);
}

TEST(ProcessProof, KnowsWhereItLives) {
  const Habitat here = this_habitat();
  EXPECT_EQ(here.boot_id.size(), 36U);
  EXPECT_FALSE(here.pid_namespace.empty());
}

}  // namespace
}  // namespace provisioner::execution
