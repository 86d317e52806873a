// What every implementation of Election promises (src/election/election.hpp).
#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>

#include "election/election.hpp"
#include "election/single.hpp"
#include "tests/support/run_task.hpp"
#include "tests/support/virtual_clock.hpp"

namespace provisioner {
namespace {

using namespace std::chrono_literals;
using testing::run_task;

struct ElectionMaker {
  const char* name;
  std::function<std::unique_ptr<Election>(Clock&)> make;
};
void PrintTo(const ElectionMaker& maker, std::ostream* out) { *out << maker.name; }

class ElectionContract : public ::testing::TestWithParam<ElectionMaker> {
 protected:
  boost::asio::io_context loop_;
  testing::SimulatedClock clock_{loop_, parse_rfc3339("2026-03-02T07:00:00Z").value()};
  std::unique_ptr<Election> election_ = GetParam().make(clock_);
};

TEST_P(ElectionContract, ALoneCandidateWinsWithAFiniteDeadlineCountedFromBeforeTheRequest) {
  const BootInstant sent = clock_.boot_now();
  const auto deadline = run_task(loop_, election_->campaign());
  ASSERT_TRUE(deadline);
  EXPECT_GT(*deadline, sent);
  EXPECT_LE(*deadline, sent + election_->timing().ttl - election_->timing().margin);
}

TEST_P(ElectionContract, RenewingMovesTheDeadline) {
  const auto first = run_task(loop_, election_->campaign());
  clock_.advance(election_->timing().renew);
  const auto second = run_task(loop_, election_->renew());
  ASSERT_TRUE(first && second);
  EXPECT_EQ(*second, *first + election_->timing().renew);
}

TEST_P(ElectionContract, WithoutASessionThereIsNothingToRenew) {
  EXPECT_EQ(run_task(loop_, election_->renew()).error().kind, ErrorKind::kFenced);
  ASSERT_TRUE(run_task(loop_, election_->campaign()));
  run_task(loop_, election_->resign());
  EXPECT_EQ(run_task(loop_, election_->renew()).error().kind, ErrorKind::kFenced);
  run_task(loop_, election_->resign());
}

TEST_P(ElectionContract, ASessionThatSleptThroughItsEndIsLost) {
  ASSERT_TRUE(run_task(loop_, election_->campaign()));
  clock_.advance(election_->timing().ttl);
  EXPECT_EQ(run_task(loop_, election_->renew()).error().kind, ErrorKind::kFenced);
  EXPECT_TRUE(run_task(loop_, election_->campaign()));
}

TEST_P(ElectionContract, ItsTimingSurvivesTwoLostRenewals) {
  EXPECT_TRUE(election_->timing().validate());
}

INSTANTIATE_TEST_SUITE_P(Elections, ElectionContract,
                         ::testing::Values(ElectionMaker{
                             "single",
                             [](Clock& clock) { return std::make_unique<SingleElection>(clock); }}),
                         [](const auto& info) { return info.param.name; });

TEST(ElectionTiming, ARefusalSaysWhatWouldFit) {
  const ElectionTiming hasty{.ttl = 2s, .renew = 1s};
  ASSERT_FALSE(hasty.validate());
  EXPECT_EQ(hasty.validate().error().message,
            "election: renewing every 1s leaves no room for two lost renewals in a ttl of 2s: the "
            "ttl must be at least 3s");
  EXPECT_FALSE((ElectionTiming{.ttl = 3s, .renew = 1s, .margin = 2s}).validate());
  EXPECT_TRUE(ElectionTiming{}.validate());
}

}  // namespace
}  // namespace provisioner
