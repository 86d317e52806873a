// I8: no process of a finished attempt is left behind; and tofu is interrupted once, whoever dies.
#include <signal.h>

#include <chrono>
#include <fstream>

#include "tests/integration/runner/attempt_fixture.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/program.hpp"

namespace provisioner::runner {
namespace {

using testing::eventually;
using namespace std::chrono_literals;

// Counts its SIGINTs and does not end by them.
constexpr const char* kCounts = R"(
trap 'echo INT >> "$NOTES"' INT
trap '' TERM HUP
echo ready >> "$NOTES"
while :; do sleep 0.02; done
)";

// Everything a process can do to be overlooked. The pids go to the notes.
constexpr const char* kStubbornFamily = R"(
trap '' INT TERM HUP
setsid sh -c 'trap "" INT TERM HUP; echo $$ >> "$NOTES"; while :; do sleep 1; done' &
( setsid sh -c 'trap "" INT TERM; (echo $(sh -c "echo \$PPID") >> "$NOTES"; exec sleep 1000) & ' & )
setsid env -i NOTES="$NOTES" sh -c 'trap "" INT TERM; echo $$ >> "$NOTES"; exec sleep 1000' &
sh -c 'echo $$ >> "$NOTES"; kill -STOP $$; exec sleep 1000' &
until [ $(cat "$NOTES" 2>/dev/null | wc -l) -ge 4 ]; do sleep 0.02; done
echo ready >> "$NOTES"
while :; do sleep 1; done
)";

class Guard : public AttemptTest {
 protected:
  void launch_until_ready() {
    daemon_.come();
    launch();
    ASSERT_TRUE(eventually(40s, [&] { return times_noted("ready") == 1; }));
  }

  std::vector<pid_t> family() const {
    std::vector<pid_t> pids;
    std::ifstream lines(notes());
    for (std::string line; std::getline(lines, line);) {
      if (line != "ready") pids.push_back(static_cast<pid_t>(std::stoi(line)));
    }
    return pids;
  }

  void expect_all_dead(const std::vector<pid_t>& pids) {
    for (const pid_t pid : pids) EXPECT_FALSE(lives(pid)) << testing::command_of(pid);
    EXPECT_TRUE(living().empty());
  }
};

TEST_F(Guard, EndsAStubbornFamilyWhenTheRunnerIsKilled) {
  use_command(kStubbornFamily);
  launch_until_ready();
  const auto pids = family();
  ASSERT_EQ(pids.size(), 4u);
  for (const pid_t pid : pids) ASSERT_TRUE(lives(pid));

  kill(runner_pid(), SIGKILL);

  EXPECT_EQ(wait_for_guard(), 0);
  expect_all_dead(pids);
  const auto record = exit_record();
  ASSERT_TRUE(record);
  EXPECT_EQ(record->cause, "runner died");
  EXPECT_EQ(record->runner_signal, SIGKILL);
  EXPECT_GE(record->kills, 1);
}

TEST_F(Guard, EndsEverythingBeforeTheLeaseOfAStoppedRunnerEnds) {
  static constexpr Duration kLease = 12s;
  use_command(kStubbornFamily);
  daemon_.with_facts([](DaemonFacts& facts) {
    facts.assignment.lease = kLease;
    facts.assignment.margin = 5s;  // what a busy machine may make of killing and looking
    facts.assignment.stop_allowance = 2s;
  });
  launch_until_ready();
  const auto pids = family();

  const auto stopped = std::chrono::steady_clock::now();
  kill(runner_pid(), SIGSTOP);

  EXPECT_EQ(wait_for_guard(), 0);
  EXPECT_LE(std::chrono::steady_clock::now() - stopped, kLease);
  expect_all_dead(pids);
  ASSERT_TRUE(exit_record());
  EXPECT_EQ(exit_record()->cause, "runner hung");
}

TEST_F(Guard, LeavesNothingBehindWhenItIsKilledItself) {
  use_command(kStubbornFamily);
  launch_until_ready();
  const auto pids = family();

  kill(guard_, SIGKILL);

  EXPECT_EQ(wait_for_guard(), 128 + SIGKILL);
  EXPECT_TRUE(eventually(30s, [&] { return living().empty(); }));
  expect_all_dead(pids);
  ASSERT_TRUE(result());
  EXPECT_EQ(result()->status, RunStatus::kInterrupted);
}

TEST_F(Guard, EndsWhatAFinishedRunLeavesRunning) {
  use_command(R"(setsid env -i sleep 1000 & echo $! >> "$NOTES"; echo done)");
  daemon_.come();
  launch();

  EXPECT_EQ(wait_for_guard(), 0);
  expect_all_dead(family());
  ASSERT_TRUE(result());
  EXPECT_EQ(result()->status, RunStatus::kSucceeded);
  EXPECT_FALSE(exit_record()) << "what the store knows need not be told";
}

TEST_F(Guard, StartsNothingWithoutARegistration) {
  use_command(kCounts);

  launch(1500ms);  // no daemon there

  EXPECT_EQ(wait_for_guard(), 0);
  EXPECT_EQ(noted(), "");
  EXPECT_TRUE(living().empty());
}

// What happens to the attempt, each of which shall interrupt the child once.
class OneInterrupt;
struct Blow {
  const char* name;
  void (*strike)(OneInterrupt& attempt);

  friend void PrintTo(const Blow& blow, std::ostream* out) { *out << blow.name; }
};

class OneInterrupt : public Guard, public ::testing::WithParamInterface<std::tuple<Blow, bool>> {
 public:
  void cancel() {
    daemon_.with_facts([](DaemonFacts& facts) { facts.cancel = true; });
  }
  void kill_runner() { kill(runner_pid(), SIGKILL); }
  void signal_guard(int number) { kill(guard_, number); }
  void await_interrupt() {
    EXPECT_TRUE(eventually(30s, [&] { return times_noted("INT") > 0; }));
  }
};

TEST_P(OneInterrupt, ReachesTheChildWhateverHappens) {
  const auto& [blow, as_tofu] = GetParam();
  if (as_tofu) {
    use_stand_in_tofu(std::string(R"([ "$1" = apply ] || exit 0)") + kCounts);
  } else {
    use_command(kCounts);
  }
  daemon_.with_facts([](DaemonFacts& facts) { facts.assignment.stop_allowance = 4s; });
  launch_until_ready();

  blow.strike(*this);

  wait_for_guard();
  EXPECT_TRUE(eventually(30s, [&] { return living().empty(); }));
  EXPECT_EQ(times_noted("INT"), 1);
}

INSTANTIATE_TEST_SUITE_P(
    Blows, OneInterrupt,
    ::testing::Combine(
        ::testing::Values(
            Blow{"Cancel", [](OneInterrupt& attempt) { attempt.cancel(); }},
            Blow{"RunnerKilled", [](OneInterrupt& attempt) { attempt.kill_runner(); }},
            Blow{"GuardKilled", [](OneInterrupt& attempt) { attempt.signal_guard(SIGKILL); }},
            Blow{"GuardAskedToEnd", [](OneInterrupt& attempt) { attempt.signal_guard(SIGTERM); }},
            Blow{"CancelThenRunnerKilled",
                 [](OneInterrupt& attempt) {
                   attempt.cancel();
                   attempt.await_interrupt();
                   attempt.kill_runner();
                 }}),
        ::testing::Bool()),
    [](const auto& info) {
      return std::string(std::get<0>(info.param).name) +
             (std::get<1>(info.param) ? "OfTofu" : "OfACommand");
    });

TEST_F(Guard, StartsFastAndLean) {
  constexpr int kRounds = 20;
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < kRounds; ++i) {
    testing::run_program({PROVISIONER_BIN_DIR "/provisioner-runner", "nothing"});
  }
  const auto each = (std::chrono::steady_clock::now() - begin) / kRounds;
  use_command(kCounts);
  launch_until_ready();
  const auto resident = [](pid_t pid) {
    std::ifstream lines("/proc/" + std::to_string(pid) + "/status");
    for (std::string line; std::getline(lines, line);) {
      if (line.starts_with("VmRSS") || line.starts_with("RssAnon")) printf("  %s\n", line.c_str());
    }
  };
  printf(
      "start and end of provisioner-runner, with the test's own polling: %lld us\nguard:\n",
      static_cast<long long>(std::chrono::duration_cast<std::chrono::microseconds>(each).count()));
  resident(guard_);
  printf("runner:\n");
  resident(runner_pid());
}

}  // namespace
}  // namespace provisioner::runner
