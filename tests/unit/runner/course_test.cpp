#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>

#include "runner/stop.hpp"

namespace provisioner::runner {
namespace {

using namespace std::chrono_literals;

constexpr BootInstant at(Duration since_start) { return BootInstant(since_start); }

class CourseTest : public ::testing::Test {
 protected:
  CourseTest() {
    course_.begin(at(60s), {});
    course_.grant(at(0s), {150s, 2s, 40s});
  }
  boost::asio::io_context loop_;
  Course course_{loop_.get_executor()};
};

// I6: the lease counts from the moment the acknowledged request was sent.
TEST_F(CourseTest, CountsTheLeaseFromTheSendOfTheAcknowledgedRequest) {
  EXPECT_EQ(course_.deadline(), at(148s));
  EXPECT_EQ(course_.stop_at(), at(108s)) << "so that everything has stopped by the deadline";
  EXPECT_EQ(course_.renew(at(10s)), at(158s));
}

TEST_F(CourseTest, IsNotMovedBackByALateAnswer) {
  course_.renew(at(20s));
  EXPECT_EQ(course_.renew(at(10s)), at(168s));
}

TEST_F(CourseTest, KeepsTheFirstCauseExceptThatAFenceOverridesIt) {
  course_.stop(StopCause::kCancelled, at(5s));
  course_.stop(StopCause::kTimedOut, at(6s));
  EXPECT_EQ(course_.cause(), StopCause::kCancelled);
  EXPECT_EQ(course_.kill_at(), at(45s));
  course_.stop(StopCause::kFenced, at(7s));
  EXPECT_TRUE(course_.fenced());
  EXPECT_EQ(course_.kill_at(), at(45s)) << "the child was interrupted once, at 5 s";
}

TEST_F(CourseTest, KillsBeforeTheLeaseEnds) {
  course_.stop(StopCause::kCancelled, at(130s));
  EXPECT_EQ(course_.kill_at(), at(148s));
}

TEST_F(CourseTest, HoldsTofusRequestsUntilItHasToStopAndThenForAShortTime) {
  EXPECT_EQ(course_.patience_ends(), course_.stop_at());
  course_.stop(StopCause::kCancelled, at(20s));
  EXPECT_EQ(course_.patience_ends(), at(30s));
  course_.stop(StopCause::kFenced, at(21s));
  EXPECT_LE(course_.patience_ends(), at(21s));
}

TEST_F(CourseTest, TellsItsListenersOnce) {
  int told = 0;
  course_.on_stop([&] { ++told; });
  course_.stop(StopCause::kCancelled, at(1s));
  course_.stop(StopCause::kFenced, at(2s));
  EXPECT_EQ(told, 1);
}

}  // namespace
}  // namespace provisioner::runner
