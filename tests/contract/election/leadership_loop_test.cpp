// I2, I6: from a won election to a term, and out of it again, over the real embedded store.
#include "election/leadership_loop.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include "election/single.hpp"
#include "store/sqlite/sqlite_store.hpp"
#include "tests/support/run_task.hpp"
#include "tests/support/temp_directory.hpp"
#include "tests/support/virtual_clock.hpp"

namespace provisioner {
namespace {

using namespace std::chrono_literals;
using testing::run_task;
using testing::turn_until;

class Silence final : public LogSink {
 public:
  void write(const LogEvent&) override {}
};

// The single election with what a network may do to it.
class TroubledElection final : public Election {
 public:
  explicit TroubledElection(Clock& clock) : inner_(clock, InstanceId("here")), clock_(clock) {}

  Task<Result<BootInstant>> campaign() override {
    ++campaigns;
    co_return co_await inner_.campaign();
  }
  Task<Result<BootInstant>> renew() override {
    if (before_renew) co_await std::exchange(before_renew, nullptr)();
    if (unreachable) co_return fail(ErrorKind::kUnavailable, "no route to the election");
    const auto deadline = co_await inner_.renew();
    if (slow_by > 0s) co_await stall();
    co_return deadline;
  }
  Task<> resign() override { co_await inner_.resign(); }
  Task<Result<ElectionView>> observe() override { co_return co_await inner_.observe(); }
  Task<Status> release(std::string token) override { co_return co_await inner_.release(token); }
  ElectionTiming timing() const override { return inner_.timing(); }
  std::string describe() const override { return "troubled"; }

  int campaigns = 0;
  bool unreachable = false;
  Duration slow_by{0};
  std::function<Task<>()> before_renew;

 private:
  Task<> stall() {
    static_cast<testing::SimulatedClock&>(clock_).advance(std::exchange(slow_by, Duration(0)));
    co_return;
  }

  SingleElection inner_;
  Clock& clock_;
};

class Leading : public ::testing::Test {
 protected:
  Leading() {
    auto store = open_sqlite_store(loop_.get_executor(), directory_ / "provisioner.db");
    if (!store) throw std::runtime_error(store.error().message);
    store_ = std::move(*store);
  }
  ~Leading() override {
    if (leadership_) stop();
  }

  void start() {
    leadership_ = std::make_unique<LeadershipLoop>(
        loop_.get_executor(), election_, *store_, clock_, random_, InstanceId("here"),
        Logger(std::make_shared<Silence>(), clock_, "election"));
    leadership_->on_change([this] { ++changes_; });
    running_ = true;
    boost::asio::co_spawn(loop_, leadership_->run(), [this](std::exception_ptr error) {
      running_ = false;
      if (error) std::rethrow_exception(error);
    });
  }
  void stop() {
    leadership_->stop();
    EXPECT_TRUE(turn_until(loop_, [&] { return !running_; }));
    leadership_.reset();
  }
  bool leads() const { return leadership_->fence().has_value(); }
  // Waits for the leader to be asleep between two renewals.
  bool quiet() {
    return turn_until(loop_, [&] { return clock_.sleepers() > 0; });
  }
  Leadership row() { return run_task(loop_, store_->leadership()).value(); }
  LeaderFence usurp() {
    const auto seen = row();
    return run_task(loop_, store_->claim_term(seen.fence, random_.claim_id(), InstanceId("there"),
                                              clock_.now()))
        ->fence;
  }
  Result<WonTerm> claim() {
    return run_task(loop_, claim_term(election_, *store_, clock_, random_, InstanceId("here")));
  }

  testing::TempDirectory directory_;
  boost::asio::io_context loop_;
  testing::SimulatedClock clock_{loop_, parse_rfc3339("2026-03-02T07:00:00Z").value()};
  SeededRandom random_{1};
  TroubledElection election_{clock_};
  std::unique_ptr<Store> store_;
  std::unique_ptr<LeadershipLoop> leadership_;
  bool running_ = false;
  int changes_ = 0;
};

TEST_F(Leading, AWinnerClaimsATermAndHandsItBackWhenItStops) {
  start();
  ASSERT_TRUE(turn_until(loop_, [&] { return leads(); }));
  EXPECT_EQ(leadership_->fence(), row().fence);
  EXPECT_EQ(row().leader, InstanceId("here"));
  EXPECT_EQ(row().fence.term, Term(1));
  EXPECT_EQ(changes_, 1);
  stop();
  EXPECT_EQ(row().leader, InstanceId(""));
  EXPECT_EQ(row().fence.term, Term(1));
  EXPECT_EQ(changes_, 2);
}

TEST_F(Leading, RenewalsKeepTheTerm) {
  start();
  ASSERT_TRUE(turn_until(loop_, [&] { return leads(); }));
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(quiet());
    clock_.advance(election_.timing().renew);
    loop_.restart();
    loop_.poll();
    ASSERT_TRUE(leads());
  }
  EXPECT_EQ(row().fence.term, Term(1));
  EXPECT_EQ(election_.campaigns, 1);
}

// A pause longer than the lease (SIGSTOP, a suspended laptop).
TEST_F(Leading, AfterItsDeadlineTheFenceIsGoneAtOnceAndANewTermFollows) {
  start();
  ASSERT_TRUE(turn_until(loop_, [&] { return leads(); }));
  ASSERT_TRUE(quiet());
  clock_.advance(election_.timing().ttl);
  EXPECT_FALSE(leads());  // before anybody had the chance to notice
  ASSERT_TRUE(turn_until(loop_, [&] {
    clock_.advance(10ms);
    return leads();
  }));
  EXPECT_EQ(row().fence.term, Term(2));
}

TEST_F(Leading, AnElectionOutOfReachIsToleratedUntilTheDeadline) {
  start();
  ASSERT_TRUE(turn_until(loop_, [&] { return leads(); }));
  ASSERT_TRUE(quiet());
  election_.unreachable = true;
  clock_.advance(election_.timing().renew);
  loop_.restart();
  loop_.poll();
  ASSERT_TRUE(quiet());
  EXPECT_TRUE(leads());
  election_.unreachable = false;
  clock_.advance(election_.timing().renew);
  ASSERT_TRUE(quiet());
  EXPECT_EQ(row().fence.term, Term(1));
}

TEST_F(Leading, ATermThatSomebodyElseClaimedEndsOurs) {
  start();
  ASSERT_TRUE(turn_until(loop_, [&] { return leads(); }));
  ASSERT_TRUE(quiet());
  EXPECT_EQ(usurp().term, Term(2));
  clock_.advance(election_.timing().renew);
  ASSERT_TRUE(turn_until(loop_, [&] { return !leads(); }));
  ASSERT_TRUE(turn_until(loop_, [&] {
    clock_.advance(10ms);
    return leads();
  }));
  EXPECT_EQ(row().fence.term, Term(3));
  EXPECT_EQ(election_.campaigns, 2);
}

// A stale winner can only lose the compare-and-set: somebody claimed between its reading and its
// claim.
TEST_F(Leading, AClaimOnAStaleReadingLosesAndStartsOverWithANewOne) {
  ASSERT_TRUE(run_task(loop_, election_.campaign()));
  LeaderFence theirs;
  election_.before_renew = [&]() -> Task<> {
    const auto seen = co_await store_->leadership();
    theirs = (co_await store_->claim_term(seen->fence, random_.claim_id(), InstanceId("there"),
                                          clock_.now()))
                 ->fence;
  };
  const auto won = claim();
  ASSERT_TRUE(won);
  EXPECT_EQ(theirs.term, Term(1));
  EXPECT_EQ(won->fence.term, Term(2));
  EXPECT_EQ(row().fence, won->fence);
}

TEST_F(Leading, AProofThatCameTooLateIsNoTerm) {
  ASSERT_TRUE(run_task(loop_, election_.campaign()));
  election_.slow_by = election_.timing().ttl;
  const auto won = claim();
  ASSERT_FALSE(won);
  EXPECT_EQ(won.error().kind, ErrorKind::kTimeout);
}

TEST_F(Leading, WithoutASessionNoTermIsClaimed) {
  const auto won = claim();
  ASSERT_FALSE(won);
  EXPECT_EQ(won.error().kind, ErrorKind::kFenced);
  EXPECT_EQ(row().fence.term, Term(0));
}

TEST_F(Leading, AskedToHandOverItResignsAndLetsTheOtherGoFirst) {
  start();
  ASSERT_TRUE(turn_until(loop_, [&] { return leads(); }));
  ASSERT_TRUE(quiet());
  ASSERT_TRUE(run_task(loop_, store_->request_transfer("wish", InstanceId("there"), clock_.now())));
  ASSERT_TRUE(turn_until(loop_, [&] { return !leads(); }));
  ASSERT_TRUE(turn_until(loop_, [&] { return row().leader.empty(); }));
  const LeaderFence theirs = usurp();
  ASSERT_TRUE(turn_until(loop_, [&] {
    clock_.advance(10ms);
    return leads();
  })) << "the next term ends the wish";
  EXPECT_EQ(row().fence.term, theirs.term.next());
}

TEST_F(Leading, WhenTheOtherDoesNotComeItLeadsAgainAfterATtl) {
  start();
  ASSERT_TRUE(turn_until(loop_, [&] { return leads(); }));
  ASSERT_TRUE(quiet());
  const BootInstant asked = clock_.boot_now();
  ASSERT_TRUE(run_task(loop_, store_->request_transfer("wish", InstanceId("there"), clock_.now())));
  ASSERT_TRUE(turn_until(loop_, [&] { return !leads(); }));
  ASSERT_TRUE(turn_until(loop_, [&] {
    clock_.advance(100ms);
    return leads();
  }));
  EXPECT_GE(clock_.boot_now() - asked, election_.timing().ttl);
  EXPECT_EQ(row().fence.term, Term(2));
}

TEST_F(Leading, AWishThatMeansThisInstanceDoesNotHoldItBack) {
  usurp();
  ASSERT_TRUE(run_task(loop_, store_->request_transfer("wish", InstanceId("here"), clock_.now())));
  start();
  ASSERT_TRUE(turn_until(loop_, [&] { return leads(); }));
}

TEST_F(Leading, WhoStandsAsideNeitherLeadsNorCampaigns) {
  start();
  ASSERT_TRUE(turn_until(loop_, [&] { return leads(); }));
  leadership_->stand_aside(true);
  ASSERT_TRUE(turn_until(loop_, [&] { return row().leader.empty(); }));
  const int campaigns = election_.campaigns;
  for (int i = 0; i < 50; ++i) {
    clock_.advance(election_.timing().ttl);
    loop_.restart();
    loop_.poll();
  }
  EXPECT_FALSE(leads());
  EXPECT_EQ(election_.campaigns, campaigns);
  leadership_->stand_aside(false);
  ASSERT_TRUE(turn_until(loop_, [&] { return leads(); }));
}

TEST_F(Leading, WhoLedWhenIsRecorded) {
  start();
  ASSERT_TRUE(turn_until(loop_, [&] { return leads(); }));
  stop();
  const auto events =
      run_task(loop_, store_->audit_events({.action_prefix = "cluster.", .limit = 10})).value();
  ASSERT_EQ(events.size(), 2u);
  EXPECT_EQ(events[0].action, "cluster.stopped_leading");
  EXPECT_EQ(events[1].action, "cluster.leading");
  EXPECT_EQ(events[1].actor, "instance here");
  EXPECT_EQ(events[1].target, "term 1");
}

}  // namespace
}  // namespace provisioner
