// I1..I8 under faults: the product's own code over a simulated world, one seed after the other.
#include "tests/simulation/simulation.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <chrono>
#include <random>

#include "tests/simulation/scale.hpp"

namespace provisioner::simulation {
namespace {

// What seeds must have been through on average for their peace to mean something.
class Worth {
 public:
  void add(const SeedReport& report) {
    ++seeds_;
    faults_ += report.figures.faults;
    in_flight_ += report.figures.in_flight;
    runs_ += report.figures.runs;
  }
  void expect() const {
    EXPECT_GE(faults_, 10 * seeds_) << seeds_ << " seeds";
    EXPECT_GE(in_flight_, 5 * seeds_) << seeds_ << " seeds";
    EXPECT_GE(runs_, 10 * seeds_) << seeds_ << " seeds";
  }
  std::int64_t seeds() const { return seeds_; }

 private:
  std::int64_t seeds_ = 0, faults_ = 0, in_flight_ = 0, runs_ = 0;
};

class FixedSeeds : public ::testing::TestWithParam<int> {};

TEST_P(FixedSeeds, KeepEveryPromise) {
  const auto first = static_cast<std::uint64_t>(GetParam());
  Worth worth;
  for (std::uint64_t seed = first; seed < first + scaled(kSeedsPerCase); ++seed) {
    const SeedReport report = simulate(seed);
    EXPECT_FALSE(report.violation)
        << sentence_of(report) << "\nreplay it: tools/simulate --history --seed " << seed;
    worth.add(report);
  }
  worth.expect();
}

INSTANTIATE_TEST_SUITE_P(Simulation, FixedSeeds, ::testing::Values(1000, 2000, 3000, 4000));

TEST(FreshSeeds, KeepEveryPromise) {
  const auto end = std::chrono::steady_clock::now() + kFreshSeedsFor;
  constexpr std::int64_t kEnoughForAnAverage = 5;
  std::uint64_t seed = std::random_device()();
  Worth worth;
  do {
    const SeedReport report = simulate(seed);
    EXPECT_FALSE(report.violation)
        << sentence_of(report) << "\nreplay it: tools/simulate --history --seed " << seed;
    worth.add(report);
    ++seed;
  } while (!HasFailure() &&
           (std::chrono::steady_clock::now() < end || worth.seeds() < kEnoughForAnAverage));
  if (!HasFailure()) worth.expect();
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
