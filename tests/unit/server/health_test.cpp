#include "server/health.hpp"

#include <gmock/gmock.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <nlohmann/json.hpp>

#include "runtime/signal.hpp"
#include "server/probes.hpp"
#include "tests/support/virtual_clock.hpp"

namespace provisioner::server {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

const BootInstant kNow{1000s};
const Instant kWall = *parse_rfc3339("2026-11-23T08:00:00Z");

HealthCheck judged(const Observation& seen, Health when_failing = Health::kUnhealthy) {
  return judge("store", seen, when_failing, kNow);
}

TEST(Judge, AnAnswerInTimeIsHealthyAndALateOneDegraded) {
  EXPECT_EQ(judged({.answer = Status(), .took = 3ms}).health, Health::kHealthy);
  EXPECT_EQ(judged({.answer = Status(), .took = 5s}).health, Health::kHealthy);
  const HealthCheck late = judged({.answer = Status(), .took = 6100ms});
  EXPECT_EQ(late.health, Health::kDegraded);
  EXPECT_EQ(late.message, "answered after 6.1 s");
}

TEST(Judge, SilenceIsDegradedBeforeTheAnswerTells) {
  EXPECT_EQ(judged({.asked_at = kNow - 2s, .answer = Status()}).health, Health::kHealthy);
  const HealthCheck silent = judged({.asked_at = kNow - 7s, .answer = Status()});
  EXPECT_EQ(silent.health, Health::kDegraded);
  EXPECT_EQ(silent.message, "no answer for 7 s");
}

TEST(Judge, AFailureMayBeARestartForAMoment) {
  const Status failed = fail(ErrorKind::kUnavailable, "connection refused");
  EXPECT_EQ(judged({.answer = failed, .failing_since = kNow - 1s}).health, Health::kDegraded);
  const HealthCheck lasting = judged({.answer = failed, .failing_since = kNow - 3s});
  EXPECT_EQ(lasting.health, Health::kUnhealthy);
  EXPECT_EQ(lasting.message, "connection refused");
  // Also while it is asked again, which may take long.
  EXPECT_EQ(judged({.asked_at = kNow - 9s, .answer = failed, .failing_since = kNow - 9s}).health,
            Health::kUnhealthy);
  EXPECT_EQ(judged({.answer = failed, .failing_since = kNow - 1h}, Health::kDegraded).health,
            Health::kDegraded);
}

TEST(HealthWatch, ASlowSubjectHoldsUpNoOther) {
  boost::asio::io_context loop;
  testing::SimulatedClock clock(loop, kWall);
  Signal answered(loop.get_executor());
  HealthWatch health(clock);
  int asked = 0;
  const auto slow = [&]() -> Task<Status> {
    co_await answered.wait();
    co_return Status();
  };
  const auto quick = [&]() -> Task<Status> {
    ++asked;
    co_return asked < 3 ? Status() : fail(ErrorKind::kUnavailable, "gone");
  };
  const auto begin = [&](HealthWatch::Subject subject) {
    boost::asio::co_spawn(loop, health.watch(std::move(subject)), boost::asio::detached);
  };
  begin({.name = "slow", .ask = slow, .every = 1s});
  begin({.name = "quick", .ask = quick, .every = 4s});
  const auto turn = [&](Duration passed) {
    clock.advance(passed);
    loop.restart();
    loop.poll();
    std::vector<Health> now;
    for (const HealthCheck& check : health.checks()) now.push_back(check.health);
    return now;
  };
  EXPECT_EQ(turn(0s), (std::vector{Health::kDegraded, Health::kHealthy}));
  EXPECT_EQ(turn(4s), (std::vector{Health::kDegraded, Health::kHealthy}));
  EXPECT_EQ(turn(4s), (std::vector{Health::kDegraded, Health::kDegraded}));
  EXPECT_EQ(health.checks()[0].message, "no answer for 8 s");
  EXPECT_EQ(turn(1s), (std::vector{Health::kDegraded, Health::kDegraded}));
  EXPECT_EQ(asked, 4) << "what fails is asked again soon";
  EXPECT_EQ(turn(2s), (std::vector{Health::kDegraded, Health::kUnhealthy}));
  answered.notify();
  EXPECT_EQ(turn(0s)[0], Health::kDegraded);
  EXPECT_EQ(health.checks()[0].message, "answered after 11.0 s");
  EXPECT_EQ(health.checks()[0].took, 11s);
}

class Probes : public ::testing::Test {
 protected:
  nlohmann::json ask(const std::string& target, int status) {
    const auto response = answer_probe({.method = "GET", .target = target}, view_);
    EXPECT_TRUE(response) << target;
    EXPECT_EQ(response->status, status) << target;
    return nlohmann::json::parse(response->body);
  }

  ProbeView view_{.version = "1.2.3",
                  .instance = InstanceId("a"),
                  .now = kWall,
                  .leads = true,
                  .readiness = {.ready = true, .reason = ""},
                  .checks = {{.name = "store", .took = 1500us},
                             {.name = "disk", .health = Health::kDegraded, .message = "full"}}};
};

TEST_F(Probes, TheDeepOneListsAllAndTheWorstWins) {
  const auto degraded = ask("/health/deep", 200);
  EXPECT_EQ(degraded["status"], "degraded");
  EXPECT_EQ(degraded["timestamp"], "2026-11-23T08:00:00Z");
  EXPECT_EQ(degraded["version"], "1.2.3");
  EXPECT_EQ(degraded["checks"][1], nlohmann::json::parse(R"({"name": "store", "status": "healthy",
      "message": "", "duration_ms": 1.5})"));
  EXPECT_EQ(degraded["checks"][2]["message"], "full");

  view_.checks[0].health = Health::kUnhealthy;
  EXPECT_EQ(ask("/health/deep", 503)["status"], "unhealthy");
}

TEST_F(Probes, HealthDependsOnNothingElse) {
  view_.checks[0].health = Health::kUnhealthy;
  view_.readiness = {.ready = false, .reason = "the daemon is stopping"};
  for (const char* target : {"/health", "/health/live"}) {
    EXPECT_EQ(ask(target, 200)["status"], "healthy");
  }
}

TEST_F(Probes, ReadinessSaysWhyNot) {
  const auto ready = ask("/ready", 200);
  EXPECT_EQ(ready["status"], "healthy");
  EXPECT_EQ(ready["role"], "leader");
  view_.readiness = {.ready = false, .reason = "the daemon is stopping"};
  const auto not_ready = ask("/health/ready", 503);
  EXPECT_EQ(not_ready["status"], "unhealthy");
  EXPECT_EQ(not_ready["reason"], "the daemon is stopping");
  EXPECT_EQ(not_ready["checks"][0]["message"], "the daemon is stopping");
}

}  // namespace
}  // namespace provisioner::server
