#include "server/rate_limit.hpp"

#include <gtest/gtest.h>

namespace provisioner::server {
namespace {

using namespace std::chrono_literals;

TEST(RateLimit, AllowsABurstAndThenItsRate) {
  RateLimit limit({.per_second = 2, .burst = 3});
  const BootInstant start{};
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(limit.take("a", start)) << i;
  EXPECT_FALSE(limit.take("a", start));
  EXPECT_FALSE(limit.take("a", start + 400ms));
  EXPECT_TRUE(limit.take("a", start + 500ms));
  EXPECT_FALSE(limit.take("a", start + 500ms));
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(limit.take("a", start + 1h)) << "no more than the burst";
  EXPECT_FALSE(limit.take("a", start + 1h));
}

TEST(RateLimit, OneDoesNotPayForAnother) {
  RateLimit limit({.per_second = 1, .burst = 1});
  const BootInstant now{};
  EXPECT_TRUE(limit.take("a", now));
  EXPECT_FALSE(limit.has("a", now));
  EXPECT_TRUE(limit.has("b", now));
  EXPECT_TRUE(limit.take("b", now));
  EXPECT_TRUE(limit.has("a", now + 1s));
}

TEST(RateLimit, InventedKeysAreNoWayAround) {
  RateLimit limit({.per_second = 1, .burst = 1});
  const BootInstant now{};
  int allowed = 0;
  for (std::size_t i = 0; i < 3 * RateLimit::kMostKeys; ++i) {
    if (limit.take(std::to_string(i), now)) ++allowed;
  }
  EXPECT_LE(allowed, static_cast<int>(RateLimit::kMostKeys) + 1);
  EXPECT_FALSE(limit.has("one more", now));
  EXPECT_TRUE(limit.take("one more", now + 2s)) << "the others are forgotten by then";
}

}  // namespace
}  // namespace provisioner::server
