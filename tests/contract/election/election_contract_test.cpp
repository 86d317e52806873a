// What every implementation of Election promises (src/election/election.hpp).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <list>
#include <set>
#include <vector>

#include "tests/contract/election/campaign.hpp"
#include "tests/contract/election/places.hpp"

namespace provisioner {
namespace {

using namespace std::chrono_literals;
using testing::Campaign;
using testing::Place;
using testing::run_task;
using testing::turn_until;

struct PlaceMaker {
  const char* name;
  std::function<std::unique_ptr<Place>()> make;
};
void PrintTo(const PlaceMaker& maker, std::ostream* out) { *out << maker.name; }

class ElectionContract : public ::testing::TestWithParam<PlaceMaker> {
 protected:
  BootInstant now() { return place_->clock().boot_now(); }
  template <typename T>
  T run(Task<T> task) {
    return run_task(place_->loop(), std::move(task));
  }

  // On a busy machine a request may find nobody in time: that is no verdict.
  Result<BootInstant> renew(Election& election) {
    while (true) {
      auto renewed = run(election.renew());
      if (renewed || renewed.error().kind != ErrorKind::kUnavailable) return renewed;
    }
  }

  std::unique_ptr<Place> place_ = GetParam().make();
  std::unique_ptr<Election> election_ = place_->candidate("here");
};

TEST_P(ElectionContract, ALoneCandidateWinsWithAFiniteDeadlineCountedFromBeforeTheRequest) {
  const BootInstant begun = now();
  const auto deadline = run(election_->campaign());
  ASSERT_TRUE(deadline) << deadline.error().message;
  EXPECT_GT(*deadline, begun);
  EXPECT_LE(*deadline, now() + election_->timing().ttl - election_->timing().margin);
}

TEST_P(ElectionContract, RenewingMovesTheDeadlineWhichIsCountedFromBeforeTheRequest) {
  const auto first = run(election_->campaign());
  place_->pass(election_->timing().renew);
  const BootInstant sent = now();
  const auto second = renew(*election_);
  ASSERT_TRUE(first && second);
  EXPECT_GT(*second, *first);
  EXPECT_GE(*second, sent + election_->timing().ttl - election_->timing().margin);
  EXPECT_LE(*second, now() + election_->timing().ttl - election_->timing().margin);
}

TEST_P(ElectionContract, WithoutASessionThereIsNothingToRenew) {
  EXPECT_EQ(renew(*election_).error().kind, ErrorKind::kFenced);
  ASSERT_TRUE(run(election_->campaign()));
  run(election_->resign());
  EXPECT_EQ(renew(*election_).error().kind, ErrorKind::kFenced);
  run(election_->resign());
}

TEST_P(ElectionContract, ASessionThatSleptThroughItsEndIsLost) {
  ASSERT_TRUE(run(election_->campaign()));
  place_->pass(election_->timing().ttl);
  EXPECT_EQ(renew(*election_).error().kind, ErrorKind::kFenced);
  EXPECT_TRUE(run(election_->campaign()));
}

TEST_P(ElectionContract, ItsTimingSurvivesTwoLostRenewals) {
  EXPECT_TRUE(election_->timing().validate());
}

TEST_P(ElectionContract, SaysWhoLeadsAndForHowLong) {
  EXPECT_EQ(run(election_->observe())->leader, InstanceId(""));
  ASSERT_TRUE(run(election_->campaign()));
  const auto view = run(election_->observe());
  ASSERT_TRUE(view) << view.error().message;
  EXPECT_EQ(view->leader, InstanceId("here"));
  ASSERT_TRUE(view->lease_left);
  EXPECT_LE(*view->lease_left, election_->timing().ttl);
  run(election_->resign());
  EXPECT_EQ(run(election_->observe())->leader, InstanceId(""));
}

TEST_P(ElectionContract, DoesNotReleaseByATokenThatIsNone) {
  for (const char* token : {"", "nonsense", "etcd", "postgres x"}) {
    EXPECT_EQ(run(election_->release(token)).error().kind, ErrorKind::kInvalid) << token;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Elections, ElectionContract,
    ::testing::Values(PlaceMaker{"single", [] { return std::make_unique<testing::SinglePlace>(); }},
                      PlaceMaker{"etcd", [] { return std::make_unique<testing::EtcdPlace>(); }},
                      PlaceMaker{"postgres",
                                 [] { return std::make_unique<testing::PostgresPlace>(); }}),
    [](const auto& info) { return info.param.name; });

// What the elections of several instances promise beyond that.
class SharedElection : public ElectionContract {};

TEST_P(SharedElection, ASecondCandidateWinsOnlyWhenTheFirstResigns) {
  ASSERT_TRUE(run(election_->campaign()));
  const auto second = place_->candidate("there");
  Campaign campaign(*place_, *second);
  for (int i = 0; i < 12; ++i) {
    place_->pass(election_->timing().renew);
    ASSERT_TRUE(renew(*election_));
  }
  EXPECT_FALSE(campaign.ended());
  EXPECT_EQ(run(second->observe())->leader, InstanceId("here"));
  run(election_->resign());
  EXPECT_TRUE(campaign.ends_within(30s) && campaign.won());
  EXPECT_EQ(run(election_->observe())->leader, InstanceId("there"));
}

// The other one is not there any more: nothing renews its session.
TEST_P(SharedElection, ASilentWinnerIsSucceededAfterItsDeadlineAndNeverBefore) {
  const auto deadline = run(election_->campaign());
  ASSERT_TRUE(deadline);
  const auto second = place_->candidate("there");
  Campaign campaign(*place_, *second);
  ASSERT_TRUE(campaign.ends_within(30s) && campaign.won());
  EXPECT_GE(now(), *deadline);
  EXPECT_EQ(renew(*election_).error().kind, ErrorKind::kFenced);
}

TEST_P(SharedElection, OneOfManyWinsAndTheNextOnesFollow) {
  std::vector<std::unique_ptr<Election>> elections;
  std::list<Campaign> campaigns;
  for (int i = 0; i < 4; ++i) {
    elections.push_back(place_->candidate("candidate-" + std::to_string(i)));
    campaigns.emplace_back(*place_, *elections.back());
  }
  std::set<std::size_t> were;
  for (std::size_t round = 0; round < 4; ++round) {
    std::size_t winner = 9;
    ASSERT_TRUE(turn_until(place_->loop(), [&] {
      std::size_t i = 0;
      for (auto& campaign : campaigns) {
        if (campaign.ended() && !were.contains(i)) winner = i;
        ++i;
      }
      return winner != 9;
    }));
    EXPECT_EQ(std::ranges::count_if(campaigns, [](const auto& c) { return c.ended(); }),
              static_cast<std::ptrdiff_t>(round + 1))
        << "one at a time";
    ASSERT_TRUE(renew(*elections[winner]));
    were.insert(winner);
    run(elections[winner]->resign());
  }
}

// A parent saw the end of its daemon: others need not wait for the lease's end.
TEST_P(SharedElection, AReleaseTokenFreesTheSeatOfTheDead) {
  std::string token;
  election_->on_release_token([&](const std::string& t) { token = t; });
  const auto deadline = run(election_->campaign());
  ASSERT_TRUE(deadline);
  ASSERT_NE(token, "");
  EXPECT_EQ(token.find('\n'), std::string::npos);
  const auto second = place_->candidate("there");
  Campaign campaign(*place_, *second);
  const auto parent = place_->candidate("parent");
  const auto released = run(parent->release(token));
  ASSERT_TRUE(released) << released.error().message;
  EXPECT_TRUE(campaign.ends_within(30s) && campaign.won());
  EXPECT_LT(now(), *deadline);
  EXPECT_FALSE(run(election_->renew()));
  EXPECT_TRUE(run(parent->release(token))) << "again: harmless";
  EXPECT_TRUE(renew(*second)) << "the seat of another is not touched";
}

TEST_P(SharedElection, AfterAResignationThereIsNothingToRelease) {
  std::string token = "unset";
  election_->on_release_token([&](const std::string& t) { token = t; });
  ASSERT_TRUE(run(election_->campaign()));
  const std::string old = token;
  run(election_->resign());
  EXPECT_EQ(token, "");
  ASSERT_TRUE(run(election_->campaign()));
  EXPECT_NE(token, old);
  EXPECT_TRUE(run(place_->candidate("parent")->release(old)));
  EXPECT_TRUE(renew(*election_)) << "an old token frees nothing";
}

TEST_P(SharedElection, ACancelledCampaignIsInNobodysWay) {
  ASSERT_TRUE(run(election_->campaign()));
  const auto second = place_->candidate("there");
  {
    Campaign campaign(*place_, *second);
    place_->pass(500ms);
    EXPECT_FALSE(campaign.ended());
  }
  run(second->resign());
  run(election_->resign());
  const BootInstant begun = now();
  ASSERT_TRUE(run(place_->candidate("third")->campaign()));
  EXPECT_LT(now() - begun, election_->timing().ttl);
}

INSTANTIATE_TEST_SUITE_P(
    Elections, SharedElection,
    ::testing::Values(PlaceMaker{"etcd", [] { return std::make_unique<testing::EtcdPlace>(); }},
                      PlaceMaker{"postgres",
                                 [] { return std::make_unique<testing::PostgresPlace>(); }}),
    [](const auto& info) { return info.param.name; });

TEST(ElectionTiming, ARefusalSaysWhatWouldFit) {
  const ElectionTiming hasty{.ttl = 2s, .renew = 1s};
  ASSERT_FALSE(hasty.validate());
  EXPECT_EQ(hasty.validate().error().message,
            "election: renewing every 1s leaves no room for two lost renewals in a ttl of 2s: the "
            "ttl must be at least 3s");
  EXPECT_FALSE((ElectionTiming{.ttl = 3s, .renew = 1s, .margin = 2s}).validate());
  EXPECT_FALSE((ElectionTiming{.ttl = 5s, .renew = 1s, .request = 2s}).validate());
  EXPECT_TRUE(ElectionTiming{}.validate());
}

}  // namespace
}  // namespace provisioner
