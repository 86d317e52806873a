// The scheduler's coroutine over a simulated clock and the real embedded store.
#include "scheduler/loop.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>

#include "config/workspace_file.hpp"
#include "store/sqlite/sqlite_store.hpp"
#include "tests/support/run_task.hpp"
#include "tests/support/temp_directory.hpp"
#include "tests/support/virtual_clock.hpp"
#include "tests/unit/scheduler/story.hpp"

namespace provisioner {
namespace {

using namespace std::chrono_literals;
using testing::at;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::run_task;
using testing::turn_until;

const char* const kOfficeHours =
    R"({"deploy_schedule": "0 8 * * *", "destroy_schedule": "0 18 * * *"})";

// Lines that were logged, for stories about what people are told.
class Lines final : public LogSink {
 public:
  void write(const LogEvent& event) override { lines.push_back(event.message); }
  std::vector<std::string> lines;
};

class SchedulerLoop : public ::testing::Test {
 protected:
  SchedulerLoop() : clock_(loop_, at("2026-03-02T07:00:00Z")), random_(1) {
    auto store = open_sqlite_store(loop_.get_executor(), directory_ / "provisioner.db");
    if (!store) throw std::runtime_error(store.error().message);
    store_ = std::move(*store);
    fence_ = claim();
  }
  ~SchedulerLoop() override { stop(); }

  template <typename T>
  T must(Task<Result<T>> task) {
    auto result = run_task(loop_, std::move(task));
    if (!result) throw std::runtime_error(result.error().message);
    if constexpr (!std::is_void_v<T>) return std::move(*result);
  }

  LeaderFence claim() {
    const auto seen = must(store_->leadership());
    return must(
               store_->claim_term(seen.fence, random_.claim_id(), InstanceId("here"), clock_.now()))
        .fence;
  }

  void start() {
    const auto read = [](const WorkspaceName& name,
                         std::string_view text) -> Result<WorkspaceSpec> {
      auto parsed = parse_workspace(name, text, "config.json");
      if (!parsed) return std::unexpected(parsed.error());
      return parsed->spec;
    };
    scheduler_ = std::make_unique<Scheduler>(
        loop_.get_executor(), clock_, random_, *store_, [this] { return fence_; }, read,
        Logger(log_, clock_, "scheduler"),
        SchedulerSettings{.default_zone = Zone::find("UTC").value()});
    running_ = true;
    boost::asio::co_spawn(loop_, scheduler_->run(), [this](std::exception_ptr error) {
      running_ = false;
      if (error) std::rethrow_exception(error);
    });
    settle();
  }
  void stop() {
    if (!scheduler_) return;
    scheduler_->stop();
    EXPECT_TRUE(turn_until(loop_, [&] { return !running_; }));
    scheduler_.reset();
  }

  // Until the scheduler has nothing to do but wait. The store's notifications may come after the
  // answer that they belong to: ask it something, and everything before has been heard.
  void settle() {
    for (int i = 0; i < 3; ++i) {
      ASSERT_TRUE(turn_until(loop_, [&] { return clock_.sleepers() > 0; }));
      must(store_->leadership());
      loop_.poll();
    }
    ASSERT_TRUE(turn_until(loop_, [&] { return clock_.sleepers() > 0; }));
  }
  void advance_to(const char* instant) {
    clock_.advance_to(at(instant));
    loop_.restart();
    loop_.poll();
    settle();
  }

  // The folder of `name` says `config` with `content`.
  void publish(const std::string& name, const char* config, const std::string& content = "v1") {
    const BundleHash hash(content);
    must(store_->put_bundle(hash, content));
    must(store_->publish({.workspace = WorkspaceName(name),
                          .definition = {.config = config, .bundle = hash, .inputs_hash = ""},
                          .changed_by = "test",
                          .first_cursor = clock_.now(),
                          .schedule_hash = config},
                         clock_.now()));
  }

  std::vector<provisioner::Run> runs(const std::string& name) {
    auto all = must(store_->runs({.workspace = WorkspaceName(name)}));
    std::ranges::reverse(all);
    return all;
  }
  // "deploy queued", "destroy (ttl) succeeded", oldest first.
  std::vector<std::string> told_runs(const std::string& name) {
    std::vector<std::string> lines;
    for (const auto& run : runs(name)) {
      std::string line(to_string(run.operation));
      if (run.trigger != Trigger::kSchedule) line += fmt::format(" ({})", to_string(run.trigger));
      lines.push_back(fmt::format("{} {}", line, to_string(run.status)));
    }
    return lines;
  }
  // "deploy 2026-03-02T08:00:00+00:00 fired", oldest first.
  std::vector<std::string> told_ledger(const std::string& name) {
    auto rows = must(store_->occurrences({.workspace = WorkspaceName(name)}));
    std::ranges::reverse(rows);
    std::vector<std::string> lines;
    for (const auto& row : rows) {
      lines.push_back(
          fmt::format("{} {} {}", to_string(row.action), row.local_time, to_string(row.outcome)));
    }
    return lines;
  }
  Workspace workspace(const std::string& name) {
    return must(store_->workspace(WorkspaceName(name)));
  }

  // What a dispatcher and a runner do.
  std::optional<ClaimedRun> claim_run() {
    return must(store_->claim_next({.instance = InstanceId("here"),
                                    .incarnation = Incarnation("1"),
                                    .claim = random_.claim_id(),
                                    .fence = fence_,
                                    .now = clock_.now()}));
  }
  void finish(const ClaimedRun& claimed, AttemptResult result = {.status = RunStatus::kSucceeded}) {
    must(store_->finish_attempt(claimed.fence, std::move(result), clock_.now()));
    settle();
  }
  void carry_out(AttemptResult result = {.status = RunStatus::kSucceeded}) {
    const auto claimed = claim_run();
    ASSERT_TRUE(claimed) << "nothing to claim";
    finish(*claimed, std::move(result));
  }

  testing::TempDirectory directory_;
  boost::asio::io_context loop_;
  testing::SimulatedClock clock_;
  SeededRandom random_;
  std::unique_ptr<Store> store_;
  std::optional<LeaderFence> fence_;
  std::shared_ptr<Lines> log_ = std::make_shared<Lines>();
  std::unique_ptr<Scheduler> scheduler_;
  bool running_ = false;
};

TEST_F(SchedulerLoop, ADayOfOfficeHours) {
  publish("shop", kOfficeHours);
  start();
  advance_to("2026-03-02T07:59:59Z");
  EXPECT_THAT(told_ledger("shop"), IsEmpty());
  advance_to("2026-03-02T08:00:00Z");
  EXPECT_THAT(told_ledger("shop"), ElementsAre("deploy 2026-03-02T08:00:00+00:00 fired"));
  ASSERT_THAT(told_runs("shop"), ElementsAre("deploy queued"));
  EXPECT_EQ(runs("shop")[0].scheduled_for, at("2026-03-02T08:00:00Z"));
  carry_out();
  advance_to("2026-03-02T18:00:00Z");
  carry_out();
  advance_to("2026-03-02T23:00:00Z");
  EXPECT_THAT(told_runs("shop"), ElementsAre("deploy succeeded", "destroy succeeded"));
  EXPECT_EQ(workspace("shop").status, WorkspaceStatus::kDestroyed);
}

const char* const kChain = R"({"jobs": [
  {"name": "first", "type": "command", "command": "true", "schedule": "@deployment"},
  {"name": "second", "type": "command", "command": "true", "schedule": "@deployment",
   "depends_on": ["first"]}]})";

// Nobody tells the next leader: it finds what the one before it had still to decide.
TEST_F(SchedulerLoop, I3_WhatAFormerLeaderLeftOfAnEventIsDecidedByTheNextOne) {
  publish("shop", kChain);
  start();
  stop();  // it has written the rows of the jobs
  const auto end_next = [&] {
    const auto claimed = claim_run();
    ASSERT_TRUE(claimed) << "nothing to claim";
    must(store_->finish_attempt(claimed->fence, {.status = RunStatus::kSucceeded}, clock_.now()));
  };
  const Workspace shop = workspace("shop");
  must(store_->enqueue({.id = RunId("deploy"),
                        .workspace = shop.name,
                        .definition = shop.current,
                        .created_at = clock_.now()},
                       WhenBusy::kRefuse));
  end_next();
  ASSERT_EQ(must(store_->job_events()).size(), 1U);
  fence_ = claim();
  start();
  EXPECT_THAT(told_runs("shop"),
              ElementsAre("deploy (manual) succeeded", "job (event) queued", "job (event) queued"));
  EXPECT_EQ(runs("shop")[2].waiting_for, "job first to succeed");
  EXPECT_THAT(must(store_->job_events()), IsEmpty());

  stop();
  end_next();  // the first job
  fence_ = claim();
  start();
  EXPECT_EQ(runs("shop")[2].waiting_for, "");
}

TEST_F(SchedulerLoop, AWorkspaceThatIsPublishedMeanwhileIsFollowed) {
  start();
  publish("shop", kOfficeHours);
  settle();
  advance_to("2026-03-02T08:00:00Z");
  EXPECT_THAT(told_runs("shop"), ElementsAre("deploy queued"));
}

TEST_F(SchedulerLoop, AnEditedScheduleStartsAtNow) {
  publish("shop", kOfficeHours);
  start();
  advance_to("2026-03-02T07:30:00Z");
  publish("shop", R"({"deploy_schedule": "15 7 * * *"})");
  settle();
  advance_to("2026-03-02T09:00:00Z");
  EXPECT_THAT(told_ledger("shop"), IsEmpty());
  advance_to("2026-03-03T07:15:00Z");
  EXPECT_THAT(told_ledger("shop"), ElementsAre("deploy 2026-03-03T07:15:00+00:00 fired"));
}

TEST_F(SchedulerLoop, NothingFiresTwiceWhenTheClockGoesBackAndForth) {
  publish("shop", kOfficeHours);
  start();
  advance_to("2026-03-02T08:00:10Z");
  carry_out();
  clock_.set_wall(at("2026-03-02T07:00:00Z"));
  settle();
  advance_to("2026-03-02T08:30:00Z");
  clock_.set_wall(at("2026-03-02T18:00:00Z"));  // and far ahead
  settle();
  EXPECT_THAT(told_ledger("shop"), ElementsAre("deploy 2026-03-02T08:00:00+00:00 fired",
                                               "destroy 2026-03-02T18:00:00+00:00 fired"));
  EXPECT_THAT(told_runs("shop"), ElementsAre("deploy succeeded", "destroy queued"));
}

// dkron 1210, 998; Sidekiq 6804; Airflow 13808: schedules missed around a change of leader.
TEST_F(SchedulerLoop, ANewLeaderActsOnWhatCameDueWhileNobodyLed) {
  publish("shop", kOfficeHours);
  start();
  stop();
  clock_.advance_to(at("2026-03-04T09:00:00Z"));
  fence_ = claim();
  start();
  EXPECT_THAT(told_ledger("shop"), ElementsAre("deploy 2026-03-02T08:00:00+00:00 superseded",
                                               "destroy 2026-03-02T18:00:00+00:00 superseded",
                                               "deploy 2026-03-03T08:00:00+00:00 superseded",
                                               "destroy 2026-03-03T18:00:00+00:00 superseded",
                                               "deploy 2026-03-04T08:00:00+00:00 fired"));
  EXPECT_THAT(told_runs("shop"), ElementsAre("deploy queued"));
}

// I6.
TEST_F(SchedulerLoop, WithoutLeadershipNothingIsDecidedAndAllOfItAfterwards) {
  publish("shop", kOfficeHours);
  start();
  const auto led_with = std::exchange(fence_, std::nullopt);
  scheduler_->wake();
  advance_to("2026-03-02T08:30:00Z");
  EXPECT_THAT(told_ledger("shop"), IsEmpty());
  fence_ = led_with;
  scheduler_->wake();
  ASSERT_TRUE(turn_until(loop_, [&] { return !runs("shop").empty(); }));
  EXPECT_THAT(told_ledger("shop"), ElementsAre("deploy 2026-03-02T08:00:00+00:00 fired"));
}

TEST_F(SchedulerLoop, AStandByKnowsWhatIsDueWhenItsTermBegins) {
  publish("shop", kOfficeHours);
  const auto led_with = std::exchange(fence_, std::nullopt);
  start();
  publish("bakery", kOfficeHours);
  settle();
  advance_to("2026-03-02T07:00:30Z");  // it has read that, too
  publish("kiosk", kOfficeHours);      // and this a moment too late
  must(store_->remove_workspace(WorkspaceName("shop"), "test", clock_.now()));
  clock_.advance_to(at("2026-03-02T08:00:00Z"));
  fence_ = led_with;
  scheduler_->wake();
  settle();
  EXPECT_THAT(told_runs("bakery"), ElementsAre("deploy queued"));
  EXPECT_THAT(told_runs("kiosk"), ElementsAre("deploy queued"));
  EXPECT_THAT(told_ledger("shop"), IsEmpty());
}

// Else it is destroyed below the feet of what has just come to depend on it.
TEST_F(SchedulerLoop, ADependencyThatWasDrawnJustBeforeATermIsHeededByItsFirstDecision) {
  publish("network", kOfficeHours);
  publish("shop", R"({"deploy_schedule": "0 8 * * *"})");
  start();
  advance_to("2026-03-02T08:00:00Z");
  carry_out();
  carry_out();
  const auto led_with = std::exchange(fence_, std::nullopt);
  scheduler_->wake();
  advance_to("2026-03-02T17:59:59Z");
  publish("shop", R"({"deploy_schedule": "0 8 * * *", "depends_on": ["network"]})");
  settle();  // it has heard of it, and read nothing yet
  clock_.advance_to(at("2026-03-02T18:00:00Z"));
  fence_ = led_with;
  scheduler_->wake();
  ASSERT_TRUE(turn_until(loop_, [&] { return runs("network").size() == 2; }));
  EXPECT_EQ(runs("network")[1].waiting_for, "shop to be destroyed");
}

TEST_F(SchedulerLoop, WhatIsWrongWithAWorkspaceIsToldByTheLeaderAlone) {
  publish("broken", R"({"deploy_schedule": "75 8 * * *"})");
  const auto led_with = std::exchange(fence_, std::nullopt);
  start();
  advance_to("2026-03-02T07:30:00Z");
  EXPECT_THAT(log_->lines, IsEmpty());
  fence_ = led_with;
  scheduler_->wake();
  settle();
  EXPECT_THAT(log_->lines, ElementsAre(HasSubstr("minute 75 is outside 0-59")));
}

// I2. Oban 1488, Nomad 11052, Rundeck 8576: a stale leader doubles runs.
TEST_F(SchedulerLoop, AStaleLeaderDecidesNothingUntilItHasANewTerm) {
  publish("shop", kOfficeHours);
  start();
  const LeaderFence successor = claim();
  advance_to("2026-03-02T08:30:00Z");
  EXPECT_THAT(told_ledger("shop"), IsEmpty());
  EXPECT_THAT(told_runs("shop"), IsEmpty());
  fence_ = successor;
  scheduler_->wake();
  ASSERT_TRUE(turn_until(loop_, [&] { return !runs("shop").empty(); }));
  EXPECT_THAT(told_runs("shop"), ElementsAre("deploy queued"));
}

TEST_F(SchedulerLoop, ChangedContentIsRedeployedOnce) {
  publish("shop", kOfficeHours);
  start();
  advance_to("2026-03-02T08:00:00Z");
  carry_out();
  publish("shop", kOfficeHours, "v2");
  ASSERT_TRUE(turn_until(loop_, [&] { return runs("shop").size() == 2; }));
  settle();
  carry_out();
  EXPECT_THAT(told_runs("shop"), ElementsAre("deploy succeeded", "deploy (change) succeeded"));
}

TEST_F(SchedulerLoop, AChangeThatNeedsConfirmationIsNotTriedAgain) {
  publish("shop", kOfficeHours);
  start();
  advance_to("2026-03-02T08:00:00Z");
  carry_out();
  publish("shop", kOfficeHours, "v2");
  ASSERT_TRUE(turn_until(loop_, [&] { return runs("shop").size() == 2; }));
  carry_out({.status = RunStatus::kFailed, .needs_confirmation = true});
  EXPECT_EQ(workspace("shop").status, WorkspaceStatus::kNeedsConfirmation);
  advance_to("2026-03-03T09:00:00Z");
  EXPECT_THAT(told_ledger("shop"), ElementsAre("deploy 2026-03-02T08:00:00+00:00 fired",
                                               "destroy 2026-03-02T18:00:00+00:00 superseded",
                                               "deploy 2026-03-03T08:00:00+00:00 no_change"));
  EXPECT_THAT(told_runs("shop"), ElementsAre("deploy succeeded", "deploy (change) failed"));
}

TEST_F(SchedulerLoop, AFailedDestroyIsTriedAgainAfterAQuarterOfAnHour) {
  publish("shop", kOfficeHours);
  start();
  advance_to("2026-03-02T08:00:00Z");
  carry_out();
  advance_to("2026-03-02T18:00:00Z");
  carry_out({.status = RunStatus::kFailed, .error = "no route to host"});
  advance_to("2026-03-02T18:14:59Z");
  EXPECT_EQ(runs("shop").size(), 2U);
  advance_to("2026-03-02T18:15:00Z");
  EXPECT_THAT(told_runs("shop"),
              ElementsAre("deploy succeeded", "destroy failed", "destroy (retry) queued"));
  carry_out();
  EXPECT_EQ(workspace("shop").status, WorkspaceStatus::kDestroyed);
}

TEST_F(SchedulerLoop, ATtlDestroysAtItsInstant) {
  publish("shop", R"({"deploy_schedule": "0 8 * * *", "ttl": "4h"})");
  start();
  advance_to("2026-03-02T08:00:00Z");
  carry_out({.status = RunStatus::kSucceeded, .ttl_expires_at = at("2026-03-02T12:00:00Z")});
  advance_to("2026-03-02T11:59:59Z");
  EXPECT_EQ(runs("shop").size(), 1U);
  advance_to("2026-03-02T12:00:00Z");
  EXPECT_THAT(told_runs("shop"), ElementsAre("deploy succeeded", "destroy (ttl) queued"));
  EXPECT_EQ(workspace("shop").ttl_expires_at, std::nullopt);
}

TEST_F(SchedulerLoop, ADeployWaitsForItsDependencyAndGoesOnWithIt) {
  publish("network", R"({"deploy_schedule": "5 8 * * *"})");
  publish("shop", R"({"deploy_schedule": "0 8 * * *", "depends_on": ["network"]})");
  start();
  advance_to("2026-03-02T08:00:00Z");
  ASSERT_EQ(runs("shop").size(), 1U);
  EXPECT_EQ(runs("shop")[0].waiting_for, "network to be deployed");
  EXPECT_FALSE(claim_run());
  advance_to("2026-03-02T08:05:00Z");
  carry_out();
  EXPECT_EQ(workspace("network").status, WorkspaceStatus::kDeployed);
  ASSERT_TRUE(turn_until(loop_, [&] { return runs("shop")[0].waiting_for.empty(); }));
  carry_out();
  EXPECT_EQ(workspace("shop").status, WorkspaceStatus::kDeployed);
}

TEST_F(SchedulerLoop, AnOrderThatArrivesTogetherWithAnOccurrenceIsNeverSuperseded) {
  publish("shop", kOfficeHours);
  start();
  advance_to("2026-03-02T08:00:00Z");
  carry_out();
  for (int day = 0; day < 20; ++day) {
    clock_.advance_to(at("2026-03-02T18:00:01Z") + day * 24h);
    // A different moment each day.
    for (int turns = 0; turns < day; ++turns) loop_.run_one_for(2ms);
    NewRun order{.id = random_.run_id(clock_.now()),
                 .workspace = WorkspaceName("shop"),
                 .operation = Operation::kDeploy,
                 .trigger = Trigger::kManual,
                 .definition = workspace("shop").current,
                 .created_at = clock_.now()};
    const RunId id = order.id;
    must(store_->enqueue(std::move(order), WhenBusy::kSupersede));
    settle();
    ASSERT_EQ(must(store_->run(id)).status, RunStatus::kQueued) << "day " << day;
    carry_out();
    clock_.advance_to(at("2026-03-03T08:00:00Z") + day * 24h);
    loop_.poll();
    settle();
  }
}

TEST_F(SchedulerLoop, AHoldSkipsAndReleaseStartsAtNow) {
  publish("shop", kOfficeHours);
  start();
  Workspace row = workspace("shop");
  row.held = true;
  row = must(store_->update_workspace(row, clock_.now()));
  advance_to("2026-03-02T08:00:00Z");
  row = workspace("shop");
  row.held = false;
  must(store_->update_workspace(row, clock_.now()));
  settle();
  advance_to("2026-03-02T09:00:00Z");
  EXPECT_THAT(told_ledger("shop"), ElementsAre("deploy 2026-03-02T08:00:00+00:00 skipped_hold"));
  EXPECT_THAT(told_runs("shop"), IsEmpty());
}

TEST_F(SchedulerLoop, ABrokenWorkspaceDoesNotStopTheOthersAndIsNamed) {
  publish("broken", R"({"deploy_schedule": "75 8 * * *"})");
  publish("shop", kOfficeHours);
  start();
  advance_to("2026-03-02T08:00:00Z");
  EXPECT_THAT(told_runs("shop"), ElementsAre("deploy queued"));
  EXPECT_THAT(log_->lines, ::testing::Contains(HasSubstr("minute 75 is outside 0-59")));
}

TEST_F(SchedulerLoop, ARemovedWorkspaceIsForgotten) {
  publish("shop", kOfficeHours);
  start();
  must(store_->remove_workspace(WorkspaceName("shop"), "test", clock_.now()));
  settle();
  advance_to("2026-03-02T09:00:00Z");
  EXPECT_THAT(told_ledger("shop"), IsEmpty());
}

TEST_F(SchedulerLoop, CountsTheWorkspacesItKnows) {
  publish("shop", kOfficeHours);
  publish("lab", R"({"destroy_schedule": "0 18 * * *"})");
  start();
  const auto count = [&](WorkspaceStatus status) {
    return scheduler_->census().by_status[static_cast<std::size_t>(status)];
  };
  EXPECT_EQ(count(WorkspaceStatus::kPending), 2);
  advance_to("2026-03-02T08:00:00Z");
  carry_out();
  EXPECT_EQ(count(WorkspaceStatus::kPending), 1);
  EXPECT_EQ(count(WorkspaceStatus::kDeployed), 1);

  Workspace row = workspace("lab");
  row.held = true;
  row.enabled = false;
  must(store_->update_workspace(row, clock_.now()));
  settle();
  EXPECT_EQ(scheduler_->census().held, 1);
  EXPECT_EQ(scheduler_->census().disabled, 1);
  must(store_->remove_workspace(WorkspaceName("lab"), "test", clock_.now()));
  settle();
  EXPECT_EQ(count(WorkspaceStatus::kPending), 0);
  EXPECT_EQ(scheduler_->census().held, 0);
}

TEST_F(SchedulerLoop, AStandByCountsTheWorkspacesToo) {
  publish("shop", kOfficeHours);
  fence_.reset();
  start();
  EXPECT_EQ(scheduler_->census().by_status[static_cast<std::size_t>(WorkspaceStatus::kPending)], 1);
}

TEST_F(SchedulerLoop, TellsWhatItPlannedAndHowLongItHasBeenAtWork) {
  publish("shop", kOfficeHours);
  start();
  std::vector<std::string> told;
  std::vector<Duration> behind;
  scheduler_->on_plan([&](const auto& occurrences, const auto& run) {
    for (const auto& occurrence : occurrences) told.emplace_back(to_string(occurrence.outcome));
    if (run) told.emplace_back(to_string(run->operation));
    clock_.advance_to(at("2026-03-02T18:05:30Z"));  // it is slow
    behind.push_back(scheduler_->behind());
  });
  EXPECT_EQ(scheduler_->behind(), Duration::zero());
  advance_to("2026-03-02T18:05:00Z");
  EXPECT_THAT(told, ElementsAre("superseded", "no_change"));
  EXPECT_THAT(behind, ElementsAre(30s));
  EXPECT_EQ(scheduler_->behind(), Duration::zero()) << "it has come to the end of what was due";
}

TEST_F(SchedulerLoop, HundredsDueAtOnceAreAllPlanned) {
  constexpr int kCount = 200;
  for (int i = 0; i < kCount; ++i) publish(fmt::format("shop-{}", i), kOfficeHours);
  start();
  clock_.advance_to(at("2026-03-02T08:00:00Z"));
  ASSERT_TRUE(
      turn_until(loop_, [&] { return must(store_->runs({.limit = 1000})).size() == kCount; }));
}

}  // namespace
}  // namespace provisioner
