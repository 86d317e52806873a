#include "runtime/circuit_breaker.hpp"

#include <gtest/gtest.h>

#include <utility>
#include <vector>

namespace provisioner {
namespace {

using namespace std::chrono_literals;

// Given a breaker that opens after three failures and lets two probes pass ten seconds later.
class CircuitBreakerTest : public ::testing::Test {
 protected:
  void fail_times(int times) {
    for (int i = 0; i < times; ++i) {
      EXPECT_TRUE(breaker_.admit(now_));
      breaker_.failed(now_);
    }
  }
  void open() { fail_times(3); }
  void pass(Duration time) { now_ += time; }
  BreakerState state() { return breaker_.state(now_); }

  BootInstant now_{1000s};
  std::vector<std::pair<BreakerState, BreakerState>> changes_;
  CircuitBreaker breaker_{
      {.max_failures = 3, .max_requests = 2, .timeout = 10s, .report_within = 20s, .interval = 60s},
      [this](BreakerState from, BreakerState to) { changes_.emplace_back(from, to); }};
};

TEST_F(CircuitBreakerTest, LetsEverythingPassAtFirst) {
  EXPECT_EQ(state(), BreakerState::kClosed);
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(breaker_.admit(now_));
  EXPECT_FALSE(breaker_.opened_at());
  EXPECT_FALSE(breaker_.next_probe(now_));
}

TEST_F(CircuitBreakerTest, OpensAfterSoManyFailuresInARow) {
  fail_times(2);
  EXPECT_EQ(state(), BreakerState::kClosed);
  fail_times(1);
  EXPECT_EQ(state(), BreakerState::kOpen);
  EXPECT_FALSE(breaker_.admit(now_));
  EXPECT_EQ(breaker_.opened_at(), now_);
  EXPECT_EQ(breaker_.next_probe(now_), now_ + 10s);
  EXPECT_EQ(breaker_.counts().consecutive_failures, 3);
}

TEST_F(CircuitBreakerTest, ASuccessBetweenBeginsTheRowAnew) {
  fail_times(2);
  breaker_.succeeded(now_);
  fail_times(2);
  EXPECT_EQ(state(), BreakerState::kClosed);
  EXPECT_EQ(
      breaker_.counts(),
      (BreakerCounts{.requests = 4, .successes = 1, .failures = 4, .consecutive_failures = 2}));
}

TEST_F(CircuitBreakerTest, ForgetsItsCountsAfterEachInterval) {
  fail_times(2);
  pass(60s);
  fail_times(2);
  EXPECT_EQ(state(), BreakerState::kClosed) << "two, and two of the interval before";
  fail_times(1);
  EXPECT_EQ(state(), BreakerState::kOpen);
}

TEST_F(CircuitBreakerTest, IsHalfOpenAfterItsTimeoutAndNotBefore) {
  open();
  pass(10s - 1us);
  EXPECT_EQ(state(), BreakerState::kOpen);
  EXPECT_FALSE(breaker_.admit(now_));
  pass(1us);
  EXPECT_EQ(state(), BreakerState::kHalfOpen);
  EXPECT_FALSE(breaker_.next_probe(now_));
}

TEST_F(CircuitBreakerTest, LetsOnlySoManyProbesPassAtATime) {
  open();
  pass(10s);
  EXPECT_TRUE(breaker_.admit(now_));
  EXPECT_TRUE(breaker_.admit(now_));
  EXPECT_FALSE(breaker_.admit(now_));
  EXPECT_EQ(breaker_.next_probe(now_), now_ + 20s);
}

TEST_F(CircuitBreakerTest, ClosesAfterTheProbesHaveSucceeded) {
  open();
  pass(10s);
  EXPECT_TRUE(breaker_.admit(now_));
  EXPECT_TRUE(breaker_.admit(now_));
  breaker_.succeeded(now_);
  EXPECT_EQ(state(), BreakerState::kHalfOpen);
  breaker_.succeeded(now_);
  EXPECT_EQ(state(), BreakerState::kClosed);
  EXPECT_FALSE(breaker_.opened_at());
  EXPECT_EQ(breaker_.counts(), BreakerCounts());
}

TEST_F(CircuitBreakerTest, AFailingProbeOpensItAgainForAWholeTimeout) {
  open();
  pass(10s);
  EXPECT_TRUE(breaker_.admit(now_));
  pass(3s);
  breaker_.failed(now_);
  EXPECT_EQ(state(), BreakerState::kOpen);
  EXPECT_EQ(breaker_.next_probe(now_), now_ + 10s);
  EXPECT_EQ(breaker_.counts().consecutive_failures, 4);
  EXPECT_EQ(breaker_.opened_at(), now_ - 13s) << "since then it is not well";
}

TEST_F(CircuitBreakerTest, AResultFromBeforeItOpenedChangesNothingWhileItIsOpen) {
  open();
  pass(5s);
  breaker_.failed(now_);
  breaker_.succeeded(now_);
  EXPECT_EQ(state(), BreakerState::kOpen);
  EXPECT_EQ(breaker_.next_probe(now_), now_ + 5s);
}

TEST_F(CircuitBreakerTest, AProbeThatWasGivenUpLeavesItsPlaceToAnother) {
  open();
  pass(10s);
  EXPECT_TRUE(breaker_.admit(now_));
  EXPECT_TRUE(breaker_.admit(now_));
  breaker_.gave_up(now_);
  EXPECT_TRUE(breaker_.admit(now_));
  EXPECT_FALSE(breaker_.admit(now_));
}

TEST_F(CircuitBreakerTest, ProbesThatNobodyReportsOnDoNotKeepItShutForEver) {
  open();
  pass(10s);
  EXPECT_TRUE(breaker_.admit(now_));
  EXPECT_TRUE(breaker_.admit(now_));
  pass(20s - 1us);
  EXPECT_FALSE(breaker_.admit(now_));
  pass(1us);
  EXPECT_TRUE(breaker_.admit(now_));
}

TEST_F(CircuitBreakerTest, OneGoodProbeClosesItWhenNoOtherWantsToPass) {
  open();
  pass(10s);
  EXPECT_TRUE(breaker_.admit(now_));
  breaker_.succeeded(now_);
  pass(60s - 1us);
  EXPECT_EQ(state(), BreakerState::kHalfOpen);
  pass(1us);
  EXPECT_EQ(state(), BreakerState::kClosed);
}

TEST_F(CircuitBreakerTest, ResultsThatNobodyAskedForCountToo) {
  for (int i = 0; i < 3; ++i) breaker_.failed(now_);
  EXPECT_EQ(state(), BreakerState::kOpen);
  pass(10s);
  breaker_.succeeded(now_);
  breaker_.succeeded(now_);
  EXPECT_EQ(state(), BreakerState::kClosed);
}

TEST_F(CircuitBreakerTest, TellsEveryChangeOnce) {
  open();
  pass(10s);
  EXPECT_TRUE(breaker_.admit(now_));
  breaker_.failed(now_);
  pass(10s);
  EXPECT_TRUE(breaker_.admit(now_));
  breaker_.succeeded(now_);
  breaker_.succeeded(now_);
  using enum BreakerState;
  EXPECT_EQ(changes_, (std::vector<std::pair<BreakerState, BreakerState>>{{kClosed, kOpen},
                                                                          {kOpen, kHalfOpen},
                                                                          {kHalfOpen, kOpen},
                                                                          {kOpen, kHalfOpen},
                                                                          {kHalfOpen, kClosed}}));
}

TEST_F(CircuitBreakerTest, ItsReportSpeaksOfTheWallClock) {
  const Instant noon(std::chrono::sys_days(std::chrono::year(2026) / 11 / 23) + 12h);
  EXPECT_EQ(report_on(breaker_, "store", noon, now_),
            (BreakerReport{.dependency = "store", .opened_at = {}, .next_probe = {}}));
  open();
  pass(4s);
  EXPECT_EQ(report_on(breaker_, "store", noon, now_), (BreakerReport{.dependency = "store",
                                                                     .state = BreakerState::kOpen,
                                                                     .consecutive_failures = 3,
                                                                     .opened_at = noon - 4s,
                                                                     .next_probe = noon + 6s}));
}

}  // namespace
}  // namespace provisioner
