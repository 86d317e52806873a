// The simulator earns its trust: each wrong design of docs/simulation.md, put into the product or
// into the world around it, is found within a bounded number of seeds.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/simulation/mutation.hpp"
#include "tests/simulation/scale.hpp"
#include "tests/simulation/simulation.hpp"

namespace provisioner::simulation {
namespace {

constexpr std::uint64_t kSeeds = 1200;

class Mutated : public ::testing::TestWithParam<NamedMutation> {
 protected:
  ~Mutated() override { active_mutation = Mutation::kNone; }
};

TEST_P(Mutated, IsFound) {
  active_mutation = GetParam().mutation;
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    const SeedReport report = simulate(seed);
    if (!report.violation) continue;
    fmt::print("found: {}\n", sentence_of(report));
    return;
  }
  FAIL() << kSeeds << " seeds did not notice " << GetParam().name;
}

INSTANTIATE_TEST_SUITE_P(WrongDesign, Mutated, ::testing::ValuesIn(kMutations),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(Unmutated, TheCopiesDoWhatTheOriginalsDo) {
  for (std::uint64_t seed = 1; seed <= scaled(6); ++seed) {
    const SeedReport report = simulate(seed);
    EXPECT_FALSE(report.violation) << sentence_of(report);
  }
}

}  // namespace
}  // namespace provisioner::simulation
