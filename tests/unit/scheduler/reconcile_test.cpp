// behaviour.md: "Changes", "A vanished folder never destroys", ttl, retry of failed destroys,
// depends_on.
#include "scheduler/reconcile.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/scheduler/story.hpp"

namespace provisioner {
namespace {

using namespace std::chrono_literals;
using testing::at;
using testing::definition;
using ::testing::HasSubstr;
using testing::Story;
using testing::wanted;

const char* const kNow = "2026-03-02T12:00:00Z";

struct Case {
  const char* name;
  void (*given)(Story&);
  const char* run;
  const char* sentence;

  friend void PrintTo(const Case& one, std::ostream* out) { *out << one.name; }
};

class WhatAChangeDoes : public ::testing::TestWithParam<Case> {};

// Given a workspace deployed with v0 whose folder says v1.
TEST_P(WhatAChangeDoes, ToAWorkspace) {
  auto story = Story::office_hours();
  story.deployed("v0", "busy");
  GetParam().given(story);
  const Decision d = story.reconciled(kNow);
  EXPECT_EQ(wanted(d.run), GetParam().run);
  EXPECT_THAT(d.sentence, HasSubstr(GetParam().sentence));
}

Run change(const Story& s, const char* content, RunStatus status) {
  Run run = s.run(Operation::kDeploy, status, Trigger::kChange);
  run.definition = definition(content);
  return run;
}

INSTANTIATE_TEST_SUITE_P(
    Changes, WhatAChangeDoes,
    ::testing::Values(
        Case{"Redeploys", [](Story&) {}, "deploy in busy (change)", "the content changed"},
        Case{"NothingWithoutADifference", [](Story& s) { s.deployed("v1"); }, "nothing", ""},
        Case{"NothingForAnEditedDescription",
             [](Story& s) {
               s.deployed("v1");
               s.workspace.current.config = R"({"description":"new"})";
             },
             "nothing", ""},
        Case{"ForcedNeedsNoAgreement", [](Story& s) { s.spec.on_change = OnChange::kForce; },
             "deploy in busy (change)", "the content changed"},
        Case{"WaitsForTheSchedule", [](Story& s) { s.spec.on_change = OnChange::kNextSchedule; },
             "nothing", ""},
        Case{"Ignored", [](Story& s) { s.spec.on_change = OnChange::kIgnore; }, "nothing", ""},
        Case{"NeverDeploysWhatIsDestroyed",
             [](Story& s) {
               s.status(WorkspaceStatus::kDestroyed);
               s.workspace.deployed.reset();
             },
             "nothing", ""},
        Case{"NeverDeploysWhatIsPending", [](Story& s) { s.status(WorkspaceStatus::kPending); },
             "nothing", ""},
        Case{"MendsAFailedDeploy", [](Story& s) { s.status(WorkspaceStatus::kDeployFailed); },
             "deploy in busy (change)", "the content changed"},
        Case{"DoesNotRetryAFailedDeployOfTheSame",
             [](Story& s) { s.deployed("v1").status(WorkspaceStatus::kDeployFailed); }, "nothing",
             ""},
        Case{"LeavesAFailedDestroyAlone",
             [](Story& s) { s.status(WorkspaceStatus::kDestroyFailed); }, "nothing", ""},
        Case{"WaitsForConfirmationOfTheSame",
             [](Story& s) { s.deployed("v1").status(WorkspaceStatus::kNeedsConfirmation); },
             "nothing", ""},
        Case{"ReplacesAnUnconfirmedChange",
             [](Story& s) { s.status(WorkspaceStatus::kNeedsConfirmation); },
             "deploy in busy (change)", "the content changed"},
        Case{"Held", [](Story& s) { s.workspace.held = true; }, "nothing", ""},
        Case{"Disabled", [](Story& s) { s.workspace.enabled = false; }, "nothing", ""},
        Case{"Detached", [](Story& s) { s.workspace.detached = true; }, "nothing", ""},
        Case{"WhileSomethingIsRunning", [](Story& s) { s.running(Operation::kDestroy); }, "nothing",
             ""},
        Case{"WhileSomethingIsQueued", [](Story& s) { s.queued_behind(Operation::kDeploy); },
             "nothing", ""},
        Case{"CancelledByAPersonStaysCancelled",
             [](Story& s) { s.recent = {change(s, "v1", RunStatus::kCancelled)}; }, "nothing", ""},
        Case{"BackToWhatWasTriedBeforeTheLastOne",
             [](Story& s) {
               s.recent = {change(s, "v0", RunStatus::kSucceeded),
                           change(s, "v1", RunStatus::kSucceeded)};
             },
             "deploy in busy (change)", "the content changed"}),
    [](const auto& info) { return info.param.name; });

TEST(Change, OnlyForceAgreesToDeletions) {
  auto story = Story::office_hours();
  story.deployed("v0");
  EXPECT_FALSE(story.reconciled(kNow).run->confirmed);
  story.spec.on_change = OnChange::kForce;
  EXPECT_TRUE(story.reconciled(kNow).run->confirmed);
}

class WhatATtlDoes : public ::testing::TestWithParam<Case> {};

// Given a workspace deployed at 8 with a ttl of 4 hours, looked at when it ends.
TEST_P(WhatATtlDoes, ToAWorkspace) {
  auto story = Story::office_hours();
  story.deployed();
  story.spec.ttl = 4h;
  story.workspace.last_deployed = at("2026-03-02T08:00:00Z");
  story.workspace.ttl_expires_at = at(kNow);
  GetParam().given(story);
  const Decision d = story.reconciled(kNow);
  EXPECT_EQ(wanted(d.run), GetParam().run);
  EXPECT_THAT(d.sentence, HasSubstr(GetParam().sentence));
  if (d.run) {
    EXPECT_EQ(d.clear_ttl, at(kNow));
  }
}

INSTANTIATE_TEST_SUITE_P(
    Ttl, WhatATtlDoes,
    ::testing::Values(
        Case{"Destroys", [](Story&) {}, "destroy (ttl)", "its ttl ended at 2026-03-02T12:00:00Z"},
        Case{"NotYet",
             [](Story& s) { s.workspace.ttl_expires_at = at("2026-03-02T12:00:00.001Z"); },
             "nothing", ""},
        // CloudIaC 418.
        Case{"StaleNeverDestroysAFreshEnvironment",
             [](Story& s) { s.workspace.last_deployed = at("2026-03-02T12:00:00Z"); }, "nothing",
             "older than the deploy of 2026-03-02T12:00:00Z"},
        Case{"WhileAFreshDeployIsRunning", [](Story& s) { s.running(Operation::kDeploy); },
             "nothing", ""},
        Case{"WhileAFreshDeployIsQueued", [](Story& s) { s.queued_behind(Operation::kDeploy); },
             "nothing", ""},
        Case{"TakenOutOfTheConfiguration", [](Story& s) { s.spec.ttl.reset(); }, "nothing",
             "taken out of the configuration"},
        Case{"Held", [](Story& s) { s.workspace.held = true; }, "nothing", ""},
        Case{"Disabled", [](Story& s) { s.workspace.enabled = false; }, "nothing", ""},
        Case{"DetachedStillCostsMoney", [](Story& s) { s.workspace.detached = true; },
             "destroy (ttl)", "its ttl ended"},
        Case{"OfAFailedRedeploy", [](Story& s) { s.status(WorkspaceStatus::kDeployFailed); },
             "destroy (ttl)", "its ttl ended"},
        Case{"BeforeAChange", [](Story& s) { s.deployed("v0"); }, "destroy (ttl)", "its ttl ended"},
        Case{"OfADestroyedWorkspace", [](Story& s) { s.status(WorkspaceStatus::kDestroyed); },
             "nothing", ""}),
    [](const auto& info) { return info.param.name; });

TEST(Ttl, AStaleOneIsTakenAwaySoThatItIsNotLookedAtAgain) {
  auto story = Story::office_hours();
  story.deployed().workspace.last_deployed = at(kNow);
  story.spec.ttl = 4h;
  story.workspace.ttl_expires_at = at("2026-03-02T08:00:00Z");
  EXPECT_EQ(story.reconciled(kNow).clear_ttl, at("2026-03-02T08:00:00Z"));
}

class WhatARetryDoes : public ::testing::TestWithParam<Case> {};

// Given a destroy that failed for the second time and is to be tried again now.
TEST_P(WhatARetryDoes, ToAWorkspace) {
  auto story = Story::office_hours();
  story.deployed().status(WorkspaceStatus::kDestroyFailed);
  story.workspace.failed_destroys = 2;
  story.workspace.retry_at = at(kNow);
  GetParam().given(story);
  const Decision d = story.reconciled(kNow);
  EXPECT_EQ(wanted(d.run), GetParam().run);
  EXPECT_EQ(d.clear_retry, d.run.has_value());
  EXPECT_THAT(d.sentence, HasSubstr(GetParam().sentence));
}

INSTANTIATE_TEST_SUITE_P(
    Retry, WhatARetryDoes,
    ::testing::Values(
        Case{"DestroysAgain", [](Story&) {}, "destroy (retry)", "2 in a row failed"},
        Case{"NotYet", [](Story& s) { s.workspace.retry_at = at("2026-03-02T12:00:01Z"); },
             "nothing", ""},
        Case{"NotAfterADeploy", [](Story& s) { s.status(WorkspaceStatus::kDeployed); }, "nothing",
             ""},
        Case{"WhileADeployIsQueued", [](Story& s) { s.queued_behind(Operation::kDeploy); },
             "nothing", ""},
        Case{"Held", [](Story& s) { s.workspace.held = true; }, "nothing", ""},
        Case{"Disabled", [](Story& s) { s.workspace.enabled = false; }, "nothing", ""},
        Case{"Detached", [](Story& s) { s.workspace.detached = true; }, "destroy (retry)", ""}),
    [](const auto& info) { return info.param.name; });

TEST(Waiting, ARunIsReleasedWhenNothingIsInItsWay) {
  auto story = Story::office_hours();
  story.queued_behind(Operation::kDeploy);
  story.queued->waiting_for = "network and shop-db to be deployed";
  story.neighbours.not_deployed = {WorkspaceName("network"), WorkspaceName("shop-db")};
  EXPECT_TRUE(story.reconciled(kNow).nothing());

  story.neighbours.not_deployed = {WorkspaceName("shop-db")};
  EXPECT_EQ(story.reconciled(kNow).waiting,
            (Waiting{RunId("deploy-run"), "shop-db to be deployed"}));

  story.neighbours.not_deployed.clear();
  EXPECT_EQ(story.reconciled(kNow).waiting, (Waiting{RunId("deploy-run"), ""}));
}

TEST(Waiting, ADestroyWaitsForThoseThatDependOnIt) {
  auto story = Story::office_hours();
  story.deployed().queued_behind(Operation::kDestroy);
  story.queued->waiting_for = "frontend to be destroyed";
  story.neighbours.not_deployed = {WorkspaceName("network")};
  story.neighbours.still_there = {WorkspaceName("frontend")};
  EXPECT_TRUE(story.reconciled(kNow).nothing());
  story.neighbours.still_there.clear();
  EXPECT_EQ(story.reconciled(kNow).waiting, (Waiting{RunId("destroy-run"), ""}));
}

TEST(Waiting, IsDecidedForHeldWorkspacesTooSinceManualCommandsWorkOnThem) {
  auto story = Story::office_hours();
  story.queued_behind(Operation::kDeploy).workspace.held = true;
  story.queued->waiting_for = "network to be deployed";
  EXPECT_EQ(story.reconciled(kNow).waiting, (Waiting{RunId("deploy-run"), ""}));
}

TEST(NextLook, IsTheEarliestOfTtlRetryAndTheEndOfAHold) {
  auto story = Story::office_hours();
  const auto next = [&] { return next_look(story.situation(at(kNow), at(kNow))); };
  EXPECT_EQ(next(), std::nullopt);
  story.workspace.held = true;
  EXPECT_EQ(next(), std::nullopt);
  story.workspace.hold_until = at("2026-03-02T15:00:00Z");
  EXPECT_EQ(next(), at("2026-03-02T15:00:00Z"));
  story.deployed().workspace.ttl_expires_at = at("2026-03-02T13:00:00Z");
  EXPECT_EQ(next(), at("2026-03-02T13:00:00Z"));
  story.status(WorkspaceStatus::kDestroyFailed).workspace.retry_at = at("2026-03-02T12:15:00Z");
  EXPECT_EQ(next(), at("2026-03-02T12:15:00Z"));
  story.workspace.retry_at = at("2026-03-02T11:00:00Z");  // past: an event, not time, will tell
  EXPECT_EQ(next(), at("2026-03-02T13:00:00Z"));
}

}  // namespace
}  // namespace provisioner
