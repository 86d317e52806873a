// behaviour.md, "Jobs"; I3.
#include "scheduler/job_plan.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "model/job_order.hpp"
#include "tests/unit/scheduler/story.hpp"

namespace provisioner {
namespace {

using namespace std::chrono_literals;
using testing::at;
using testing::definition;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::rule;
using testing::Story;

// A deployed shop with jobs that are known to the store since ten.
class Jobs : public ::testing::Test {
 protected:
  Jobs() : story_({}) { story_.deployed(); }

  JobSpec& given_job(const std::string& name, const std::string& cron = "") {
    JobSpec spec;
    spec.name = JobName(name);
    spec.body = "true";
    spec.definition = "{\"jobs\":[\"" + name + "\"]}";
    if (!cron.empty()) {
      spec.rules = {rule("jobs." + name + ".schedule", Action::kRun, "", cron)};
    }
    story_.spec.jobs.push_back(std::move(spec));
    return story_.spec.jobs.back();
  }

  JobSpec& given_template(const std::string& name) {
    JobSpec& spec = given_job(name);
    spec.type = JobType::kTemplate;
    spec.body = "web";
    return spec;
  }

  JobSpec& on(JobEvent event, const std::string& name, std::vector<std::string> after = {}) {
    JobSpec& spec = given_job(name);
    spec.events = {event};
    for (auto& above : after) spec.depends_on.emplace_back(std::move(above));
    return spec;
  }

  // The store's rows, as a decision at `since` has left them.
  void known_since(const std::string& since) {
    view_.jobs.clear();
    const auto order = order_of(story_.spec.jobs).in_order;
    for (std::size_t place = 0; place < order.size(); ++place) {
      const JobSpec& spec = story_.spec.jobs[order[place]];
      Job row;
      row.name = spec.name;
      row.type = spec.type;
      row.enabled = spec.enabled;
      row.events = spec.events;
      row.position = static_cast<std::int64_t>(place);
      row.cursor = at(since);
      view_.jobs.push_back(row);
    }
  }

  Job& row(const std::string& name) {
    return *std::ranges::find(view_.jobs, JobName(name), &Job::name);
  }

  JobRun& given_run(const std::string& job, RunStatus status, const std::string& event = "") {
    JobRun run;
    run.id = RunId(fmt::format("run-{}", view_.runs.size()));
    run.job = JobName(job);
    run.status = status;
    run.event = event;
    return view_.runs.emplace_back(run);
  }

  void happened(JobEvent event, const std::string& when = "2026-03-02T10:30:00Z") {
    JobEventRow row;
    row.number = 7;
    row.event = event;
    row.at = at(when);
    row.bundle = BundleHash("of-the-run");
    view_.events.push_back(row);
  }

  JobsPlan planned(const std::string& now) {
    std::vector<Timeline> timelines;
    for (const JobSpec& spec : story_.spec.jobs) {
      timelines.emplace_back(spec.rules, Zone::find("UTC").value(), DstPolicy{});
    }
    const Situation own = story_.situation(at(now), at(now));
    int next = 0;
    auto plan = plan_jobs(
        {.own = own, .view = view_, .timelines = timelines, .templates = {{"web", bundle_}}},
        [&] { return RunId(fmt::format("new-{}", ++next)); });
    EXPECT_TRUE(plan) << plan.error().message;
    return plan.value_or(JobsPlan{});
  }

  // "backup 10:15 fired", "backup 10:00..10:59 x60 missed".
  static std::vector<std::string> ledger(const JobsPlan& plan) {
    std::vector<std::string> lines;
    for (const Occurrence& o : plan.commit.occurrences) {
      const auto clock = [](Instant i) { return format_rfc3339(i).substr(11, 5); };
      lines.push_back(o.count == 1
                          ? fmt::format("{} {} {}", o.job.value, clock(o.at), to_string(o.outcome))
                          : fmt::format("{} {}..{} x{} {}", o.job.value, clock(o.at),
                                        clock(o.until), o.count, to_string(o.outcome)));
    }
    return lines;
  }

  // "a", "b (waits for job a to succeed)".
  static std::vector<std::string> queued(const JobsPlan& plan) {
    std::vector<std::string> lines;
    for (const NewRun& run : plan.commit.runs) {
      lines.push_back(run.waiting_for.empty()
                          ? run.job.value
                          : fmt::format("{} (waits for {})", run.job.value, run.waiting_for));
    }
    return lines;
  }

  Story story_;
  JobsView view_;
  BundleHash bundle_{"web-files"};
};

TEST_F(Jobs, ANewJobStartsAtNowAndSaysWhenItRunsNext) {
  given_job("backup", "*/15 * * * *");
  const JobsPlan p = planned("2026-03-02T10:20:00Z");
  ASSERT_EQ(p.commit.definitions.size(), 1U);
  EXPECT_EQ(p.commit.definitions[0].cursor, at("2026-03-02T10:20:00Z"));
  ASSERT_EQ(p.commit.decisions.size(), 1U);
  EXPECT_EQ(p.commit.decisions[0].next_run, at("2026-03-02T10:30:00Z"));
  EXPECT_EQ(p.next, at("2026-03-02T10:30:00Z"));
  EXPECT_THAT(p.commit.runs, IsEmpty());
}

TEST_F(Jobs, AKnownOneIsLeftAloneBetweenItsTimes) {
  given_job("backup", "*/15 * * * *");
  known_since("2026-03-02T10:00:00Z");
  const JobsPlan p = planned("2026-03-02T10:14:59Z");
  EXPECT_TRUE(p.nothing());
  EXPECT_EQ(p.next, at("2026-03-02T10:15:00Z"));
}

TEST_F(Jobs, AnEditedScheduleStartsAtNow) {
  given_job("backup", "*/15 * * * *").schedule_hash = "new";
  known_since("2026-03-02T08:00:00Z");
  const JobsPlan p = planned("2026-03-02T10:14:00Z");
  ASSERT_EQ(p.commit.definitions.size(), 1U);
  EXPECT_EQ(p.commit.definitions[0].cursor, at("2026-03-02T10:14:00Z"));
  EXPECT_THAT(ledger(p), IsEmpty());
}

TEST_F(Jobs, OneThatTheFileNamesNoLongerIsMarked) {
  given_job("backup", "0 * * * *");
  known_since("2026-03-02T10:00:00Z");
  story_.spec.jobs.clear();
  const JobsPlan p = planned("2026-03-02T10:30:00Z");
  ASSERT_EQ(p.commit.definitions.size(), 1U);
  EXPECT_FALSE(p.commit.definitions[0].present);
}

TEST_F(Jobs, I3_ADueOneIsQueuedWithWhatItsWorkspaceHasDeployed) {
  given_job("backup", "*/15 * * * *");
  known_since("2026-03-02T10:00:00Z");
  story_.workspace.current = definition("v2");
  const JobsPlan p = planned("2026-03-02T10:15:00.010Z");
  EXPECT_THAT(ledger(p), ElementsAre("backup 10:15 fired"));
  ASSERT_EQ(p.commit.runs.size(), 1U);
  const NewRun& run = p.commit.runs[0];
  EXPECT_EQ(run.operation, Operation::kJob);
  EXPECT_EQ(run.definition.bundle, BundleHash("v1"));
  EXPECT_EQ(run.definition.config, story_.spec.jobs[0].definition);
  EXPECT_EQ(run.scheduled_for, at("2026-03-02T10:15:00Z"));
  EXPECT_EQ(p.commit.occurrences[0].run, run.id);
  EXPECT_EQ(p.commit.decisions[0].cursor, at("2026-03-02T10:15:00Z"));
  EXPECT_EQ(p.commit.decisions[0].next_run, at("2026-03-02T10:30:00Z"));
}

TEST_F(Jobs, SeveralSchedulesThatMeetStartItOnce) {
  JobSpec& spec = given_job("backup", "*/15 * * * *");
  spec.rules.push_back(rule("jobs.backup.schedule[1]", Action::kRun, "", "0 * * * *"));
  known_since("2026-03-02T10:50:00Z");
  const JobsPlan p = planned("2026-03-02T11:00:00Z");
  EXPECT_THAT(ledger(p), ElementsAre("backup 11:00 superseded", "backup 11:00 fired"));
  EXPECT_EQ(p.commit.runs.size(), 1U);
}

TEST_F(Jobs, CatchUpLatestActsOnceForAnOutage) {
  given_job("backup", "0 * * * *");
  known_since("2026-03-02T06:00:00Z");
  const JobsPlan p = planned("2026-03-02T09:30:00Z");
  EXPECT_THAT(ledger(p), ElementsAre("backup 07:00 superseded", "backup 08:00 superseded",
                                     "backup 09:00 fired"));
}

TEST_F(Jobs, CatchUpNoneMissesWhatIsLate) {
  given_job("backup", "0 * * * *").catch_up = JobCatchUp::kNone;
  known_since("2026-03-02T07:30:00Z");
  EXPECT_THAT(ledger(planned("2026-03-02T09:30:00Z")),
              ElementsAre("backup 08:00 missed", "backup 09:00 missed"));
  EXPECT_THAT(ledger(planned("2026-03-02T08:00:01Z")), ElementsAre("backup 08:00 fired"));
}

TEST_F(Jobs, CatchUpAllRunsOneAfterTheOtherFromTheOldest) {
  given_job("backup", "0 * * * *").catch_up = JobCatchUp::kAll;
  known_since("2026-03-02T06:30:00Z");
  const JobsPlan first = planned("2026-03-02T09:30:00Z");
  EXPECT_THAT(ledger(first), ElementsAre("backup 07:00 fired"));
  EXPECT_EQ(first.commit.decisions[0].cursor, at("2026-03-02T07:00:00Z"));

  row("backup").cursor = at("2026-03-02T07:00:00Z");
  given_run("backup", RunStatus::kRunning);
  EXPECT_TRUE(planned("2026-03-02T09:31:00Z").nothing()) << "it waits for the one at work";
  view_.runs.clear();
  EXPECT_THAT(ledger(planned("2026-03-02T09:32:00Z")), ElementsAre("backup 08:00 fired"));
}

TEST_F(Jobs, CatchUpAllDoesNotStopAtWhatIsLeftOut) {
  given_job("backup", "0 * * * *").catch_up = JobCatchUp::kAll;
  known_since("2026-03-02T06:30:00Z");
  story_.workspace.held = true;
  story_.workspace.hold_until = at("2026-03-02T08:30:00Z");
  const JobsPlan p = planned("2026-03-02T09:30:00Z");
  EXPECT_THAT(ledger(p), ElementsAre("backup 07:00 skipped_hold", "backup 08:00 skipped_hold",
                                     "backup 09:00 fired"));
  EXPECT_EQ(p.commit.decisions[0].cursor, at("2026-03-02T09:00:00Z"));
  EXPECT_EQ(p.next, at("2026-03-02T10:00:00Z")) << "and it wakes for the next one";
}

TEST_F(Jobs, CatchUpAllGoesBackAWindowAndAHundred) {
  JobSpec& spec = given_job("backup", "* * * * *");
  spec.catch_up = JobCatchUp::kAll;
  known_since("2026-02-20T00:00:00Z");
  const JobsPlan p = planned("2026-03-02T10:00:30Z");
  EXPECT_THAT(ledger(p), ElementsAre("backup 00:01..08:20 x14900 missed", "backup 08:21 fired"));
  spec.catch_up_window = 10min;
  EXPECT_THAT(ledger(planned("2026-03-02T10:00:30Z")),
              ElementsAre("backup 00:01..09:50 x14990 missed", "backup 09:51 fired"));
}

TEST_F(Jobs, OverlapSkipLeavesOutWhatMeetsARunAtWork) {
  given_job("backup", "0 * * * *");
  known_since("2026-03-02T10:30:00Z");
  given_run("backup", RunStatus::kRunning);
  const JobsPlan p = planned("2026-03-02T11:00:00Z");
  EXPECT_THAT(ledger(p), ElementsAre("backup 11:00 skipped_overlap"));
  EXPECT_THAT(p.commit.decisions[0].skipped, HasSubstr("has not ended"));
}

TEST_F(Jobs, OverlapQueueLetsOneWait) {
  given_job("backup", "0 * * * *").overlap = Overlap::kQueue;
  known_since("2026-03-02T10:30:00Z");
  given_run("backup", RunStatus::kRunning);
  EXPECT_THAT(ledger(planned("2026-03-02T11:00:00Z")), ElementsAre("backup 11:00 fired"));
  given_run("backup", RunStatus::kQueued);
  EXPECT_THAT(ledger(planned("2026-03-02T11:00:00Z")), ElementsAre("backup 11:00 skipped_overlap"));
}

TEST_F(Jobs, OverlapAllowRunsBeside) {
  given_job("backup", "0 * * * *").overlap = Overlap::kAllow;
  known_since("2026-03-02T10:30:00Z");
  given_run("backup", RunStatus::kRunning);
  const JobsPlan p = planned("2026-03-02T11:00:00Z");
  ASSERT_EQ(p.commit.runs.size(), 1U);
  EXPECT_TRUE(p.commit.runs[0].concurrent);
}

TEST_F(Jobs, TheyRunOnlyWhileTheirWorkspaceIsDeployed) {
  given_job("backup", "0 * * * *");
  known_since("2026-03-02T10:30:00Z");
  story_.status(WorkspaceStatus::kDestroyed);
  const JobsPlan p = planned("2026-03-02T11:00:00Z");
  EXPECT_THAT(ledger(p), ElementsAre("backup 11:00 skipped_disabled"));
  EXPECT_THAT(p.commit.decisions[0].skipped, HasSubstr("the workspace is destroyed"));

  story_.status(WorkspaceStatus::kDeployFailed);
  story_.workspace.last_deployed = at("2026-03-01T00:00:00Z");
  EXPECT_THAT(ledger(planned("2026-03-02T11:00:00Z")), ElementsAre("backup 11:00 fired"))
      << "a redeploy that failed left what was there";

  story_.deployed().queued_behind(Operation::kDestroy);
  EXPECT_THAT(ledger(planned("2026-03-02T11:00:00Z")),
              ElementsAre("backup 11:00 skipped_disabled"));
}

TEST_F(Jobs, AHoldAndASwitchLeaveThemOut) {
  given_job("backup", "0 * * * *");
  known_since("2026-03-02T10:30:00Z");
  story_.workspace.held = true;
  EXPECT_THAT(ledger(planned("2026-03-02T11:00:00Z")), ElementsAre("backup 11:00 skipped_hold"));
  story_.workspace.held = false;
  story_.workspace.enabled = false;
  EXPECT_THAT(ledger(planned("2026-03-02T11:00:00Z")),
              ElementsAre("backup 11:00 skipped_disabled"));
}

TEST_F(Jobs, AStandaloneOneNeedsNoWorkspace) {
  story_.workspace.name = home_of(JobName("backup"));
  story_.status(WorkspaceStatus::kPending);
  story_.workspace.deployed.reset();
  given_job("backup", "0 * * * *");
  known_since("2026-03-02T10:30:00Z");
  EXPECT_THAT(ledger(planned("2026-03-02T11:00:00Z")), ElementsAre("backup 11:00 fired"));
}

TEST_F(Jobs, AnEventQueuesThoseThatWaitForItInTheirOrder) {
  on(JobEvent::kDeployment, "report", {"check-a", "check-b"});
  on(JobEvent::kDeployment, "check-a", {"seed"});
  on(JobEvent::kDeployment, "check-b", {"seed"});
  on(JobEvent::kDeployment, "seed");
  on(JobEvent::kDestroy, "farewell");
  known_since("2026-03-02T10:00:00Z");
  happened(JobEvent::kDeployment);
  const JobsPlan p = planned("2026-03-02T10:30:01Z");
  EXPECT_THAT(queued(p), ElementsAre("seed", "check-a (waits for job seed to succeed)",
                                     "check-b (waits for job seed to succeed)",
                                     "report (waits for jobs check-a and check-b to succeed)"));
  EXPECT_THAT(p.commit.handled_events, ElementsAre(7));
  for (const NewRun& run : p.commit.runs) {
    EXPECT_EQ(run.event, "@deployment#7");
    EXPECT_EQ(run.trigger, Trigger::kEvent);
    EXPECT_EQ(run.definition.bundle, BundleHash("of-the-run"));
  }
  EXPECT_EQ(p.commit.occurrences[0].schedule, "jobs.seed@deployment");
}

TEST_F(Jobs, ARunIsReleasedWhenAllThatItWaitsForHaveSucceeded) {
  on(JobEvent::kDeployment, "a");
  on(JobEvent::kDeployment, "b");
  on(JobEvent::kDeployment, "c", {"a", "b"});
  known_since("2026-03-02T10:00:00Z");
  given_run("a", RunStatus::kSucceeded, "@deployment#7");
  given_run("b", RunStatus::kRunning, "@deployment#7");
  given_run("c", RunStatus::kQueued, "@deployment#7").waiting_for = "jobs a and b to succeed";
  const JobsPlan p = planned("2026-03-02T10:30:00Z");
  ASSERT_EQ(p.commit.waits.size(), 1U);
  EXPECT_EQ(p.commit.waits[0].waiting_for, "job b to succeed");
  view_.runs[1].status = RunStatus::kSucceeded;
  EXPECT_EQ(planned("2026-03-02T10:30:00Z").commit.waits[0].waiting_for, "");
}

TEST_F(Jobs, AFailedOneSkipsAllBehindIt) {
  on(JobEvent::kDeployment, "a");
  on(JobEvent::kDeployment, "b", {"a"});
  on(JobEvent::kDeployment, "c", {"b"});
  known_since("2026-03-02T10:00:00Z");
  given_run("a", RunStatus::kFailed, "@deployment#7");
  given_run("b", RunStatus::kQueued, "@deployment#7").waiting_for = "job a to succeed";
  given_run("c", RunStatus::kQueued, "@deployment#7").waiting_for = "job b to succeed";
  const JobsPlan p = planned("2026-03-02T10:30:00Z");
  ASSERT_EQ(p.commit.endings.size(), 2U);
  EXPECT_EQ(p.commit.endings[0].error, "skipped: job a, which it depends on, has failed");
  EXPECT_EQ(p.commit.endings[1].error,
            "skipped: job b, which it depends on, was not run to its end");
}

TEST_F(Jobs, WhatSkipsIsSaidInWords) {
  on(JobEvent::kDeployment, "a");
  on(JobEvent::kDeployment, "b", {"a"});
  known_since("2026-03-02T10:00:00Z");
  given_run("a", RunStatus::kTimedOut, "@deployment#7");
  given_run("b", RunStatus::kQueued, "@deployment#7").waiting_for = "job a to succeed";
  EXPECT_EQ(planned("2026-03-02T10:30:00Z").commit.endings[0].error,
            "skipped: job a, which it depends on, ran into its timeout");
}

TEST_F(Jobs, ThoseBehindOneThatIsBusyAreLeftOutToo) {
  on(JobEvent::kDeployment, "a");
  on(JobEvent::kDeployment, "b", {"a"});
  known_since("2026-03-02T10:00:00Z");
  given_run("a", RunStatus::kRunning);
  happened(JobEvent::kDeployment);
  EXPECT_THAT(ledger(planned("2026-03-02T10:30:00Z")),
              ElementsAre("a 10:30 skipped_overlap", "b 10:30 skipped_disabled"));
}

TEST_F(Jobs, ATemplateJobDeploysItsTemplate) {
  given_template("network").events = {JobEvent::kDeployment};
  known_since("2026-03-02T10:00:00Z");
  happened(JobEvent::kDeployment);
  const JobsPlan p = planned("2026-03-02T10:30:00Z");
  ASSERT_EQ(p.commit.runs.size(), 1U);
  EXPECT_EQ(p.commit.runs[0].operation, Operation::kDeploy);
  EXPECT_EQ(p.commit.runs[0].definition.bundle, bundle_);
}

TEST_F(Jobs, AnUnknownTemplateIsSaid) {
  given_template("network").events = {JobEvent::kDeployment};
  story_.spec.jobs[0].body = "nowhere";
  known_since("2026-03-02T10:00:00Z");
  happened(JobEvent::kDeployment);
  EXPECT_EQ(planned("2026-03-02T10:30:00Z").commit.occurrences[0].reason,
            "there is no template \"nowhere\"");
}

class Destroy : public Jobs {
 protected:
  Destroy() {
    given_template("network");
    given_template("dns");
    known_since("2026-03-02T10:00:00Z");
    for (Job& row : view_.jobs) row.deployed = definition("of " + row.name.value);
    story_.queued_behind(Operation::kDestroy);
    story_.queued->id = RunId("the-destroy");
  }
  JobsPlan planned() { return Jobs::planned("2026-03-02T10:30:00Z"); }
};

TEST_F(Destroy, TakesTemplateJobsFirstFromTheLastToTheFirst) {
  const JobsPlan p = planned();
  ASSERT_EQ(p.commit.runs.size(), 1U);
  EXPECT_EQ(p.commit.runs[0].job.value, "dns");
  EXPECT_EQ(p.commit.runs[0].operation, Operation::kDestroy);
  EXPECT_EQ(p.commit.runs[0].definition, definition("of dns"));
  EXPECT_EQ(p.commit.runs[0].event, "the-destroy");

  given_run("dns", RunStatus::kRunning, "the-destroy").operation = Operation::kDestroy;
  EXPECT_TRUE(planned().nothing());
  view_.runs[0].status = RunStatus::kSucceeded;
  row("dns").deployed.reset();
  EXPECT_THAT(queued(planned()), ElementsAre("network"));
}

TEST_F(Destroy, FailsWhenOneOfThemDoes) {
  JobRun& failed = given_run("dns", RunStatus::kFailed, "the-destroy");
  failed.operation = Operation::kDestroy;
  failed.error = "quota";
  const JobsPlan p = planned();
  ASSERT_EQ(p.commit.endings.size(), 1U);
  EXPECT_EQ(p.commit.endings[0].run, RunId("the-destroy"));
  EXPECT_EQ(p.commit.endings[0].status, RunStatus::kFailed);
  EXPECT_EQ(p.commit.endings[0].error, "template job dns could not be destroyed: quota");
}

TEST_F(Destroy, WaitsForADeployAtWorkAndEndsOneThatWaits) {
  given_run("dns", RunStatus::kRunning).operation = Operation::kDeploy;
  EXPECT_TRUE(planned().nothing());
  view_.runs[0].status = RunStatus::kQueued;
  const JobsPlan p = planned();
  EXPECT_EQ(p.commit.endings.size(), 1U);
  EXPECT_THAT(queued(p), ElementsAre("dns"));
}

TEST_F(Destroy, AlsoTakesOneThatTheFileNamesNoLonger) {
  story_.spec.jobs.clear();
  EXPECT_THAT(queued(planned()), ElementsAre("dns"));
}

TEST(JobOrder, DependenciesComeFirstAndElseTheOrderOfTheFileHolds) {
  std::vector<JobSpec> jobs(4);
  for (std::size_t i = 0; i < 4; ++i) jobs[i].name = JobName(std::string(1, "abcd"[i]));
  jobs[0].depends_on = {JobName("c")};
  EXPECT_THAT(order_of(jobs).in_order, ElementsAre(1, 2, 0, 3));
}

}  // namespace
}  // namespace provisioner
