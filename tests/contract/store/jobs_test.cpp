// Jobs: their rows, the leader's decisions about them, events, and runs in slots of their own.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/contract/store/jobs_contract.hpp"

namespace provisioner {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST_P(JobsContract, ANewJobIsPendingAndStartsAtNow) {
  given_jobs({defined("backup", 1), defined("lint", 0)});
  const auto jobs = must(await(store().jobs(WorkspaceName(kShop))));
  ASSERT_EQ(jobs.size(), 2U);
  EXPECT_EQ(jobs[0].name.value, "lint");
  EXPECT_EQ(jobs[1].status, JobStatus::kPending);
  EXPECT_EQ(jobs[1].cursor, now_);
}

TEST_P(JobsContract, AnEditedScheduleMovesTheCursorForwardOnlyAndKeepsTheCounters) {
  given_jobs({defined()});
  finish(given_running_job().fence);
  JobsCommit c = commit();
  c.definitions = {defined()};
  c.definitions[0].cursor = now_ - std::chrono::hours(1);
  c.definitions[0].schedule_hash = "daily";
  must(await(store().commit_jobs(leader_, c, now_)));
  EXPECT_EQ(row().cursor, now_);
  EXPECT_EQ(row().schedule_hash, "daily");
  EXPECT_EQ(row().run_count, 1);
}

TEST_P(JobsContract, I3_AnOccurrenceAndItsRunAreOneDecisionThatHappensOnce) {
  given_jobs({defined()});
  JobsCommit c = commit();
  now_ += std::chrono::hours(1);
  c.occurrences = {due(now_)};
  c.runs = {job_run()};
  c.occurrences[0].run = c.runs[0].id;
  c.decisions = {{.job = backup(), .cursor = now_, .next_run = now_ + std::chrono::hours(1)}};
  must(await(store().commit_jobs(leader_, c, now_)));
  EXPECT_EQ(row().cursor, now_);
  EXPECT_EQ(row().next_run, now_ + std::chrono::hours(1));
  const auto rows = must(await(store().occurrences({})));
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows[0], c.occurrences[0]);

  c.runs[0].id = random_.run_id(now_);
  const Status again = await(store().commit_jobs(leader_, c, now_));
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().kind, ErrorKind::kConflict);
  EXPECT_EQ(must(await(store().runs({}))).size(), 1U);
}

TEST_P(JobsContract, ADecisionFromAnOldReadingIsRefused) {
  given_jobs({defined()});
  const JobsCommit stale = commit();
  given_queued();
  const Status refused = await(store().commit_jobs(leader_, stale, now_));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::kVersionConflict);
}

TEST_P(JobsContract, I2_AFormerLeaderDecidesNothing) {
  given_jobs({defined()});
  given_leader("host-2");
  JobsCommit c = commit();
  c.runs = {job_run()};
  const Status refused = await(store().commit_jobs(leader_, c, now_));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::kFenced);
  EXPECT_THAT(must(await(store().runs({}))), IsEmpty());
}

TEST_P(JobsContract, AJobsRunLeavesItsWorkspaceAndTheWorkspacesSlotAlone) {
  given_jobs({defined()});
  const ClaimedRun running = given_running_job();
  EXPECT_EQ(running.run.job, backup());
  EXPECT_EQ(row().status, JobStatus::kRunning);
  EXPECT_EQ(must(await(store().workspace(WorkspaceName(kShop)))).status, WorkspaceStatus::kPending);
  given_queued();
  EXPECT_TRUE(claim()) << "the workspace deploys beside its job";
  const auto view = must(await(store().view({.workspace = WorkspaceName(kShop)})));
  EXPECT_EQ(view.unfinished.size(), 1U);
  EXPECT_EQ(view.recent.size(), 1U);
}

TEST_P(JobsContract, TheRowCountsRunsAndRemembersTheLastOnes) {
  given_jobs({defined()});
  finish(given_running_job().fence);
  const Instant good = now_;
  EXPECT_EQ(row().status, JobStatus::kSuccess);
  now_ += std::chrono::minutes(1);
  finish(given_running_job().fence, RunStatus::kFailed, "exit code 3");
  now_ += std::chrono::minutes(1);
  finish(given_running_job().fence, RunStatus::kTimedOut, "ran longer than 30m");
  const Job job = row();
  EXPECT_EQ(job.status, JobStatus::kTimeout);
  EXPECT_EQ(job.run_count, 3);
  EXPECT_EQ(job.success_count, 1);
  EXPECT_EQ(job.failure_count, 2);
  EXPECT_EQ(job.last_success, good);
  EXPECT_EQ(job.last_failure, now_);
  EXPECT_EQ(job.last_exit_code, 3);
  EXPECT_EQ(job.last_error, "ran longer than 30m");
}

TEST_P(JobsContract, AScriptWhoseProcessesMayHaveBegunIsNotBegunASecondTime) {
  given_jobs({defined()});
  const ClaimedRun begun = given_running_job();
  must(await(store().register_attempt(begun.fence, {.guard_pid = 7, .directory = "/a"})));
  EXPECT_EQ(interrupt(begun.fence, 1).run_status, RunStatus::kInterrupted);
  EXPECT_EQ(row().status, JobStatus::kFailed);
}

TEST_P(JobsContract, AScriptThatNeverBeganIsClaimedAgain) {
  given_jobs({defined()});
  const ClaimedRun lost = given_running_job();
  EXPECT_EQ(interrupt(lost.fence).run_status, RunStatus::kQueued);
  const auto again = claim();
  ASSERT_TRUE(again);
  EXPECT_EQ(again->run.attempt, Attempt(2));
  EXPECT_EQ(row().run_count, 1);
}

TEST_P(JobsContract, ConcurrentRunsShareASlotOthersTakeTurns) {
  given_jobs({defined()});
  given_running_job();
  must(await(store().enqueue(job_run(), WhenBusy::kSupersede)));
  EXPECT_FALSE(claim());
  NewRun beside = job_run();
  beside.concurrent = true;
  must(await(store().enqueue(beside, WhenBusy::kRefuse)));
  beside.id = random_.run_id(now_);
  must(await(store().enqueue(beside, WhenBusy::kRefuse)));
  EXPECT_TRUE(claim());
  EXPECT_TRUE(claim());
  EXPECT_FALSE(claim());
}

TEST_P(JobsContract, ABusyJobSaysSo) {
  given_jobs({defined()});
  given_running_job();
  const auto refused = await(store().enqueue(job_run(), WhenBusy::kRefuse));
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("job backup of shop is busy"));
}

TEST_P(JobsContract, RunsCanBeAskedForByJob) {
  given_jobs({defined()});
  given_running_job();
  given_queued();
  const RunFilter of_job{.workspace = WorkspaceName(kShop), .job = backup()};
  const RunFilter own{.workspace = WorkspaceName(kShop), .job = JobName()};
  EXPECT_EQ(must(await(store().runs(of_job))).size(), 1U);
  EXPECT_EQ(must(await(store().runs(own))).size(), 1U);
  EXPECT_EQ(must(await(store().runs({.workspace = WorkspaceName(kShop)}))).size(), 2U);
  const RunFilter running{
      .workspace = WorkspaceName(kShop), .job = backup(), .statuses = {RunStatus::kRunning}};
  EXPECT_EQ(must(await(store().runs(running))).size(), 1U);
}

TEST_P(JobsContract, TheEndOfADeployIsAnEventWhereAJobWaitsForIt) {
  auto waiting = defined();
  waiting.events = {JobEvent::kDeployment, JobEvent::kDeploymentFailed};
  given_jobs({waiting});
  finish(given_running().fence);
  finish(given_running(kShop, Operation::kDestroy).fence);
  finish(given_running().fence, RunStatus::kFailed, "no");
  EXPECT_THAT(events(), ElementsAre("@deployment", "@deployment-failed"));
  EXPECT_EQ(must(await(store().job_events()))[0].bundle, definition("v1").bundle);
}

TEST_P(JobsContract, AFailureThatIsTriedAgainAndACancelAreNoEvents) {
  auto waiting = defined();
  waiting.events = {JobEvent::kDeployment, JobEvent::kDeploymentFailed};
  given_jobs({waiting});
  const auto first = given_running();
  must(await(store().finish_attempt(first.fence, passing_failure(), now_)));
  now_ += std::chrono::minutes(1);
  finish(claim()->fence, RunStatus::kCancelled, "by uid:0");
  EXPECT_THAT(events(), IsEmpty());
}

TEST_P(JobsContract, AnEventGoesWithItsDecision) {
  auto waiting = defined();
  waiting.events = {JobEvent::kDeployment};
  given_jobs({waiting});
  finish(given_running().fence);
  const auto view = must(await(store().jobs_view(WorkspaceName(kShop), "")));
  ASSERT_EQ(view.events.size(), 1U);
  JobsCommit c = commit();
  c.handled_events = {view.events[0].number};
  c.runs = {job_run()};
  must(await(store().commit_jobs(leader_, c, now_)));
  EXPECT_THAT(events(), IsEmpty());
}

TEST_P(JobsContract, ARebootIsToldToThoseThatWaitForIt) {
  auto waiting = defined();
  waiting.events = {JobEvent::kReboot};
  given_jobs({waiting});
  must(await(store().note_reboot(now_)));
  EXPECT_THAT(events(), ElementsAre("@reboot"));
}

TEST_P(JobsContract, TheViewShowsWhatHasNotEndedAndAllOfAnEventThatSomeWaitIn) {
  given_jobs({defined("a"), defined("b"), defined("c")});
  JobsCommit c = commit();
  for (const char* name : {"a", "b"}) {
    c.runs.push_back(job_run(name));
    c.runs.back().event = "@deployment#1";
  }
  c.runs[1].waiting_for = "job a to succeed";
  must(await(store().commit_jobs(leader_, c, now_)));
  finish(claim()->fence);
  finish(given_running_job("c").fence);
  const auto view = must(await(store().jobs_view(WorkspaceName(kShop), "")));
  ASSERT_EQ(view.runs.size(), 2U);
  EXPECT_EQ(view.runs[0].status, RunStatus::kSucceeded);
  EXPECT_EQ(view.runs[1].waiting_for, "job a to succeed");

  JobsCommit release = commit();
  release.waits = {{.run = view.runs[1].id, .waiting_for = ""}};
  must(await(store().commit_jobs(leader_, release, now_)));
  EXPECT_EQ(claim()->run.job.value, "b");
}

TEST_P(JobsContract, ARunThatIsEndedBeforeItBeganMarksItsJobAsSkipped) {
  given_jobs({defined()});
  JobsCommit c = commit();
  c.runs = {job_run()};
  must(await(store().commit_jobs(leader_, c, now_)));
  JobsCommit end = commit();
  end.endings = {{.run = c.runs[0].id, .error = "skipped: job a, which it depends on, has failed"}};
  must(await(store().commit_jobs(leader_, end, now_)));
  EXPECT_EQ(row().status, JobStatus::kSkipped);
  EXPECT_EQ(row().last_error, end.endings[0].error);
  EXPECT_EQ(row().run_count, 0);
  EXPECT_EQ(run(c.runs[0].id).status, RunStatus::kCancelled);
}

TEST_P(JobsContract, ATemplateJobsStateIsItsOwnAndItsDefinitionIsKeptUntilItIsDestroyed) {
  auto network = defined("network");
  network.type = JobType::kTemplate;
  given_jobs({network});
  NewRun deploy = new_run();
  deploy.job = JobName("network");
  must(await(store().enqueue(deploy, WhenBusy::kRefuse)));
  const ClaimedRun running = claim().value();
  EXPECT_EQ(row("network").deployed, running.run.definition);
  const StateSlot own{WorkspaceName(kShop), "network"};
  must(await(store().lock_state(own, running.fence, lock("l1"))));
  must(await(store().write_state(own, running.fence, "l1", meta(1), body(1), "", now_)));
  const auto elsewhere = await(store().lock_state(slot(), running.fence, lock("l2")));
  ASSERT_FALSE(elsewhere);
  EXPECT_EQ(elsewhere.error().kind, ErrorKind::kDenied);
  finish(running.fence);
  EXPECT_EQ(must(await(store().workspace(WorkspaceName(kShop)))).status, WorkspaceStatus::kPending);

  NewRun destroy = new_run(kShop, Operation::kDestroy);
  destroy.job = JobName("network");
  must(await(store().enqueue(destroy, WhenBusy::kRefuse)));
  const ClaimedRun going = claim().value();
  EXPECT_EQ(going.base_state, 1);
  finish(going.fence);
  EXPECT_FALSE(row("network").deployed);
}

TEST_P(JobsContract, ADestroyThatItsTemplateJobsKeepBackFailsAndIsTriedAgain) {
  given_jobs({defined()});
  finish(given_running().fence);
  NewRun destroy = new_run(kShop, Operation::kDestroy);
  destroy.waiting_for = "its template job network to be destroyed";
  must(await(store().enqueue(destroy, WhenBusy::kRefuse)));
  JobsCommit c = commit();
  c.endings = {{.run = destroy.id,
                .status = RunStatus::kFailed,
                .error = "template job network could not be destroyed"}};
  must(await(store().commit_jobs(leader_, c, now_)));
  const auto shop = must(await(store().workspace(WorkspaceName(kShop))));
  EXPECT_EQ(shop.status, WorkspaceStatus::kDestroyFailed);
  EXPECT_TRUE(shop.retry_at);
  EXPECT_EQ(run(destroy.id).status, RunStatus::kFailed);
}

TEST_P(JobsContract, OneThatNoConfigurationNamesIsForgottenWithTheRetention) {
  auto network = defined("network");
  network.type = JobType::kTemplate;
  given_jobs({defined(), network});
  NewRun deploy = new_run();
  deploy.job = JobName("network");
  must(await(store().enqueue(deploy, WhenBusy::kRefuse)));
  finish(claim()->fence);
  JobsCommit c = commit();
  c.definitions = {defined(), network};
  for (auto& gone : c.definitions) gone.present = false;
  must(await(store().commit_jobs(leader_, c, now_)));
  must(await(store().prune({}, now_ + std::chrono::hours(24 * 89))));
  EXPECT_EQ(must(await(store().jobs(std::nullopt))).size(), 2U);
  must(await(store().prune({}, now_ + std::chrono::hours(24 * 91))));
  const auto left = must(await(store().jobs(std::nullopt)));
  ASSERT_EQ(left.size(), 1U) << "what is deployed is still to be destroyed";
  EXPECT_EQ(left[0].name.value, "network");
}

TEST_P(JobsContract, AnEventKeepsItsContentUntilItIsDecidedAbout) {
  auto waiting = defined();
  waiting.events = {JobEvent::kDeployment};
  given_jobs({waiting});
  finish(given_running().fence);
  const BundleHash bundle = definition("v1").bundle;
  // Nothing else has it any more.
  Publication p = publication(kShop, "v2");
  must(await(store().put_bundle(p.definition.bundle, "content of v2")));
  must(await(store().publish(p, now_)));
  finish(given_running(kShop, Operation::kDestroy).fence);
  for (int day = 1; day <= 3; ++day) {
    must(await(store().prune({}, now_ + std::chrono::hours(24 * day))));
  }
  EXPECT_TRUE(await(store().bundle(bundle)));
}

TEST_P(JobsContract, ARemovedWorkspaceTakesItsJobsAlong) {
  auto waiting = defined();
  waiting.events = {JobEvent::kReboot};
  given_jobs({waiting});
  must(await(store().note_reboot(now_)));
  must(await(store().remove_workspace(WorkspaceName(kShop), "uid:0", now_)));
  EXPECT_THAT(must(await(store().jobs(std::nullopt))), IsEmpty());
  EXPECT_THAT(events(), IsEmpty());
}

}  // namespace provisioner
