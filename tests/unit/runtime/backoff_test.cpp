#include "runtime/backoff.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace provisioner {
namespace {

using namespace std::chrono_literals;

// Draws the same everywhere: 0x00 is the least of a range, 0xff nearly its most.
class Always final : public Random {
 public:
  explicit Always(unsigned char byte) : byte_(byte) {}
  void fill(std::span<unsigned char> bytes) override { std::ranges::fill(bytes, byte_); }

 private:
  unsigned char byte_;
};

TEST(RetryPolicy, WaitsOneTwoAndFourSecondsAndThenNoMore) {
  const RetryPolicy policy;
  Always middle(0x80);
  const Duration expected[] = {1s, 2s, 4s};
  for (std::int64_t retries = 0; retries < 3; ++retries) {
    const auto delay = policy.delay(retries, middle);
    ASSERT_TRUE(delay);
    EXPECT_NEAR(static_cast<double>(delay->count()), static_cast<double>(expected[retries].count()),
                20'000);
  }
  EXPECT_FALSE(policy.delay(3, middle));
  EXPECT_FALSE(policy.delay(4, middle));
}

TEST(RetryPolicy, ItsJitterIsAQuarterInBothDirections) {
  const RetryPolicy policy;
  Always least(0), most(0xff);
  EXPECT_EQ(policy.delay(1, least), 1500ms);
  EXPECT_LE(*policy.delay(1, most), 2500ms);
  EXPECT_GT(*policy.delay(1, most), 2499ms);
  SeededRandom random(7);
  Duration shortest = 1h, longest = 0s;
  for (int i = 0; i < 1000; ++i) {
    const Duration delay = *policy.delay(0, random);
    shortest = std::min(shortest, delay);
    longest = std::max(longest, delay);
  }
  EXPECT_GE(shortest, 750ms);
  EXPECT_LT(shortest, 800ms);
  EXPECT_LE(longest, 1250ms);
  EXPECT_GT(longest, 1200ms);
}

TEST(RetryPolicy, NeverWaitsLongerThanItsCap) {
  const RetryPolicy policy{.max_retries = 100, .base_delay = 1s, .max_delay = 30s};
  Always least(0);
  EXPECT_EQ(policy.delay(4, least), 12s);
  EXPECT_EQ(policy.delay(5, least), 22500ms);
  EXPECT_EQ(policy.delay(99, least), 22500ms);
  const RetryPolicy impatient{.max_retries = 1, .base_delay = 1min, .max_delay = 2s};
  EXPECT_EQ(impatient.delay(0, least), 1500ms);
}

TEST(RetryPolicy, WithNoRetriesNothingIsTriedAgain) {
  SeededRandom random(1);
  EXPECT_FALSE(RetryPolicy{.max_retries = 0}.delay(0, random));
}

TEST(Backoff, DoublesUpToItsCapAndBeginsAnewAfterAReset) {
  Backoff backoff(100ms, 300ms);
  Always least(0);
  EXPECT_EQ(backoff.next(least), 75ms);
  EXPECT_EQ(backoff.next(least), 150ms);
  EXPECT_EQ(backoff.next(least), 225ms);
  EXPECT_EQ(backoff.next(least), 225ms);
  backoff.reset();
  EXPECT_EQ(backoff.next(least), 75ms);
}

}  // namespace
}  // namespace provisioner
