// One cluster of three daemons, three etcd members and PostgreSQL for all faults, which strike one
// at a time while work goes on.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <string>

#include "tests/chaos/failover/recorder.hpp"
#include "tests/support/cluster.hpp"

namespace provisioner::testing {

inline constexpr std::chrono::seconds kPatience(60);
inline constexpr std::chrono::seconds kTtl(2);

// PROVISIONER_TEST_ROUNDS (2) of what is done in a moment and happens most, at most 15 of the rest.
int often();
int rounds();
// More rounds than in a run of all tests: there is time for a longer apply.
bool at_length();

Environment settings_under_faults();

// What must hold in each case: exactly one leader again, work goes on, and when all is at rest the
// recorder finds nothing wrong. What failed is told again at the end of the program, without the
// daemons' logs.
class Failover : public ::testing::Test {
 protected:
  static void SetUpTestSuite();
  static void TearDownTestSuite();
  void SetUp() override;
  void TearDown() override;

  // Another term than the one before `fault`, of whomever; and the work goes on under it.
  template <typename Fault>
  void leads_anew_after(Fault fault) {
    changes_leader(fault);
    work_goes_on();
  }
  template <typename Fault>
  void changes_leader(Fault fault) {
    ASSERT_GE(leader_ = cluster_->await_leader(0, kPatience), 0);
    const std::int64_t before = cluster_->term();
    const auto begun = std::chrono::steady_clock::now();
    fault(leader_);
    leader_ = cluster_->await_leader(before, kPatience);
    ASSERT_GE(leader_, 0) << "nobody leads";
    say_leader(begun);
  }
  void somebody_leads() { ASSERT_GE(leader_ = cluster_->await_leader(0, kPatience), 0); }
  static void work_goes_on();

  // The run of a deploy that has begun its work.
  std::string begun_deploy(const std::string& workspace);
  Json run(const std::string& id);    // as the leader tells it; null when it does not
  Json ended(const std::string& id);  // waits for its end

  static Cluster* cluster_;
  static Recorder* recorder_;
  int leader_ = -1;
  Harm harm_ = Harm::kNone;

 private:
  static void say_leader(std::chrono::steady_clock::time_point since);
  void tell_failure() const;
  static std::string failures_;
  std::array<std::size_t, Cluster::kSize> log_begins_{};
};

}  // namespace provisioner::testing
