// A whole attempt over the protocol, with real processes, under the faults that the protocol is
// for.
#include "runner/runner.hpp"

#include <gmock/gmock.h>
#include <signal.h>

#include <fstream>

#include "tests/integration/runner/attempt_fixture.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/program.hpp"

namespace provisioner::runner {
namespace {

using testing::eventually;
using ::testing::HasSubstr;
using ::testing::Not;
using namespace std::chrono_literals;

class RunnerProgram : public AttemptTest {
 protected:
  template <typename F>
  void assign(F&& change) {
    daemon_.with_facts([&](DaemonFacts& facts) { change(facts.assignment); });
  }

  // Waits until nothing of the attempt lives and returns its result.
  AttemptResult finished() {
    EXPECT_EQ(wait_for_guard(90s), 0);
    EXPECT_TRUE(living().empty());
    const auto ended = result();
    EXPECT_TRUE(ended) << "no result was reported";
    return ended.value_or(AttemptResult{});
  }

  void await_note(const std::string& word) {
    ASSERT_TRUE(eventually(40s, [&] { return times_noted(word) > 0; }));
  }

  std::vector<std::string> states() {
    return daemon_.with_facts([](const DaemonFacts& facts) { return facts.states; });
  }
};

TEST_F(RunnerProgram, RegistersBeforeItStartsAnything) {
  use_command(R"(echo started >> "$NOTES")");
  daemon_.come();
  launch();
  finished();
  const auto registration =
      daemon_.with_facts([](const DaemonFacts& facts) { return facts.registration; });
  ASSERT_TRUE(registration);
  EXPECT_EQ(registration->process.guard_pid, guard_);
  EXPECT_GT(registration->process.guard_start, 0);
  EXPECT_EQ(registration->process.directory, directory_.root);
  EXPECT_NE(registration->process.boot_id, "");
  EXPECT_EQ(times_noted("started"), 1);
}

TEST_F(RunnerProgram, GivesCommandsTheirEnvironmentAndNothingElse) {
  use_command(R"(env > "$NOTES"; pwd >> "$NOTES")");
  std::filesystem::create_directory(temp_ / "bin");
  std::filesystem::create_symlink("/bin/true", temp_ / "bin" / "tofu");
  assign([this](Assignment& assignment) {
    assignment.environment["GREETING"] = "hello";
    assignment.binary = "/bin/true";
    assignment.binary_directory = temp_ / "bin";
    assignment.commands.deploy_init = "tofu";  // the chosen binary, first on PATH
  });
  daemon_.come();
  launch();
  EXPECT_EQ(finished().status, RunStatus::kSucceeded) << log();
  const std::string seen = noted();
  EXPECT_THAT(seen, HasSubstr("GREETING=hello\n"));
  EXPECT_THAT(seen, HasSubstr("RUN_ID=" + fence_.run.value + "\n"));
  EXPECT_THAT(seen, HasSubstr("WORKSPACE_ID=shop\n"));
  EXPECT_THAT(seen, HasSubstr("WORKSPACE_DEPLOYMENT_DIR=" + directory_.content().string() + "\n"));
  EXPECT_THAT(seen, HasSubstr("\n" + directory_.content().string() + "\n"));
  EXPECT_THAT(seen, Not(HasSubstr(fence_.claim.value)));
  EXPECT_THAT(seen, Not(HasSubstr("PROVISIONER_CLAIM")));
}

TEST_F(RunnerProgram, HidesTheClaimFromProcessesOfTheSameUser) {
  use_command(R"(echo ready >> "$NOTES"; sleep 1000)");
  daemon_.come();
  launch();
  await_note("ready");
  for (const pid_t pid : living()) {
    const std::string environment = testing::read_file("/proc/" + std::to_string(pid) + "/environ");
    EXPECT_THAT(environment, Not(HasSubstr(fence_.claim.value))) << testing::command_of(pid);
    EXPECT_THAT(testing::command_of(pid), Not(HasSubstr(fence_.claim.value)));
  }
}

TEST_F(RunnerProgram, MasksSecretsInLogAndError) {
  use_command(R"(echo "the password is $PASSWORD"; echo "Error: $PASSWORD is wrong" >&2; exit 3)");
  assign([](Assignment& assignment) {
    assignment.environment["PASSWORD"] = "hunter2";
    assignment.masks = {"hunter2"};
  });
  daemon_.come();
  launch();
  const auto result = finished();
  EXPECT_EQ(result.status, RunStatus::kFailed);
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_THAT(log(), HasSubstr("the password is ***\n"));
  EXPECT_THAT(log() + result.error, Not(HasSubstr("hunter2")));
}

TEST_F(RunnerProgram, CutsEndlessOutput) {
  use_command("yes | head -c 100000");
  assign([](Assignment& assignment) { assignment.log_limit = 5000; });
  daemon_.come();
  launch();
  EXPECT_EQ(finished().status, RunStatus::kSucceeded);
  EXPECT_LT(log().size(), 5200u);
  EXPECT_THAT(log(), HasSubstr("output cut"));
}

TEST_F(RunnerProgram, LosesNothingWhenEveryReplyIsLostOnce) {
  use_command("seq 1 20000");
  daemon_.with_facts([](DaemonFacts& facts) { facts.replies_to_lose = 2; });
  daemon_.come();
  launch();
  EXPECT_EQ(finished().status, RunStatus::kSucceeded);
  std::string expected;
  for (int i = 1; i <= 20000; ++i) expected += std::to_string(i) + "\n";
  EXPECT_THAT(log(), HasSubstr(expected));
}

TEST_F(RunnerProgram, GoesOnWhileTheDaemonIsAway) {
  use_command(
      R"(echo before; echo ready >> "$NOTES"; while [ ! -e "$NOTES.go" ]; do sleep 0.05; done; echo after)");
  daemon_.come();
  launch();
  await_note("ready");
  daemon_.go();
  testing::write_file(notes().string() + ".go", "");
  // The runner has nobody to report to, and stays.
  EXPECT_EQ(wait_for_guard(1s), -1);
  daemon_.come();
  EXPECT_EQ(finished().status, RunStatus::kSucceeded);
  EXPECT_THAT(log(), HasSubstr("before\nafter\n"));
}

TEST_F(RunnerProgram, StopsInTimeWhenTheDaemonStaysAway) {
  use_command(
      R"(trap 'echo INT >> "$NOTES"; exit 1' INT; echo ready >> "$NOTES"; while :; do sleep 0.05; done)");
  static constexpr Duration kLease = 12s;
  assign([](Assignment& assignment) {
    assignment.lease = kLease;
    assignment.margin = 5s;  // what a busy machine may make of stopping and looking
    assignment.stop_allowance = 3s;
  });
  daemon_.come();
  launch();
  await_note("ready");
  const auto away = std::chrono::steady_clock::now();
  daemon_.go();
  EXPECT_EQ(wait_for_guard(), 0);
  EXPECT_LE(std::chrono::steady_clock::now() - away, kLease);
  EXPECT_EQ(times_noted("INT"), 1);
  EXPECT_TRUE(living().empty());
}

TEST_F(RunnerProgram, StopsWithoutAnotherWriteWhenItIsFenced) {
  use_command(
      R"(trap 'echo INT >> "$NOTES"; exit 0' INT; echo ready >> "$NOTES"; while :; do sleep 0.05; done)");
  daemon_.come();
  launch();
  await_note("ready");
  daemon_.with_facts([](DaemonFacts& facts) { facts.fenced = true; });
  EXPECT_EQ(wait_for_guard(), 0);
  EXPECT_EQ(times_noted("INT"), 1);
  EXPECT_FALSE(result());
}

TEST_F(RunnerProgram, StartsNothingWhenItIsFencedAtTheRegistration) {
  use_command(R"(echo started >> "$NOTES")");
  daemon_.with_facts([](DaemonFacts& facts) { facts.fenced = true; });
  daemon_.come();
  launch();
  EXPECT_EQ(wait_for_guard(), 0);
  EXPECT_EQ(noted(), "");
}

TEST_F(RunnerProgram, CancelsAtOnceWithoutWaitingForAHeartbeat) {
  use_command(
      R"(trap 'echo INT >> "$NOTES"; exit 1' INT; echo ready >> "$NOTES"; while :; do sleep 0.02; done)");
  assign([](Assignment& assignment) {
    assignment.lease = 200s;
    assignment.heartbeat = 100s;
  });
  daemon_.come();
  launch();
  await_note("ready");
  daemon_.with_facts([](DaemonFacts& facts) { facts.cancel = true; });
  EXPECT_TRUE(eventually(50s, [&] { return times_noted("INT") == 1; }));
  const auto result = finished();
  EXPECT_EQ(result.status, RunStatus::kCancelled);
  EXPECT_EQ(result.error, "the run was cancelled");
}

TEST_F(RunnerProgram, KillsWhatDoesNotStopInItsAllowance) {
  use_command(R"(trap '' INT; echo ready >> "$NOTES"; while :; do sleep 0.05; done)");
  assign([](Assignment& assignment) { assignment.stop_allowance = 500ms; });
  daemon_.come();
  launch();
  await_note("ready");
  daemon_.with_facts([](DaemonFacts& facts) { facts.cancel = true; });
  EXPECT_EQ(finished().status, RunStatus::kCancelled);
}

TEST_F(RunnerProgram, EndsARunThatTakesTooLong) {
  use_command("sleep 1000");
  assign([](Assignment& assignment) { assignment.timeout = 500ms; });
  daemon_.come();
  launch();
  const auto result = finished();
  EXPECT_EQ(result.status, RunStatus::kTimedOut);
  EXPECT_THAT(result.error, HasSubstr("500ms"));
}

TEST_F(RunnerProgram, CallsAKilledTofuInterrupted) {
  use_stand_in_tofu(R"([ "$1" = apply ] || exit 0; echo $$ >> "$NOTES"; sleep 1000 & wait)");
  daemon_.come();
  launch();
  ASSERT_TRUE(eventually(40s, [&] { return !noted().empty(); }));
  kill(static_cast<pid_t>(std::stoi(noted())), SIGKILL);
  const auto result = finished();
  EXPECT_EQ(result.status, RunStatus::kInterrupted);
  EXPECT_EQ(result.error, "apply was killed by signal 9 (Killed)");
}

TEST_F(RunnerProgram, SurvivesTheDeathOfItsTrampoline) {
  use_stand_in_tofu(
      R"([ "$1" = apply ] || exit 0
trap 'echo INT >> "$NOTES"; exit 0' INT; echo ready >> "$NOTES"; while :; do sleep 0.05; done)");
  daemon_.come();
  launch();
  await_note("ready");
  for (const pid_t pid : living()) {
    if (testing::command_of(pid).starts_with("provisioner-guard exec-child")) kill(pid, SIGKILL);
  }
  finished();
  EXPECT_EQ(times_noted("INT"), 1);
}

TEST_F(RunnerProgram, ReportsAPassingFailureWithItsHostAndLeavesTheRetryToItsDaemon) {
  use_stand_in_tofu(R"(
echo "$1" >> "$NOTES"
[ "$1" = plan ] || exit 0
echo 'Error: Get "https://management.azure.com/x": dial tcp: connection refused' >&2; exit 1)");
  daemon_.come();
  launch();
  const auto result = finished();
  EXPECT_EQ(result.status, RunStatus::kFailed);
  EXPECT_TRUE(result.may_pass);
  EXPECT_EQ(result.host, "management.azure.com");
  EXPECT_FALSE(result.began_changes);
  EXPECT_EQ(times_noted("plan"), 1);
}

TEST_F(RunnerProgram, SaysThatAFailedApplyHadBegun) {
  use_stand_in_tofu(R"([ "$1" = apply ] || exit 0
echo 'Error: 503 Service Unavailable' >&2; exit 1)");
  daemon_.come();
  launch();
  const auto result = finished();
  EXPECT_TRUE(result.may_pass);
  EXPECT_TRUE(result.began_changes);
  EXPECT_EQ(result.host, "");
}

TEST_F(RunnerProgram, ItsOwnStateBackendIsNoHostOfACloud) {
  use_stand_in_tofu(R"([ "$1" = plan ] || exit 0
echo "Error: Get \"$TF_HTTP_ADDRESS\": dial tcp: connection refused" >&2; exit 1)");
  daemon_.come();
  launch();
  const auto result = finished();
  EXPECT_TRUE(result.may_pass) << result.error;
  EXPECT_EQ(result.host, "") << result.error;
}

TEST_F(RunnerProgram, InitialisesAfterAllWhenThePlanAsksForIt) {
  use_stand_in_tofu(R"(
echo "$1" >> "$NOTES"
if [ "$1" = init ]; then mkdir -p .terraform; touch .terraform/made; fi
if [ "$1" = plan ] && [ ! -e .terraform/made ]; then
  echo 'Error: Required plugins are not installed' >&2; exit 1
fi
exit 0)");
  const auto cache = temp_ / "damaged";
  std::filesystem::create_directories(cache / ".terraform");
  testing::write_file(cache / "fingerprint", "content-1\n");
  assign([&](Assignment& assignment) {
    assignment.init_fingerprint = "content-1";
    assignment.cache_directory = cache;
  });
  daemon_.come();
  launch();
  EXPECT_EQ(finished().status, RunStatus::kSucceeded) << log();
  EXPECT_EQ(noted(), "plan\ninit\nplan\napply\n");
}

TEST_F(RunnerProgram, SaysWhatIsMissing) {
  assign([](Assignment& assignment) { assignment.binary = "/nonexistent/tofu"; });
  daemon_.come();
  launch();
  const auto result = finished();
  EXPECT_EQ(result.status, RunStatus::kFailed);
  EXPECT_EQ(result.exit_code, 127);
  EXPECT_THAT(log() + result.error, HasSubstr("/nonexistent/tofu"));
}

// --- with the real thing -------------------------------------------------------------------------

constexpr const char* kOneResource = R"(
variable "input" { default = "none" }
resource "terraform_data" "web" { input = var.input }
)";

class RunnerWithTerraform : public RunnerProgram {
 protected:
  void SetUp() override { use_terraform(kOneResource); }

  // Another attempt of the same workspace, in the same place.
  void again() {
    wait_for_guard();
    guard_code_ = -1;
    std::filesystem::remove(directory_.log());
    std::filesystem::remove(directory_.exit_record());
    daemon_.with_facts([](DaemonFacts& facts) {
      facts.log.clear();
      facts.results.clear();
    });
  }
};

TEST_F(RunnerWithTerraform, DeploysAndDestroys) {
  assign([](Assignment& assignment) { assignment.variables = R"({"input":"green"})"; });
  daemon_.come();
  launch();
  const auto deployed = finished();
  EXPECT_EQ(deployed.status, RunStatus::kSucceeded) << deployed.error << log();
  EXPECT_EQ(deployed.exit_code, 0);
  EXPECT_EQ(deployed.resources, (ResourceCounts{1, 0, 0}));
  EXPECT_THAT(log(), HasSubstr("Apply complete"));
  EXPECT_THAT(log(), Not(HasSubstr("\x1b")));
  ASSERT_FALSE(states().empty());
  EXPECT_THAT(states().back(), HasSubstr("green"));
  EXPECT_TRUE(unacknowledged_states(directory_).empty());
  EXPECT_FALSE(daemon_.with_facts([](const DaemonFacts& facts) { return facts.lock; }));
  EXPECT_FALSE(std::filesystem::exists(directory_.variables())) << "it may hold secrets";
  EXPECT_FALSE(std::filesystem::exists(directory_.plan()));

  again();
  assign([](Assignment& assignment) { assignment.operation = Operation::kDestroy; });
  launch();
  const auto destroyed = finished();
  EXPECT_EQ(destroyed.status, RunStatus::kSucceeded) << destroyed.error << log();
  EXPECT_EQ(destroyed.resources, (ResourceCounts{0, 0, 1}));
  EXPECT_THAT(log(), HasSubstr("init: not needed"));
}

TEST_F(RunnerWithTerraform, PlansWithoutChangingAnything) {
  assign([](Assignment& assignment) { assignment.operation = Operation::kPlan; });
  daemon_.come();
  launch();
  const auto planned = finished();
  EXPECT_EQ(planned.status, RunStatus::kSucceeded) << planned.error << log();
  EXPECT_EQ(planned.resources, (ResourceCounts{1, 0, 0}));
  EXPECT_TRUE(states().empty());
}

TEST_F(RunnerWithTerraform, WaitsForAPersonBeforeItDeletes) {
  daemon_.come();
  launch();
  ASSERT_EQ(finished().status, RunStatus::kSucceeded) << log();
  const auto before = states().size();

  again();
  testing::write_file(directory_.content() / "main.tf", "variable \"input\" { default = 1 }\n");
  assign([](Assignment& assignment) { assignment.needs_agreement = true; });
  launch();
  const auto waiting = finished();
  EXPECT_TRUE(waiting.needs_confirmation) << log();
  EXPECT_EQ(waiting.resources, (ResourceCounts{0, 0, 1}));
  EXPECT_EQ(states().size(), before);
}

TEST_F(RunnerWithTerraform, PlansOnceMoreWhenTheStateHasMovedOn) {
  assign([](Assignment& assignment) {
    assignment.commands.deploy_plan =
        "tofu plan -input=false -no-color -out=\"$PROVISIONER_PLAN_FILE\" && "
        "tofu apply -input=false -no-color -auto-approve -var input=meanwhile";
  });
  daemon_.come();
  launch();
  const auto result = finished();
  EXPECT_EQ(result.status, RunStatus::kSucceeded) << result.error;
  EXPECT_THAT(log(), HasSubstr("planning once more"));
  EXPECT_EQ(result.resources, (ResourceCounts{0, 1, 0}));
}

TEST_F(RunnerWithTerraform, ReportsTheFirstErrorOfAFailedPlan) {
  testing::write_file(directory_.content() / "main.tf",
                      "resource \"terraform_data\" \"a\" { input = var.missing }\n");
  daemon_.come();
  launch();
  const auto result = finished();
  EXPECT_EQ(result.status, RunStatus::kFailed);
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.error, HasSubstr("undeclared input variable"));
}

// The state is not lost when the store is away while a run is being stopped: it is on disk, tofu is
// told so (409), and the runner hands it over as recovery.
TEST_F(RunnerWithTerraform, KeepsTheStateOnDiskWhileTheStoreIsAwayAndTheRunStops) {
  testing::write_file(directory_.content() / "main.tf", R"(
resource "terraform_data" "first" { input = "precious" }
resource "terraform_data" "slow" {
  depends_on = [terraform_data.first]
  provisioner "local-exec" { command = "echo ready >> \"$NOTES\"; sleep 3" }
}
)");
  assign([](Assignment& assignment) { assignment.stop_allowance = 15s; });
  daemon_.come();
  launch();
  await_note("ready");
  daemon_.with_facts([](DaemonFacts& facts) {
    facts.refuse_states = true;
    facts.cancel = true;
  });
  const auto result = finished();
  EXPECT_EQ(result.status, RunStatus::kCancelled);
  const auto recovered =
      daemon_.with_facts([](const DaemonFacts& facts) { return facts.recovered; });
  ASSERT_FALSE(recovered.empty()) << log();
  EXPECT_THAT(recovered.back(), HasSubstr("precious"));
  EXPECT_TRUE(unacknowledged_states(directory_).empty());
}

// The runner holds tofu's request until the store is back; tofu notices nothing.
TEST_F(RunnerWithTerraform, HoldsAStateWhileTheStoreIsAway) {
  testing::write_file(directory_.content() / "main.tf",
                      "resource \"terraform_data\" \"a\" { input = \"precious\" }\n");
  daemon_.with_facts([](DaemonFacts& facts) { facts.refuse_states = true; });
  daemon_.come();
  launch();
  ASSERT_TRUE(eventually(40s, [&] { return !unacknowledged_states(directory_).empty(); }));
  EXPECT_THAT(testing::read_file(unacknowledged_states(directory_).front()), HasSubstr("precious"));
  daemon_.go();
  daemon_.with_facts([](DaemonFacts& facts) { facts.refuse_states = false; });
  daemon_.come();
  EXPECT_EQ(finished().status, RunStatus::kSucceeded) << log();
  ASSERT_FALSE(states().empty());
  EXPECT_THAT(states().back(), HasSubstr("precious"));
  EXPECT_TRUE(unacknowledged_states(directory_).empty());
}

// A killed runner takes the backend away from tofu: tofu saves errored.tfstate, and that, like the
// spool, waits in the directory for the daemon's sweep.
TEST_F(RunnerWithTerraform, LeavesTheStateForTheSweepWhenTheRunnerIsKilled) {
  testing::write_file(directory_.content() / "main.tf", R"(
resource "terraform_data" "a" {
  input = "precious"
  provisioner "local-exec" { command = "echo ready >> \"$NOTES\"; sleep 1" }
}
)");
  assign([](Assignment& assignment) { assignment.stop_allowance = 15s; });
  daemon_.come();
  launch();
  await_note("ready");
  kill(runner_pid(), SIGKILL);
  EXPECT_EQ(wait_for_guard(90s), 0);
  EXPECT_TRUE(living().empty());
  const auto left = unacknowledged_states(directory_);
  ASSERT_FALSE(left.empty()) << guard_log();
  EXPECT_THAT(testing::read_file(left.back()), HasSubstr("precious"));
}

}  // namespace
}  // namespace provisioner::runner
