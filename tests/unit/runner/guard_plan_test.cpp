#include "runner/guard_plan.hpp"

#include <gtest/gtest.h>

namespace provisioner::runner {
namespace {

using namespace std::chrono_literals;

constexpr BootInstant at(Duration since_start) { return BootInstant(since_start); }

class GuardPlanTest : public ::testing::Test {
 protected:
  // A lease until 150 s with 40 s to stop, after a registration.
  GuardPlanTest() {
    plan_.set_stop_allowance(40s);
    plan_.move_deadline(at(150s));
  }

  void expect(Duration now, bool others_live, GuardAct act) {
    EXPECT_EQ(static_cast<int>(plan_.decide(at(now), others_live).act), static_cast<int>(act));
  }

  GuardPlan plan_{at(60s), 0s};
};

TEST_F(GuardPlanTest, WaitsWhileTheLeaseRuns) {
  const auto decision = plan_.decide(at(1s), true);
  EXPECT_EQ(decision.act, GuardAct::kWait);
  EXPECT_EQ(decision.until, at(111s)) << "40 s before the deadline, and a second of patience";
}

TEST_F(GuardPlanTest, KillsARunnerThatDoesNotBeginToStopInTime) {
  expect(110s + 999ms, true, GuardAct::kWait);
  expect(111s, true, GuardAct::kKillRunner);
  plan_.runner_exited(at(111s));
  expect(112s, true, GuardAct::kWait);
  expect(150s, true, GuardAct::kKillAll);
  expect(151s, false, GuardAct::kEnd);
  EXPECT_EQ(plan_.cause(), "runner hung");
}

TEST_F(GuardPlanTest, GivesAStoppingRunnerUntilTheDeadlineAndNoLonger) {
  plan_.runner_stops();
  const auto decision = plan_.decide(at(120s), true);
  EXPECT_EQ(decision.act, GuardAct::kWait);
  EXPECT_EQ(decision.until, at(150s));
  expect(150s, true, GuardAct::kKillAll);
  plan_.runner_exited(at(150s));
  expect(150s, false, GuardAct::kEnd);
  EXPECT_EQ(plan_.cause(), "deadline");
}

TEST_F(GuardPlanTest, MovesTheDeadlineForwardsOnly) {
  plan_.move_deadline(at(200s));
  plan_.move_deadline(at(170s));
  expect(160s, true, GuardAct::kWait);
  expect(161s, true, GuardAct::kKillRunner);
}

TEST_F(GuardPlanTest, LetsTheFirstLeaseEndBeforeItsOwnGuess) {
  GuardPlan plan(at(60s), 0s);
  plan.move_deadline(at(3s));
  EXPECT_EQ(plan.decide(at(3s), true).act, GuardAct::kKillAll);
}

TEST_F(GuardPlanTest, GivesTheOrphansOfADeadRunnerTheStopAllowance) {
  plan_.runner_exited(at(10s));
  expect(10s, true, GuardAct::kWait);
  expect(50s, true, GuardAct::kKillAll);
  expect(50s, false, GuardAct::kEnd);
  EXPECT_EQ(plan_.cause(), "runner died");
}

TEST_F(GuardPlanTest, NeverLetsOrphansOutliveTheLease) {
  plan_.runner_exited(at(140s));
  expect(149s, true, GuardAct::kWait);
  expect(150s, true, GuardAct::kKillAll);
}

TEST_F(GuardPlanTest, KillsWhatAFinishedRunnerLeftAtOnce) {
  plan_.runner_finished();
  plan_.runner_exited(at(10s));
  expect(10s, true, GuardAct::kKillAll);
  expect(10s, false, GuardAct::kEnd);
  EXPECT_EQ(plan_.cause(), "finished");
}

TEST_F(GuardPlanTest, LooksAgainSoonWhileOrphansStop) {
  plan_.runner_exited(at(10s));
  EXPECT_LE(plan_.decide(at(10s), true).until, at(10s + 100ms));
}

}  // namespace
}  // namespace provisioner::runner
