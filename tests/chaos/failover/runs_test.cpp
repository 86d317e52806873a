// Runs whose runner, daemon or database goes away.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <signal.h>

#include "tests/chaos/failover/failover.hpp"
#include "tests/support/eventually.hpp"

namespace provisioner::testing {
namespace {

using namespace std::chrono_literals;

constexpr std::string_view kRunner = "provisioner-runner run";
constexpr std::string_view kGuardAndRunner = "provisioner-runner";  // which the guard starts

void signal_all(const std::vector<pid_t>& processes, int number) {
  EXPECT_FALSE(processes.empty());
  for (const pid_t process : processes) kill(process, number);
}

TEST_F(Failover, ARunnerIsKilled) {
  harm_ = Harm::kAttempts;
  for (int i = 0; i < rounds(); ++i) {
    const std::string run = begun_deploy("slow");
    signal_all(cluster_->processes_of(run, i % 2 == 0 ? kRunner : kGuardAndRunner), SIGKILL);
    const Json end = ended(run);
    EXPECT_EQ(end["status"], "succeeded") << end;
    EXPECT_EQ(end["attempt"], 2) << end;
  }
}

TEST_F(Failover, ARunnerAndItsDaemonAreKilledTogether) {
  harm_ = Harm::kAttempts;
  for (int i = 0; i < rounds(); ++i) {
    const std::string run = begun_deploy("slow");
    leads_anew_after([&](int leader) {
      cluster_->kill_daemon(leader);
      signal_all(cluster_->processes_of(run, kRunner), SIGKILL);
    });
    const Json end = ended(run);
    EXPECT_EQ(end["status"], "succeeded") << end;
    EXPECT_EQ(end["attempt"], 2) << end;
  }
}

// Its guard ends what it left before the lease does. A guard that is stopped as well cannot: then
// the leader sees the lease end. Either way the run is resumed, and nobody listens to its past.
TEST_F(Failover, ARunnerIsStoppedPastItsLease) {
  harm_ = Harm::kAttempts;
  cluster_->reconfigure({{"PROVISIONER_RUNS_LEASE", "30s"}});
  for (int tries = 0, done = 0; done < rounds(); ++tries) {
    ASSERT_LT(tries, 3 * rounds()) << "runs are interrupted before their runner is stopped";
    somebody_leads();
    const std::string run = begun_deploy("brief");
    const http::Request late = late_write(recorder_->directory_of(run));
    const bool guard_too = done % 2 != 0;
    const auto stopped = cluster_->processes_of(run, guard_too ? kGuardAndRunner : kRunner);
    signal_all(stopped, SIGSTOP);
    ASSERT_TRUE(eventually(2 * kPatience, [&] { return this->run(run)["attempt"] > 1; }));
    for (const pid_t process : stopped) kill(process, SIGCONT);
    for (int daemon = 0; daemon < Cluster::kSize; ++daemon) {
      const auto answer = cluster_->ask(daemon, late, 5s);
      EXPECT_EQ(answer.status, 409) << answer.body;
      EXPECT_NE(cluster_->log(daemon).find("refused to write a state for an attempt that is over"),
                std::string::npos)
          << answer.body;
    }
    const Json end = ended(run);
    EXPECT_EQ(end["status"], "succeeded") << end;
    const std::string why =
        cluster_->sql("SELECT error FROM run_attempts WHERE attempt = 1 AND run = '" + run + "'")
            .at(0);
    const char* expected = guard_too ? "no heartbeat for the whole lease" : "the guard says";
    // A machine too slow for heartbeats within 18 s interrupts it before we do.
    if (why.find(expected) != std::string::npos) ++done;
  }
  cluster_->reconfigure(settings_under_faults());
}

TEST_F(Failover, PostgresIsAwayForHalfAMinuteDuringAnApply) {
  const std::string run = begun_deploy("longer");
  const auto back = std::chrono::steady_clock::now() + 30s;
  cluster_->postgres().stop();
  for (int i = 0; i < Cluster::kSize; ++i) {
    const auto answer = cluster_->ask(i, "GET", "/api/v1/workspaces", "", 30s);
    EXPECT_EQ(answer.status, 503) << answer.body;
    EXPECT_TRUE(answer.headers.contains("Retry-After"));
    EXPECT_EQ(cluster_->ask(i, "GET", "/health").status, 200);
  }
  std::this_thread::sleep_until(back);
  cluster_->postgres().start();
  somebody_leads();
  const Json end = ended(run);
  EXPECT_EQ(end["status"], "succeeded") << end;
  EXPECT_EQ(end["attempt"], 1) << end;
  work_goes_on();
}

TEST_F(Failover, ALongApplySeesThreeLeadersAndARollingRestartAndSucceedsAtOnce) {
  const std::string run = begun_deploy("long");
  // Each meets it in another of its steps.
  auto it_goes_on = [&, seen = 1]() mutable {
    ASSERT_TRUE(eventually(kPatience, [&] { return recorder_->begun_steps(run) > seen; }));
    seen = recorder_->begun_steps(run);
  };
  for (int i = 0; i < 3; ++i) {
    leads_anew_after([&](int leader) { cluster_->kill_daemon(leader); });
    it_goes_on();
  }
  for (int i = 0; i < Cluster::kSize; ++i) {
    EXPECT_EQ(cluster_->stop(i), 0);
    cluster_->start(i);
    it_goes_on();
  }
  somebody_leads();
  const Json before = this->run(run);
  EXPECT_EQ(before["status"], "running") << "it must still be at work for this to prove anything";
  const Json end = ended(run);
  EXPECT_EQ(end["status"], "succeeded") << end;
  EXPECT_EQ(end["attempt"], 1) << end;
}

}  // namespace
}  // namespace provisioner::testing
