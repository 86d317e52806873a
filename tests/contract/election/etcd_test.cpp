// What may befall an election in etcd: leases revoked, keys deleted, members killed, frozen, cut
// off and restored from a snapshot.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "base/text.hpp"
#include "election/etcd/etcd_election.hpp"
#include "tests/contract/election/campaign.hpp"
#include "tests/contract/election/places.hpp"
#include "tests/support/eventually.hpp"

namespace provisioner {
namespace {

using namespace std::chrono_literals;
using testing::Campaign;
using testing::EtcdPlace;
using ::testing::HasSubstr;
using testing::run_task;

class EtcdElections : public ::testing::Test {
 protected:
  template <typename T>
  T run(Task<T> task) {
    return run_task(place_->loop(), std::move(task));
  }
  BootInstant now() { return place_->clock().boot_now(); }
  void open(testing::EtcdCluster::Options options = {}) {
    place_ = std::make_unique<EtcdPlace>(options);
  }
  testing::EtcdCluster& etcd() { return place_->cluster(); }

  // Campaigns until it wins: an attempt may fail because nobody answered in time.
  bool win(Election& election, std::chrono::milliseconds patience = 40s) {
    const BootInstant end = now() + patience;
    while (now() < end) {
      if (run(election.campaign())) return true;
      place_->pass(100ms);
    }
    return false;
  }
  Result<BootInstant> renew(Election& election) {
    while (true) {
      auto renewed = run(election.renew());
      if (renewed || renewed.error().kind != ErrorKind::kUnavailable) return renewed;
    }
  }
  // The keys of the queue, oldest first.
  std::vector<std::string> queue() {
    std::vector<std::string> keys;
    const std::string out = etcd().etcdctl(
        {"get", "--prefix", "/provisioner/election/", "--keys-only", "--sort-by", "CREATE"});
    for (const auto line : split(out, '\n')) {
      if (!line.empty()) keys.emplace_back(line);
    }
    return keys;
  }
  static std::string lease_of(const std::string& key) { return key.substr(key.rfind('/') + 1); }

  std::unique_ptr<EtcdPlace> place_;
};

TEST_F(EtcdElections, ALeaseRevokedByHandEndsLeadership) {
  open();
  const auto leader = place_->candidate("here");
  ASSERT_TRUE(win(*leader));
  etcd().etcdctl({"lease", "revoke", lease_of(queue().at(0))});
  EXPECT_EQ(renew(*leader).error().kind, ErrorKind::kFenced);
  EXPECT_TRUE(win(*leader));
}

TEST_F(EtcdElections, AKeyDeletedByHandEndsLeadership) {
  open();
  const auto leader = place_->candidate("here");
  ASSERT_TRUE(win(*leader));
  etcd().etcdctl({"del", queue().at(0)});
  const auto renewed = renew(*leader);
  ASSERT_FALSE(renewed);
  EXPECT_EQ(renewed.error().kind, ErrorKind::kFenced);
  EXPECT_THAT(renewed.error().message, HasSubstr("our key is no longer in etcd"));
}

// The textbook's Campaign() returns as a winner here: nobody is before a key that is gone.
TEST_F(EtcdElections, ACandidateWhoseLeaseEndedWhileItQueuedIsNoWinner) {
  open();
  const auto leader = place_->candidate("here");
  ASSERT_TRUE(win(*leader));
  const auto second = place_->candidate("there");
  Campaign campaign(*place_, *second);
  ASSERT_TRUE(testing::turn_until(place_->loop(), [&] { return queue().size() == 2; }));
  etcd().etcdctl({"lease", "revoke", lease_of(queue().at(1))});
  run(leader->resign());
  ASSERT_TRUE(campaign.ends_within(20s));
  ASSERT_FALSE(campaign.won());
  EXPECT_EQ(campaign.won().error().kind, ErrorKind::kFenced);
  EXPECT_TRUE(win(*second)) << "with a new session";
}

TEST_F(EtcdElections, ACandidateThatSleptWhileItQueuedIsNoWinner) {
  open();
  const auto leader = place_->candidate("here");
  ASSERT_TRUE(win(*leader));
  const auto second = place_->candidate("there");
  Campaign campaign(*place_, *second);
  ASSERT_TRUE(testing::turn_until(place_->loop(), [&] { return queue().size() == 2; }));
  // As SIGSTOP would: its loop does not turn, its lease ends, and the leader goes.
  std::this_thread::sleep_for(EtcdPlace::kTiming.ttl + 2s);
  ASSERT_TRUE(testing::eventually(30s, [&] { return queue().empty(); }));
  ASSERT_TRUE(campaign.ends_within(20s));
  EXPECT_FALSE(campaign.won());
}

TEST_F(EtcdElections, ALeaderThatWasPausedIsLateAndKnowsIt) {
  open();
  const auto leader = place_->candidate("here");
  const auto second = place_->candidate("there");
  ASSERT_TRUE(win(*leader));
  std::this_thread::sleep_for(EtcdPlace::kTiming.ttl + 2s);
  EXPECT_TRUE(win(*second));
  EXPECT_EQ(renew(*leader).error().kind, ErrorKind::kFenced);
  EXPECT_TRUE(renew(*second)) << "giving up the old session harmed nobody";
}

TEST_F(EtcdElections, TheLossOfAMemberIsSurvivedWithoutANewElection) {
  open();
  const auto leader = place_->candidate("here");
  ASSERT_TRUE(win(*leader));
  const int not_leading = (etcd().leader() + 1) % etcd().size();
  etcd().kill(not_leading);
  for (int i = 0; i < 6; ++i) {
    place_->pass(leader->timing().renew);
    ASSERT_TRUE(renew(*leader));
  }
  etcd().start(not_leading);
}

// A frozen member takes connections and says nothing: each request leaves it in time for another.
TEST_F(EtcdElections, ASilentMemberCostsNoLeadership) {
  open();
  const auto leader = place_->candidate("here");
  ASSERT_TRUE(win(*leader));
  etcd().freeze((etcd().leader() + 1) % etcd().size());
  for (int i = 0; i < 6; ++i) {
    place_->pass(leader->timing().renew);
    ASSERT_TRUE(renew(*leader));
  }
}

TEST_F(EtcdElections, TheLossOfTheMemberThatLeadsEtcdLeavesOneLeaderAgain) {
  open();
  const auto leader = place_->candidate("here");
  ASSERT_TRUE(win(*leader));
  etcd().kill(etcd().leader());
  const auto second = place_->candidate("there");
  Campaign campaign(*place_, *second);
  const auto renewed = renew(*leader);
  // Whether etcd was back in time for the old lease or not: one of them leads, never both.
  if (renewed) {
    EXPECT_FALSE(campaign.ended());
    run(leader->resign());
  }
  EXPECT_TRUE(campaign.ends_within(30s));
  EXPECT_TRUE(campaign.won() || win(*second));
}

TEST_F(EtcdElections, WithoutAMajorityARenewalFailsInTimeAndTheOldDeadlineStands) {
  open();
  const auto leader = place_->candidate("here");
  ASSERT_TRUE(win(*leader));
  etcd().freeze(0);
  etcd().freeze(1);
  const BootInstant sent = now();
  const auto renewed = run(leader->renew());
  ASSERT_FALSE(renewed);
  EXPECT_EQ(renewed.error().kind, ErrorKind::kUnavailable);
  EXPECT_LT(now() - sent, leader->timing().ttl);
  etcd().thaw(0);
  etcd().thaw(1);
  EXPECT_TRUE(win(*leader));
}

// Revisions go back under the same cluster: whoever compared them would refuse every later winner.
TEST_F(EtcdElections, AnEtcdRestoredFromASnapshotKeepsNobodyFromLeading) {
  open();
  const auto snapshot = etcd().take_snapshot();
  const auto leader = place_->candidate("here");
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(win(*leader));
    run(leader->resign());
  }
  ASSERT_TRUE(win(*leader));
  etcd().restore(snapshot);
  EXPECT_EQ(renew(*leader).error().kind, ErrorKind::kFenced);
  const auto second = place_->candidate("there");
  ASSERT_TRUE(win(*second));
  run(second->resign());
  EXPECT_TRUE(win(*leader));
}

TEST_F(EtcdElections, ASnapshotWithAnOldKeyInItHoldsUpNobodyLongerThanItsLease) {
  open();
  const auto gone = place_->candidate("gone");
  ASSERT_TRUE(win(*gone));
  const auto snapshot = etcd().take_snapshot();
  run(gone->resign());
  const auto leader = place_->candidate("here");
  ASSERT_TRUE(win(*leader));
  etcd().restore(snapshot);
  EXPECT_EQ(queue().size(), 1u);
  EXPECT_TRUE(win(*leader));
}

TEST_F(EtcdElections, SpeaksTlsAndShowsItsCertificate) {
  open({.tls = true});
  const auto tls = http::TlsContext::make(http::TlsRole::kClient, etcd().client()).value();
  const auto leader = place_->etcd_candidate("here", {.endpoints = etcd().endpoints(), .tls = tls});
  ASSERT_TRUE(win(*leader));
  EXPECT_TRUE(renew(*leader));
  auto nobody = etcd().client();
  nobody.cert = nobody.key = "";
  const auto stranger = place_->etcd_candidate(
      "stranger", {.endpoints = etcd().endpoints(),
                   .tls = http::TlsContext::make(http::TlsRole::kClient, nobody).value()});
  EXPECT_FALSE(run(stranger->campaign()));
}

TEST_F(EtcdElections, LogsInAndDoesSoAgainWhereItsTokenIsForgotten) {
  open();
  etcd().demand_login("scheduler", "secret");
  EtcdSettings settings{.endpoints = etcd().endpoints(), .user = "scheduler", .password = "secret"};
  const auto leader = place_->etcd_candidate("here", settings);
  ASSERT_TRUE(win(*leader));
  ASSERT_TRUE(renew(*leader));
  // A member's tokens live in its memory.
  for (int i = 0; i < etcd().size(); ++i) {
    etcd().kill(i);
    etcd().start(i);
    EXPECT_TRUE(testing::eventually(30s, [&] { return renew(*leader) || win(*leader); }));
  }
  settings.password = "wrong";
  const auto refused = run(place_->etcd_candidate("there", settings)->campaign());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::kDenied);
  EXPECT_THAT(refused.error().message, HasSubstr("as scheduler"));
  EXPECT_THAT(refused.error().message, Not(HasSubstr("wrong")));
  settings.user = "";
  EXPECT_FALSE(run(place_->etcd_candidate("there", settings)->campaign()));
}

TEST_F(EtcdElections, SaysSoWhereTheJsonApiIsSwitchedOff) {
  open({.members = 1, .json_api = false});
  const auto refused = run(place_->candidate("here")->campaign());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::kInvalid);
  EXPECT_THAT(refused.error().message, HasSubstr("--enable-grpc-gateway=false"));
  EXPECT_THAT(refused.error().message, HasSubstr(etcd().urls()));
}

TEST_F(EtcdElections, SaysSoWhereNobodyListens) {
  open({.members = 1});
  etcd().kill(0);
  const auto refused = run(place_->candidate("here")->campaign());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::kUnavailable);
  EXPECT_THAT(refused.error().message, HasSubstr(etcd().urls()));
}

TEST_F(EtcdElections, KeepsToItsPrefixAndTheTimeThatEtcdGranted) {
  open({.members = 1});
  const auto ours = place_->etcd_candidate(
      "ours", {.endpoints = etcd().endpoints(), .prefix = "/provisioner/one"});
  const auto theirs = place_->etcd_candidate(
      "theirs", {.endpoints = etcd().endpoints(), .prefix = "/provisioner/one-more/"});
  EXPECT_TRUE(win(*ours));
  EXPECT_TRUE(win(*theirs));
  EXPECT_EQ(run(ours->observe())->leader, InstanceId("ours"));
  EXPECT_EQ(ours->timing().ttl, EtcdPlace::kTiming.ttl);
}

}  // namespace
}  // namespace provisioner
