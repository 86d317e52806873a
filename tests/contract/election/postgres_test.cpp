// What may befall an election in PostgreSQL: clocks that are wrong, rows changed by hand, sessions
// ended, servers stopped.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <thread>

#include "election/postgres/postgres_election.hpp"
#include "tests/contract/election/campaign.hpp"
#include "tests/contract/election/places.hpp"

namespace provisioner {
namespace {

using namespace std::chrono_literals;
using testing::Campaign;
using testing::PostgresPlace;
using testing::PostgresServer;
using testing::run_task;

class PostgresElections : public ::testing::Test {
 protected:
  template <typename T>
  T run(Task<T> task) {
    return run_task(place_.loop(), std::move(task));
  }
  BootInstant now() { return place_.clock().boot_now(); }
  bool win(Election& election, std::chrono::milliseconds patience = 40s) {
    const BootInstant end = now() + patience;
    while (now() < end) {
      if (run(election.campaign())) return true;
      place_.pass(100ms);
    }
    return false;
  }
  Result<BootInstant> renew(Election& election) {
    while (true) {
      auto renewed = run(election.renew());
      if (renewed || renewed.error().kind != ErrorKind::kUnavailable) return renewed;
    }
  }

  PostgresPlace place_;
};

// A promoted host that is ahead, or a step of the clock, must not end a live lease.
TEST_F(PostgresElections, TheServersClockEndsNobodysLease) {
  const auto leader = place_.candidate("here");
  ASSERT_TRUE(win(*leader));
  const auto second = place_.candidate("there");
  Campaign campaign(place_, *second);
  for (int i = 0; i < 10; ++i) {
    place_.execute("UPDATE leader_election SET lease_expiry = lease_expiry - interval '1 hour'");
    place_.pass(leader->timing().renew);
    ASSERT_TRUE(renew(*leader));
  }
  EXPECT_FALSE(campaign.ended());
}

TEST_F(PostgresElections, AnExpiryFarInTheFutureKeepsNobodyFromLeading) {
  ASSERT_TRUE(win(*place_.candidate("gone")));  // it dies with the statement, and resigns nothing
  place_.execute(
      "UPDATE leader_election SET lease_expiry = lease_expiry + interval '1 hour', updated_at = "
      "updated_at + interval '1 hour'");
  EXPECT_TRUE(win(*place_.candidate("here")));
}

TEST_F(PostgresElections, ARowDeletedOrTakenByHandEndsLeadership) {
  const auto leader = place_.candidate("here");
  for (const char* sql : {"DELETE FROM leader_election WHERE id = 'election'",
                          "UPDATE leader_election SET claim_id = 'x' WHERE id = 'election'"}) {
    ASSERT_TRUE(win(*leader));
    place_.execute(sql);
    EXPECT_EQ(renew(*leader).error().kind, ErrorKind::kFenced);
  }
}

TEST_F(PostgresElections, ALeaderThatWasPausedIsLateAndKnowsIt) {
  const auto leader = place_.candidate("here");
  const auto second = place_.candidate("there");
  ASSERT_TRUE(win(*leader));
  std::this_thread::sleep_for(PostgresPlace::kTiming.ttl);
  EXPECT_TRUE(win(*second));
  EXPECT_EQ(renew(*leader).error().kind, ErrorKind::kFenced);
  run(leader->resign());
  EXPECT_TRUE(renew(*second)) << "giving up the old session harmed nobody";
}

TEST_F(PostgresElections, ConnectionsThatAreEndedCostNoLeadership) {
  const auto leader = place_.candidate("here");
  const auto second = place_.candidate("there");
  ASSERT_TRUE(win(*leader));
  Campaign campaign(place_, *second);
  for (int i = 0; i < 6; ++i) {
    place_.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = "
        "current_database() AND pid <> pg_backend_pid()");
    place_.pass(leader->timing().renew);
    ASSERT_TRUE(renew(*leader));
  }
  EXPECT_FALSE(campaign.ended() && campaign.won());
}

TEST_F(PostgresElections, TheTermIsAnotherRow) {
  ASSERT_TRUE(win(*place_.candidate("here")));
  EXPECT_EQ(place_.execute("SELECT id FROM leader_election"), std::vector<std::string>{"election"});
}

}  // namespace
}  // namespace provisioner
