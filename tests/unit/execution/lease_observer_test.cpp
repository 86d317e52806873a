#include "execution/lease_observer.hpp"

#include <gtest/gtest.h>

namespace provisioner::execution {
namespace {

using namespace std::chrono_literals;

constexpr Duration kPatience = 150s;
constexpr BootInstant kStart{Duration(1'000'000)};

AttemptRow running(std::int64_t heartbeat_seq) {
  AttemptRow row;
  row.run = RunId("run-1");
  row.attempt = Attempt(1);
  row.heartbeat_seq = heartbeat_seq;
  row.process = ProcessIdentity{};
  return row;
}

std::size_t expired(LeaseObserver& observer, Term term, const std::vector<AttemptRow>& rows,
                    BootInstant at) {
  return observer.observe(term, rows, at, at).size();
}

TEST(LeaseObserver, NeverEndsALeaseAtFirstSight) {
  LeaseObserver observer(kPatience);
  auto row = running(7);
  row.lease_expires_at = Instant(Duration(0));  // long ago by any wall clock: it decides nothing
  EXPECT_EQ(expired(observer, Term(1), {row}, kStart + 10h), 0U);
}

TEST(LeaseObserver, EndsALeaseWhoseHeartbeatStoodStillForItsLength) {
  LeaseObserver observer(kPatience);
  EXPECT_EQ(expired(observer, Term(1), {running(7)}, kStart), 0U);
  EXPECT_EQ(expired(observer, Term(1), {running(7)}, kStart + kPatience - 1us), 0U);
  EXPECT_EQ(expired(observer, Term(1), {running(7)}, kStart + kPatience), 1U);
}

TEST(LeaseObserver, BeginsAnewWithEachHeartbeat) {
  LeaseObserver observer(kPatience);
  EXPECT_EQ(expired(observer, Term(1), {running(7)}, kStart), 0U);
  EXPECT_EQ(expired(observer, Term(1), {running(8)}, kStart + 140s), 0U);
  EXPECT_EQ(expired(observer, Term(1), {running(8)}, kStart + 160s), 0U);
  EXPECT_EQ(expired(observer, Term(1), {running(8)}, kStart + 290s), 1U);
}

TEST(LeaseObserver, BeginsAnewWhenTheRunnerRegisters) {
  LeaseObserver observer(kPatience);
  auto unregistered = running(0);
  unregistered.process.reset();
  EXPECT_EQ(expired(observer, Term(1), {unregistered}, kStart), 0U);
  EXPECT_EQ(expired(observer, Term(1), {running(0)}, kStart + 149s), 0U);
  EXPECT_EQ(expired(observer, Term(1), {running(0)}, kStart + 151s), 0U);
}

TEST(LeaseObserver, BeginsAnewWithAnotherTerm) {
  LeaseObserver observer(kPatience);
  EXPECT_EQ(expired(observer, Term(1), {running(7)}, kStart), 0U);
  EXPECT_EQ(expired(observer, Term(2), {running(7)}, kStart + 1h), 0U);
  EXPECT_EQ(expired(observer, Term(2), {running(7)}, kStart + 1h + kPatience), 1U);
}

TEST(LeaseObserver, CountsFromTheAnswerToTheLaterQuestion) {
  LeaseObserver observer(kPatience);
  // The first answer took 100 s: the heartbeat may be as young as the answer.
  const std::vector<AttemptRow> rows = {running(7)};
  EXPECT_TRUE(observer.observe(Term(1), rows, kStart, kStart + 100s).empty());
  // The second question was asked too early, however late its answer came.
  EXPECT_TRUE(observer.observe(Term(1), rows, kStart + 249s, kStart + 400s).empty());
  EXPECT_EQ(observer.observe(Term(1), rows, kStart + 250s, kStart + 400s).size(), 1U);
}

TEST(LeaseObserver, ForgetsAttemptsThatEnded) {
  LeaseObserver observer(kPatience);
  EXPECT_EQ(expired(observer, Term(1), {running(7)}, kStart), 0U);
  EXPECT_EQ(expired(observer, Term(1), {}, kStart + 1s), 0U);
  EXPECT_EQ(expired(observer, Term(1), {running(7)}, kStart + kPatience), 0U);
}

}  // namespace
}  // namespace provisioner::execution
