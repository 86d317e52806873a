// Script and command jobs with a real guard, runner and children.
#include <gmock/gmock.h>

#include "tests/integration/runner/attempt_fixture.hpp"
#include "tests/support/eventually.hpp"

namespace provisioner::runner {
namespace {

using ::testing::HasSubstr;
using namespace std::chrono_literals;

class JobProgram : public AttemptTest {
 protected:
  AttemptResult run(JobWork work, Duration timeout = 60s) {
    daemon_.with_facts([&](DaemonFacts& facts) {
      facts.assignment.operation = Operation::kJob;
      facts.assignment.own_backend = true;
      facts.assignment.timeout = timeout;
      facts.assignment.log_limit = 100'000;
      facts.assignment.job = std::move(work);
    });
    daemon_.come();
    launch();
    EXPECT_EQ(wait_for_guard(90s), 0);
    EXPECT_TRUE(living().empty());
    const auto ended = result();
    EXPECT_TRUE(ended) << "no result was reported";
    return ended.value_or(AttemptResult{});
  }
};

TEST_F(JobProgram, AScriptNamesItsInterpreterAndItsExitCodeIsTheRuns) {
  const auto result =
      run({JobName("backup"), "#!/bin/bash\necho \"${BASH_VERSION:+bash} in ${PWD##*/}\"\nexit 3",
           "", ""});
  EXPECT_EQ(result.status, RunStatus::kFailed);
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_EQ(result.error, "job backup ended with exit code 3");
  EXPECT_THAT(log(), HasSubstr("bash in content\n"));
}

TEST_F(JobProgram, ACommandRunsInItsFolderAndAMissingOneIsSaid) {
  const auto result = run({JobName("backup"), "", "echo never", "scripts"});
  EXPECT_EQ(result.status, RunStatus::kFailed);
  EXPECT_EQ(result.error, "working_dir: there is no folder scripts in the workspace's content");
}

TEST_F(JobProgram, ATreeThatHeedsNoSignalEndsAtItsTimeoutWithBoundedOutput) {
  const auto result = run({JobName("wild"),
                           "trap '' INT TERM HUP\n"
                           "(setsid sh -c 'trap \"\" INT TERM HUP; while :; do sleep 1; done' &)\n"
                           "(sh -c 'trap \"\" INT TERM HUP; while :; do sleep 1; done' &)\n"
                           "yes 0123456789 | head -c 100000000\n"
                           "while :; do sleep 1; done\n",
                           "", ""},
                          5s);
  EXPECT_EQ(result.status, RunStatus::kTimedOut);
  EXPECT_LT(log().size(), 100'500u);
  EXPECT_THAT(log(), HasSubstr("output cut"));
}

}  // namespace
}  // namespace provisioner::runner
