// What probes see of a daemon whose PostgreSQL is slow, gone and back: real servers, and between
// them a network that can be slow.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <thread>

#include "tests/support/ask.hpp"
#include "tests/support/daemon.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/postgres.hpp"
#include "tests/support/relay.hpp"

namespace provisioner::testing {
namespace {

using namespace std::chrono_literals;
using std::chrono::steady_clock;
using ::testing::HasSubstr;

class Health : public ::testing::Test {
 protected:
  void start_behind_a_network() {
    PostgresServer& server = PostgresServer::shared();
    installation_.environment.merge(
        server.settings_of("a", server.take_database(), to_postgres_.port()));
    installation_.start();
    ASSERT_TRUE(eventually(60s, [&] { return probe("/health/deep")["status"] == "healthy"; }))
        << probe("/health/deep");
  }

  Json probe(const std::string& path) {
    const auto begun = steady_clock::now();
    const auto response =
        ask(installation_.state_dir(), "GET", path, "", std::chrono::milliseconds(30s));
    const auto took = steady_clock::now() - begun;
    ++probes_;
    if (took > 100ms) ++late_;
    slowest_ = std::max(slowest_, took);
    status_[path] = response.status;
    return Json::parse(response.body, nullptr, false);
  }
  static Json check(const Json& health, const std::string& name) {
    for (const Json& one : health["checks"]) {
      if (one["name"] == name) return one;
    }
    return nullptr;
  }

  Network network_;
  Relay to_postgres_{network_.loop(), PostgresServer::shared().port()};
  Installation installation_;
  std::map<std::string, int> status_;
  int probes_ = 0, late_ = 0;
  steady_clock::duration slowest_{};
};

TEST_F(Health, ADatabaseThatAnswersLateIsDegradedAndProbesDoNotWaitForIt) {
  start_behind_a_network();
  probes_ = late_ = 0;
  slowest_ = {};
  to_postgres_.delay_answers(6s);
  bool degraded = false;
  const auto end = steady_clock::now() + 20s;
  while (steady_clock::now() < end) {
    const Json deep = probe("/health/deep");
    EXPECT_EQ(status_["/health/deep"], 200) << deep;
    degraded = degraded || check(deep, "store")["status"] == "degraded";
    probe("/health");
    EXPECT_EQ(status_["/health"], 200);
    const Json ready = probe("/ready");
    EXPECT_EQ(status_["/ready"], 200) << ready;
    std::this_thread::sleep_for(20ms);
  }
  EXPECT_TRUE(degraded);
  EXPECT_THAT(check(probe("/health/deep"), "store")["message"].get<std::string>(),
              ::testing::AnyOf(HasSubstr("answered after"), HasSubstr("no answer for")));
  EXPECT_LT(late_, probes_ / 20) << "took longer than 100 ms, of " << probes_;
  EXPECT_LT(slowest_, 2s);

  to_postgres_.delay_answers(0ms);
  EXPECT_TRUE(eventually(60s, [&] { return probe("/health/deep")["status"] == "healthy"; }))
      << probe("/health/deep");
}

TEST_F(Health, AnInstanceThatLostItsDatabaseIsNotReadyButLives) {
  start_behind_a_network();
  to_postgres_.cut();
  ASSERT_TRUE(eventually(60s, [&] {
    probe("/ready");
    return status_["/ready"] == 503;
  }));
  EXPECT_THAT(probe("/ready")["reason"].get<std::string>(), HasSubstr("the store does not answer"));
  probe("/health");
  EXPECT_EQ(status_["/health"], 200);
  const Json deep = probe("/health/deep");
  EXPECT_EQ(status_["/health/deep"], 503);
  EXPECT_EQ(check(deep, "store")["status"], "unhealthy") << deep;
  EXPECT_EQ(check(deep, "disk")["status"], "healthy") << deep;

  to_postgres_.heal();
  EXPECT_TRUE(eventually(60s, [&] {
    probe("/ready");
    return status_["/ready"] == 200;
  })) << probe("/ready");
}

}  // namespace
}  // namespace provisioner::testing
