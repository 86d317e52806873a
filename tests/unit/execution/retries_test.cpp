#include "execution/retries.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>

#include "tests/support/virtual_clock.hpp"

namespace provisioner::execution {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

class Silent final : public LogSink {
 public:
  void write(const LogEvent& event) override { messages.push_back(event.message); }
  std::vector<std::string> messages;
};

// Draws the middle of every range: a jitter of nothing.
class Middle final : public Random {
 public:
  void fill(std::span<unsigned char> bytes) override { std::ranges::fill(bytes, 0x80); }
};

constexpr const char* kCloud = "management.azure.com";

// Given three retries, and breakers that open after three failures and let one probe pass.
class RetriesTest : public ::testing::Test {
 protected:
  using Run = provisioner::Run;  // not ::testing::Test::Run

  static Run run_of(const std::string& workspace, std::int64_t retries = 0) {
    Run run;
    run.id = RunId("run-of-" + workspace);
    run.workspace = WorkspaceName(workspace);
    run.trigger = Trigger::kSchedule;
    run.definition.config = "{}";
    run.attempt = Attempt(retries + 1);
    run.retries = retries;
    return run;
  }
  static AttemptResult failure(const std::string& host = "") {
    return {.status = RunStatus::kFailed,
            .error = "plan: connection refused\nwhile reading",
            .may_pass = true,
            .host = host};
  }
  // The attempt fails, and the store takes the offer, if there is one.
  std::optional<RetryOffer> fail(const Run& run, const std::string& host = "") {
    auto offer = retries_.offer(run, failure(host));
    retries_.ended(run, failure(host), offer ? std::optional(offer->at) : std::nullopt);
    return offer;
  }
  void succeed(const Run& run) {
    retries_.ended(run, {.status = RunStatus::kSucceeded}, std::nullopt);
  }
  void break_cloud() {
    for (const char* name : {"a", "b", "c"}) fail(run_of(name), kCloud);
  }
  BreakerState cloud() { return retries_.report().at(0).state; }
  Duration delay_of(const std::optional<RetryOffer>& offer) { return offer->at - clock_.now(); }

  boost::asio::io_context loop_;
  testing::SimulatedClock clock_{loop_, *parse_rfc3339("2026-11-23T08:00:00Z")};
  Middle random_;
  std::shared_ptr<Silent> log_ = std::make_shared<Silent>();
  Retries retries_{
      clock_, random_, Logger(log_, clock_, "execution"),
      RetrySettings{.policy = {},
                    .breaker = {.max_failures = 3, .max_requests = 1, .timeout = 30s}}};
};

TEST_F(RetriesTest, APassingFailureIsTriedAgainThreeTimesEverLater) {
  const Duration expected[] = {1s, 2s, 4s};
  for (std::int64_t retries = 0; retries < 3; ++retries) {
    const auto offer = fail(run_of("shop", retries));
    ASSERT_TRUE(offer);
    EXPECT_NEAR(static_cast<double>(delay_of(offer).count()),
                static_cast<double>(expected[retries].count()), 20'000);
  }
  EXPECT_FALSE(fail(run_of("shop", 3)));
}

TEST_F(RetriesTest, TheLogSaysWhatFailedWhenItGoesOnAndHowOftenStill) {
  EXPECT_EQ(fail(run_of("shop", 1))->announcement,
            "attempt 2 failed: plan: connection refused; trying again in 2.0 s (3 of 4)\n");
}

TEST_F(RetriesTest, OtherEndsAreNotTriedAgain) {
  AttemptResult other = failure();
  other.may_pass = false;
  EXPECT_FALSE(retries_.offer(run_of("shop"), other));
  for (const RunStatus status : {RunStatus::kSucceeded, RunStatus::kCancelled, RunStatus::kTimedOut,
                                 RunStatus::kInterrupted}) {
    AttemptResult result = failure();
    result.status = status;
    EXPECT_FALSE(retries_.offer(run_of("shop"), result)) << to_string(status);
  }
}

TEST_F(RetriesTest, AWorkspaceMayWantFewerOrMore) {
  Run never = run_of("shop");
  never.definition.config = R"({"retry": {"max_retries": 0}})";
  EXPECT_FALSE(fail(never));
  Run often = run_of("shop", 3);
  often.definition.config = R"({"retry": {"max_retries": 5}})";
  EXPECT_THAT(fail(often)->announcement, HasSubstr("(5 of 6)"));
}

TEST_F(RetriesTest, WhatAPersonConfirmedIsNotTriedAgainOnceItBeganToChangeThings) {
  Run confirmed = run_of("shop");
  confirmed.trigger = Trigger::kManual;
  confirmed.confirmed = true;
  EXPECT_TRUE(retries_.offer(confirmed, failure())) << "only the plan had failed";
  AttemptResult half_way = failure();
  half_way.began_changes = true;
  EXPECT_FALSE(retries_.offer(confirmed, half_way));
  Run forced = run_of("shop");  // on_change = force agrees to everything
  forced.trigger = Trigger::kChange;
  forced.confirmed = true;
  EXPECT_TRUE(retries_.offer(forced, half_way));
  EXPECT_TRUE(retries_.offer(run_of("shop"), half_way));
}

TEST_F(RetriesTest, RunsWaitForAHostThatFailedTooOften) {
  EXPECT_LT(delay_of(fail(run_of("a"), kCloud)), 2s);
  EXPECT_LT(delay_of(fail(run_of("b"), kCloud)), 2s);
  const auto offer = fail(run_of("c"), kCloud);
  EXPECT_EQ(delay_of(offer), 30s) << "this failure opened the breaker";
  EXPECT_THAT(offer->announcement, HasSubstr("management.azure.com failed too often"));
  EXPECT_EQ(cloud(), BreakerState::kOpen);
  clock_.advance(10s);
  EXPECT_EQ(delay_of(fail(run_of("d"), kCloud)), 20s);
}

TEST_F(RetriesTest, OtherHostsAndOtherFailuresAreNotDelayed) {
  break_cloud();
  EXPECT_LT(delay_of(fail(run_of("d"), "storage.googleapis.com")), 2s);
  EXPECT_LT(delay_of(fail(run_of("e"))), 2s);
}

TEST_F(RetriesTest, RunsThatAreDueArePassedOverWhileTheirHostIsOpen) {
  break_cloud();
  EXPECT_THAT(retries_.passed_over(), IsEmpty()) << "none is due";
  clock_.advance(2s);
  EXPECT_THAT(retries_.passed_over(), UnorderedElementsAre(RunId("run-of-a"), RunId("run-of-b")));
}

TEST_F(RetriesTest, OnlyAsManyProbesAsAllowedPassAtATime) {
  break_cloud();
  clock_.advance(30s);
  EXPECT_THAT(retries_.passed_over(), IsEmpty());
  retries_.claimed(RunId("run-of-a"));
  EXPECT_THAT(retries_.passed_over(), UnorderedElementsAre(RunId("run-of-b"), RunId("run-of-c")));
  succeed(run_of("a", 1));
  EXPECT_EQ(cloud(), BreakerState::kClosed);
  EXPECT_THAT(retries_.passed_over(), IsEmpty());
}

TEST_F(RetriesTest, AFailingProbeOpensTheBreakerAgain) {
  break_cloud();
  clock_.advance(30s);
  retries_.claimed(RunId("run-of-a"));
  EXPECT_EQ(delay_of(fail(run_of("a", 1), kCloud)), 30s);
  EXPECT_EQ(cloud(), BreakerState::kOpen);
}

TEST_F(RetriesTest, AProbeThatFailsElsewhereOrIsInterruptedLeavesItsPlace) {
  break_cloud();
  clock_.advance(30s);
  retries_.claimed(RunId("run-of-a"));
  fail(run_of("a", 1), "storage.googleapis.com");
  EXPECT_EQ(cloud(), BreakerState::kHalfOpen);
  EXPECT_THAT(retries_.passed_over(), IsEmpty());
  retries_.claimed(RunId("run-of-b"));
  EXPECT_THAT(retries_.passed_over(), ElementsAre(RunId("run-of-c")));
  retries_.interrupted(RunId("run-of-b"));
  EXPECT_THAT(retries_.passed_over(), IsEmpty());
}

TEST_F(RetriesTest, TheSuccessOfAWorkspaceThatFailedThereSpeaksForTheHost) {
  break_cloud();
  clock_.advance(30s);
  Run by_hand = run_of("b");
  by_hand.id = RunId("another-run");
  succeed(by_hand);
  EXPECT_EQ(cloud(), BreakerState::kClosed);
}

TEST_F(RetriesTest, ASuccessElsewhereSaysNothing) {
  break_cloud();
  clock_.advance(30s);
  succeed(run_of("z"));
  EXPECT_EQ(cloud(), BreakerState::kHalfOpen);
}

TEST_F(RetriesTest, AnEndThatIsReportedAgainAfterALostReplyCountsOnce) {
  const Run run = run_of("shop");
  for (int i = 0; i < 5; ++i) retries_.offer(run, failure(kCloud));
  EXPECT_EQ(retries_.report().at(0).consecutive_failures, 1);
}

TEST_F(RetriesTest, SaysWhenTheNextIsDue) {
  EXPECT_FALSE(retries_.next_due());
  const auto offer = fail(run_of("shop"));
  EXPECT_EQ(retries_.next_due(), clock_.boot_now() + delay_of(offer));
  retries_.claimed(RunId("run-of-shop"));
  EXPECT_FALSE(retries_.next_due());
}

TEST_F(RetriesTest, ReportsEveryHostWithItsTimes) {
  break_cloud();
  fail(run_of("d"), "storage.googleapis.com");
  const auto reports = retries_.report();
  ASSERT_EQ(reports.size(), 2u);
  EXPECT_EQ(reports[0], (BreakerReport{.dependency = "tofu: management.azure.com",
                                       .state = BreakerState::kOpen,
                                       .consecutive_failures = 3,
                                       .opened_at = clock_.now(),
                                       .next_probe = clock_.now() + 30s}));
  EXPECT_EQ(reports[1].dependency, "tofu: storage.googleapis.com");
  EXPECT_EQ(reports[1].state, BreakerState::kClosed);
  EXPECT_THAT(log_->messages, ElementsAre(HasSubstr("management.azure.com failed too often")));
}

TEST_F(RetriesTest, RemembersABoundedNumberOfHosts) {
  for (int i = 0; i < 1000; ++i) fail(run_of("shop"), "host-" + std::to_string(i));
  EXPECT_LE(retries_.report().size(), 256u);
}

}  // namespace
}  // namespace provisioner::execution
