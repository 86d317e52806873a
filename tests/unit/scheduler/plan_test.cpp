// behaviour.md, "Schedules"; I3.
#include "scheduler/plan.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/scheduler/story.hpp"

namespace provisioner {
namespace {

using namespace std::chrono_literals;
using testing::at;
using testing::definition;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::ledger;
using testing::rule;
using testing::rules_of;
using testing::Story;
using testing::wanted;

const char* const kNight = "2026-03-02T00:00:00Z";
const char* const kNineInTheMorning = "2026-03-02T09:00:00Z";
const char* const kEightSharp = "2026-03-02T08:00:00Z";

TEST(Plan, NothingIsDueBetweenOccurrences) {
  const auto story = Story::office_hours();
  const Plan p = story.planned(kEightSharp, "2026-03-02T17:59:59Z");
  EXPECT_TRUE(p.occurrences.empty());
  EXPECT_EQ(p.new_cursor, std::nullopt);
  EXPECT_EQ(wanted(p.run), "nothing");
  EXPECT_EQ(p.sentence, "");
  EXPECT_EQ(next_occurrence_at(story.situation(at(kEightSharp), at(kNineInTheMorning))),
            at("2026-03-02T18:00:00Z"));
}

TEST(Plan, ADueDeployFiresOnceAndMovesTheCursorToItsInstant) {
  const auto story = Story::office_hours();
  const Plan p = story.planned(kNight, "2026-03-02T08:00:00.020Z");
  EXPECT_THAT(ledger(p), ElementsAre("deploy_schedule 2026-03-02T08:00:00+00:00 fired"));
  EXPECT_EQ(p.new_cursor, at(kEightSharp));
  ASSERT_EQ(wanted(p.run), "deploy");
  EXPECT_EQ(p.run->scheduled_for, at(kEightSharp));
  EXPECT_EQ(p.run->definition, definition("v1"));
  EXPECT_EQ(p.sentence, "deploy due at 2026-03-02T08:00:00+00:00: fired, the workspace is pending");

  EXPECT_TRUE(story.planned(kEightSharp, "2026-03-02T08:00:00.021Z").occurrences.empty());
}

TEST(Plan, TheRunIsNamedInTheRowThatFired) {
  const Plan p =
      with_run_id(Story::office_hours().planned(kNight, "2026-03-02T20:00:00Z"), RunId("r1"));
  EXPECT_FALSE(p.run);  // destroy of what was never deployed
  auto story = Story::office_hours();
  const Plan q = with_run_id(story.deployed().planned(kNight, "2026-03-02T20:00:00Z"), RunId("r1"));
  ASSERT_EQ(q.occurrences.size(), 2U);
  EXPECT_EQ(q.occurrences[0].run, std::nullopt);
  EXPECT_EQ(q.occurrences[1].run, RunId("r1"));
  EXPECT_EQ(q.run->id, RunId("r1"));
}

// Kubernetes 42649 and River 791 miss schedules after downtime; Airflow replays all of them.
TEST(Plan, AfterAnOutageOnlyTheLastOccurrenceActs) {
  auto story = Story::office_hours();
  const Plan p = story.deployed().planned(kNight, "2026-03-03T19:00:00Z");
  EXPECT_THAT(ledger(p), ElementsAre("deploy_schedule 2026-03-02T08:00:00+00:00 superseded",
                                     "destroy_schedule 2026-03-02T18:00:00+00:00 superseded",
                                     "deploy_schedule 2026-03-03T08:00:00+00:00 superseded",
                                     "destroy_schedule 2026-03-03T18:00:00+00:00 fired"));
  EXPECT_EQ(wanted(p.run), "destroy");
  EXPECT_EQ(p.occurrences[0].reason, "overtaken by destroy at 2026-03-03T18:00:00+00:00");
}

TEST(Plan, AYearOfEveryMinuteIsOneRowAndOneRun) {
  const Story story(rules_of("* * * * *", ""));
  const Plan p = story.planned("2025-03-02T00:00:00Z", "2026-03-02T00:00:00Z");
  EXPECT_THAT(ledger(p),
              ElementsAre("* 2025-03-02T00:01:00Z..2026-03-01T23:59:00Z x525599 superseded",
                          "deploy_schedule 2026-03-02T00:00:00+00:00 fired"));
}

TEST(Plan, AThousandOvertakenOccurrencesAreStillRowsOfTheirOwn) {
  const Story story(rules_of("* * * * *", ""));
  const Instant begin = at(kNight);
  EXPECT_EQ(plan(story.situation(begin, begin + 1001min))->occurrences.size(), 1001U);
  EXPECT_EQ(plan(story.situation(begin, begin + 1002min))->occurrences.size(), 2U);
}

TEST(Plan, DeployWinsOverDestroyAtOneInstant) {
  const Story story(rules_of("0 8 * * *", "0 8 * * *"));
  const Plan p = story.planned(kNight, kEightSharp);
  EXPECT_THAT(ledger(p), ElementsAre("destroy_schedule 2026-03-02T08:00:00+00:00 superseded",
                                     "deploy_schedule 2026-03-02T08:00:00+00:00 fired"));
  EXPECT_EQ(p.occurrences[0].reason, "deploy at the same instant wins");
}

TEST(Plan, OfTwoModesAtOneInstantTheAlphabeticallyLastWins) {
  const Story story({rule("mode_schedules.quiet", Action::kDeploy, "quiet", "0 8 * * *"),
                     rule("mode_schedules.busy", Action::kDeploy, "busy", "0 8 * * *")});
  const Plan p = story.planned(kNight, kEightSharp);
  EXPECT_EQ(wanted(p.run), "deploy in quiet");
  EXPECT_EQ(p.occurrences[0].reason, "deploy in mode quiet at the same instant wins");
}

TEST(Plan, NothingFiresTwiceWhenTheClockGoesBack) {
  const auto story = Story::office_hours();
  const Plan p = story.planned(kEightSharp, "2026-03-02T07:00:00Z");
  EXPECT_TRUE(p.occurrences.empty());
  EXPECT_EQ(p.new_cursor, std::nullopt);
  EXPECT_EQ(next_occurrence_at(story.situation(at(kEightSharp), at("2026-03-02T07:00:00Z"))),
            at("2026-03-02T18:00:00Z"));
}

// Nomad 5410 floods around a change of the clocks, Kubernetes 121594 doubles.
TEST(Plan, ADailyTimeFiresOnceInTheNightInWhichTheClocksShowItTwice) {
  const Story story(rules_of("30 1 * * *", ""), "America/New_York");
  const Plan p = story.planned("2026-11-01T00:00:00Z", "2026-11-02T00:00:00Z");
  EXPECT_THAT(ledger(p), ElementsAre("deploy_schedule 2026-11-01T01:30:00-04:00 fired"));
}

TEST(Plan, DeployAndDestroyInTheGapKeepTheirOrder) {
  auto story = Story(rules_of("15 2 * * *", "45 2 * * *"), "Europe/Berlin");
  const Plan p = story.deployed().planned("2026-03-29T00:00:00Z", "2026-03-29T12:00:00Z");
  EXPECT_THAT(ledger(p), ElementsAre("deploy_schedule 2026-03-29T03:00:00+02:00 superseded",
                                     "destroy_schedule 2026-03-29T03:00:00+02:00 fired"));
}

struct Verdict {
  const char* name;
  void (*given)(Story&);
  const char* outcome;
  const char* run;
  const char* reason;

  friend void PrintTo(const Verdict& one, std::ostream* out) { *out << one.name; }
};

class WhatADeployOccurrenceDoes : public ::testing::TestWithParam<Verdict> {};
class WhatADestroyOccurrenceDoes : public ::testing::TestWithParam<Verdict> {};

void check(const Verdict& expected, const char* cursor, const char* now) {
  auto story = Story::office_hours();
  expected.given(story);
  const Plan p = story.planned(cursor, now);
  ASSERT_EQ(p.occurrences.size(), 1U);
  EXPECT_EQ(to_string(p.occurrences[0].outcome), expected.outcome);
  EXPECT_THAT(p.occurrences[0].reason, HasSubstr(expected.reason));
  EXPECT_EQ(wanted(p.run), expected.run);
  EXPECT_EQ(p.new_cursor, p.occurrences[0].at);
}

TEST_P(WhatADeployOccurrenceDoes, OfAWorkspace) {
  check(GetParam(), kNight, "2026-03-02T08:00:05Z");
}
TEST_P(WhatADestroyOccurrenceDoes, OfAWorkspace) {
  check(GetParam(), kEightSharp, "2026-03-02T18:00:05Z");
}

Run manual(const Story& story, Operation operation, RunStatus status, const char* created) {
  Run run = story.run(operation, status, Trigger::kManual);
  run.created_at = at(created);
  return run;
}

INSTANTIATE_TEST_SUITE_P(
    Schedules, WhatADeployOccurrenceDoes,
    ::testing::Values(
        Verdict{"NeverDeployed", [](Story&) {}, "fired", "deploy", "the workspace is pending"},
        Verdict{"Destroyed", [](Story& s) { s.status(WorkspaceStatus::kDestroyed); }, "fired",
                "deploy", "the workspace is destroyed"},
        Verdict{"DeployFailedBefore",
                [](Story& s) { s.deployed().status(WorkspaceStatus::kDeployFailed); }, "fired",
                "deploy", "the workspace is deploy_failed"},
        Verdict{"DestroyFailedBefore",
                [](Story& s) { s.deployed().status(WorkspaceStatus::kDestroyFailed); }, "fired",
                "deploy", "the workspace is destroy_failed"},
        Verdict{"AlreadyDeployed", [](Story& s) { s.deployed(); }, "no_change", "nothing",
                "already deployed"},
        Verdict{"DeployedWithOtherContent", [](Story& s) { s.deployed("v0"); }, "fired", "deploy",
                "the content changed"},
        Verdict{"DeployedWithOtherContentThatWaitsForTheSchedule",
                [](Story& s) {
                  s.deployed("v0");
                  s.spec.on_change = OnChange::kNextSchedule;
                },
                "fired", "deploy", "the content changed"},
        Verdict{"DeployedWithOtherContentToBeIgnored",
                [](Story& s) {
                  s.deployed("v0");
                  s.spec.on_change = OnChange::kIgnore;
                },
                "no_change", "nothing", "on_change is ignore"},
        Verdict{"DeployedInAnotherMode", [](Story& s) { s.deployed("v1", "busy"); }, "fired",
                "deploy", "deployed in mode \"busy\", due is \"\""},
        Verdict{"AChangeWaitsForConfirmation",
                [](Story& s) { s.deployed().status(WorkspaceStatus::kNeedsConfirmation); },
                "no_change", "nothing", "waits for `workspace confirm`"},
        Verdict{"Held",
                [](Story& s) {
                  s.workspace.held = true;
                  s.workspace.hold_reason = "audit";
                },
                "skipped_hold", "nothing", "the workspace is held: audit"},
        Verdict{"HeldUntilLater",
                [](Story& s) {
                  s.workspace.held = true;
                  s.workspace.hold_until = at(kNineInTheMorning);
                },
                "skipped_hold", "nothing", "the workspace is held"},
        // Evaluated after the hold's end, but due before it.
        Verdict{"HeldWhenItWasDue",
                [](Story& s) {
                  s.workspace.held = true;
                  s.workspace.hold_until = at("2026-03-02T08:00:02Z");
                },
                "skipped_hold", "nothing", "the workspace is held"},
        Verdict{"HeldUntilItWasDue",
                [](Story& s) {
                  s.workspace.held = true;
                  s.workspace.hold_until = at(kEightSharp);
                },
                "fired", "deploy", "the workspace is pending"},
        Verdict{"Disabled", [](Story& s) { s.workspace.enabled = false; }, "skipped_disabled",
                "nothing", "disabled"},
        Verdict{"Detached", [](Story& s) { s.workspace.detached = true; }, "skipped_disabled",
                "nothing", "detached"},
        Verdict{"TheSameDeployIsRunning", [](Story& s) { s.running(Operation::kDeploy); },
                "skipped_overlap", "nothing", "deploy run deploy-run is still running"},
        Verdict{"TheSameDeployIsQueued", [](Story& s) { s.queued_behind(Operation::kDeploy); },
                "skipped_overlap", "nothing", "deploy run deploy-run is already queued"},
        Verdict{"ADeployOfOlderContentIsRunning",
                [](Story& s) {
                  s.running(Operation::kDeploy);
                  s.active->definition = definition("v0");
                },
                "fired", "deploy", "after deploy run deploy-run, which is running"},
        Verdict{"TheSameDeployIsBeingCancelled",
                [](Story& s) {
                  s.running(Operation::kDeploy);
                  s.active->cancel_requested = true;
                },
                "fired", "deploy", "after deploy run"},
        Verdict{"ADestroyIsRunning", [](Story& s) { s.deployed().running(Operation::kDestroy); },
                "fired", "deploy", "after destroy run destroy-run, which is running"},
        Verdict{"ADestroyIsQueuedBehindADeploy",
                [](Story& s) { s.running(Operation::kDeploy).queued_behind(Operation::kDestroy); },
                "fired", "deploy", "after destroy run destroy-run, which is queued"},
        Verdict{"ADeployIsQueuedBehindADestroy",
                [](Story& s) { s.running(Operation::kDestroy).queued_behind(Operation::kDeploy); },
                "skipped_overlap", "nothing", "already queued"},
        Verdict{"OnlyAPlanIsRunning", [](Story& s) { s.running(Operation::kPlan); }, "fired",
                "deploy", "the workspace is pending"},
        Verdict{"SomebodyDestroyedItSince",
                [](Story& s) {
                  s.recent = {manual(s, Operation::kDestroy, RunStatus::kSucceeded,
                                     "2026-03-02T08:00:03Z")};
                },
                "superseded", "nothing",
                "a manual destroy at 2026-03-02T08:00:03+00:00 came after it"},
        Verdict{"SomebodyDestroyedItBefore",
                [](Story& s) {
                  s.recent = {manual(s, Operation::kDestroy, RunStatus::kSucceeded,
                                     "2026-03-02T07:59:00Z")};
                },
                "fired", "deploy", "the workspace is pending"},
        Verdict{"AnOrderFromBeforeTheClockWentBackIsOlderThanItSays",
                [](Story& s) {
                  s.recent = {manual(s, Operation::kDestroy, RunStatus::kSucceeded,
                                     "2026-03-02T11:00:00Z")};
                },
                "fired", "deploy", "the workspace is pending"},
        Verdict{"AnOrderThatWasCancelled",
                [](Story& s) {
                  s.recent = {manual(s, Operation::kDestroy, RunStatus::kCancelled,
                                     "2026-03-02T08:00:03Z")};
                },
                "fired", "deploy", "the workspace is pending"}),
    [](const auto& info) { return info.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Schedules, WhatADestroyOccurrenceDoes,
    ::testing::Values(
        Verdict{"Deployed", [](Story& s) { s.deployed(); }, "fired", "destroy",
                "the workspace is deployed"},
        Verdict{"NeverDeployed", [](Story&) {}, "no_change", "nothing", "never deployed"},
        Verdict{"Destroyed", [](Story& s) { s.status(WorkspaceStatus::kDestroyed); }, "no_change",
                "nothing", "already destroyed"},
        Verdict{"DeployFailed",
                [](Story& s) { s.deployed().status(WorkspaceStatus::kDeployFailed); }, "fired",
                "destroy", "the workspace is deploy_failed"},
        Verdict{"DestroyFailed",
                [](Story& s) { s.deployed().status(WorkspaceStatus::kDestroyFailed); }, "fired",
                "destroy", "the workspace is destroy_failed"},
        Verdict{"NeedsConfirmation",
                [](Story& s) { s.deployed().status(WorkspaceStatus::kNeedsConfirmation); }, "fired",
                "destroy", "needs_confirmation"},
        Verdict{"DetachedKeepsItsDestroySchedule",
                [](Story& s) { s.deployed().workspace.detached = true; }, "fired", "destroy",
                "the workspace is deployed"},
        Verdict{"Disabled", [](Story& s) { s.deployed().workspace.enabled = false; },
                "skipped_disabled", "nothing", "disabled"},
        Verdict{"Held", [](Story& s) { s.deployed().workspace.held = true; }, "skipped_hold",
                "nothing", "held"},
        Verdict{"ADestroyIsRunning", [](Story& s) { s.deployed().running(Operation::kDestroy); },
                "skipped_overlap", "nothing", "still running"},
        Verdict{"ADeployIsRunning", [](Story& s) { s.running(Operation::kDeploy); }, "fired",
                "destroy", "after deploy run deploy-run, which is running"},
        Verdict{"SomebodyDeployedItSince",
                [](Story& s) {
                  s.deployed().recent = {
                      manual(s, Operation::kDeploy, RunStatus::kSucceeded, "2026-03-02T18:00:01Z")};
                },
                "superseded", "nothing", "a manual deploy at"}),
    [](const auto& info) { return info.param.name; });

TEST(Plan, ADestroyUsesTheDefinitionAndTheModeOfTheLastDeploy) {
  auto story = Story::office_hours();
  story.deployed("v0", "busy");
  const Plan p = story.planned(kEightSharp, "2026-03-02T18:00:00Z");
  ASSERT_EQ(wanted(p.run), "destroy in busy");
  EXPECT_EQ(p.run->definition, definition("v0"));
}

TEST(Plan, AModeScheduleDeploysInItsMode) {
  auto story = Story({rule("mode_schedules.busy", Action::kDeploy, "busy", "0 8 * * *"),
                      rule("mode_schedules.quiet", Action::kDeploy, "quiet", "0 20 * * *")});
  story.deployed("v1", "quiet");
  EXPECT_EQ(wanted(story.planned(kNight, kEightSharp).run), "deploy in busy");
  EXPECT_EQ(wanted(story.planned(kEightSharp, "2026-03-02T20:00:00Z").run), "nothing");
}

TEST(Plan, WithoutCatchUpWhatNobodyCouldActOnInTimeIsMissed) {
  auto story = Story::office_hours();
  story.spec.catch_up = CatchUp::kNone;
  const Plan late = story.planned(kNight, "2026-03-02T08:01:00.001Z");
  EXPECT_THAT(ledger(late), ElementsAre("deploy_schedule 2026-03-02T08:00:00+00:00 missed"));
  EXPECT_EQ(late.new_cursor, at(kEightSharp));
  EXPECT_EQ(wanted(late.run), "nothing");

  const Plan punctual = story.planned(kNight, "2026-03-02T08:01:00Z");
  EXPECT_THAT(ledger(punctual), ElementsAre("deploy_schedule 2026-03-02T08:00:00+00:00 fired"));

  const Plan both = story.deployed().planned(kNight, "2026-03-02T18:00:30Z");
  EXPECT_THAT(ledger(both), ElementsAre("deploy_schedule 2026-03-02T08:00:00+00:00 missed",
                                        "destroy_schedule 2026-03-02T18:00:00+00:00 fired"));
}

TEST(Plan, AYearMissedIsOneRow) {
  auto story = Story(rules_of("* * * * *", ""));
  story.spec.catch_up = CatchUp::kNone;
  const Plan p = story.planned("2025-03-02T00:00:00Z", "2026-03-02T00:00:30Z");
  EXPECT_THAT(ledger(p), ElementsAre("* 2025-03-02T00:01:00Z..2026-03-01T23:59:00Z x525599 missed",
                                     "deploy_schedule 2026-03-02T00:00:00+00:00 fired"));
}

TEST(Plan, ADeployWaitsVisiblyForItsDependencies) {
  auto story = Story::office_hours();
  story.neighbours.not_deployed = {WorkspaceName("network"), WorkspaceName("shop-db")};
  story.neighbours.still_there = {WorkspaceName("frontend")};
  const Plan p = story.planned(kNight, kEightSharp);
  EXPECT_EQ(p.run->waiting_for, "network and shop-db to be deployed");
  EXPECT_THAT(p.sentence, HasSubstr("it waits for network and shop-db to be deployed"));

  const Plan q = story.deployed().planned(kEightSharp, "2026-03-02T18:00:00Z");
  EXPECT_EQ(q.run->waiting_for, "frontend to be destroyed");
}

TEST(Plan, BeyondTheZoneDataIsAnErrorAndNotAGuess) {
  const auto story = Story::office_hours();
  EXPECT_FALSE(plan(story.situation(at(kNight), at("2038-06-01T00:00:00Z"))));
}

TEST(FirstCursor, LooksBackToTheLastOccurrenceOfAWeek) {
  auto story = Story::office_hours();
  const Instant now = at(kNineInTheMorning);
  const Instant cursor = first_cursor(story.timeline, FirstSeen::kLookBack, now);
  const auto first = plan(story.situation(cursor, now));
  EXPECT_THAT(ledger(*first), ElementsAre("deploy_schedule 2026-03-02T08:00:00+00:00 fired"));
  EXPECT_EQ(first_cursor(story.timeline, FirstSeen::kWait, now), now);

  const Story monthly(rules_of("0 0 1 * *", ""));
  EXPECT_EQ(first_cursor(monthly.timeline, FirstSeen::kLookBack, at("2026-03-20T00:00:00Z")),
            at("2026-03-20T00:00:00Z"));
}

}  // namespace
}  // namespace provisioner
