// I1..I8 under faults: the product's own code over a simulated world, one seed after the other.
#include "tests/simulation/simulation.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <chrono>
#include <random>

#include "tests/simulation/scale.hpp"

namespace provisioner::simulation {
namespace {

// What a seed must have been through for its peace to mean something.
void expect_worth(const SeedReport& report) {
  EXPECT_GE(report.figures.faults, 10) << sentence_of(report);
  EXPECT_GE(report.figures.in_flight, 5) << sentence_of(report);
  EXPECT_GE(report.figures.runs, 10) << sentence_of(report);
}

class FixedSeeds : public ::testing::TestWithParam<int> {};

TEST_P(FixedSeeds, KeepEveryPromise) {
  const auto first = static_cast<std::uint64_t>(GetParam());
  for (std::uint64_t seed = first; seed < first + scaled(kSeedsPerCase); ++seed) {
    const SeedReport report = simulate(seed);
    EXPECT_FALSE(report.violation)
        << sentence_of(report) << "\nreplay it: tools/simulate --history --seed " << seed;
    expect_worth(report);
  }
}

INSTANTIATE_TEST_SUITE_P(Simulation, FixedSeeds, ::testing::Values(1000, 2000, 3000, 4000));

TEST(FreshSeeds, KeepEveryPromise) {
  const auto end = std::chrono::steady_clock::now() + kFreshSeedsFor;
  std::uint64_t seed = std::random_device()();
  do {
    const SeedReport report = simulate(seed);
    EXPECT_FALSE(report.violation)
        << sentence_of(report) << "\nreplay it: tools/simulate --history --seed " << seed;
    expect_worth(report);
    ++seed;
  } while (std::chrono::steady_clock::now() < end && !HasFailure());
}

TEST(ASeed, RepeatsItsHistoryExactly) {
  for (const std::uint64_t seed : {5U, 6U}) {
    const SeedReport first = simulate(seed);
    const SeedReport second = simulate(seed);
    EXPECT_EQ(first.trace, second.trace);
    EXPECT_EQ(first.events, second.events);
    EXPECT_EQ(first.faults, second.faults);
  }
  EXPECT_NE(simulate(5).trace, simulate(6).trace);
}

}  // namespace
}  // namespace provisioner::simulation
