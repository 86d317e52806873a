// PostgreSQL fails over to a stand-by that lacks the last commits. What was acknowledged then is
// gone; what must not happen is that anybody goes on as if it were not.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/chaos/failover/failover.hpp"
#include "tests/support/eventually.hpp"

namespace provisioner::testing {
namespace {

using namespace std::chrono_literals;

class LossyFailover : public ::testing::Test {
 protected:
  LossyFailover() {
    cluster_.add_standby();
    cluster_.start_all();
  }

  bool anyone_says(std::string_view text) {
    return eventually(kPatience, [&] {
      for (int i = 0; i < Cluster::kSize; ++i) {
        if (cluster_.log(i).find(text) != std::string::npos) return true;
      }
      return false;
    });
  }
  void work_goes_on() {
    const int before = recorder_.ended_runs();
    ASSERT_TRUE(eventually(kPatience, [&] { return recorder_.ended_runs() >= before + 3; }));
  }
  std::string begun_deploy(int daemon, const std::string& workspace) {
    const std::string run = recorder_.deploy(daemon, workspace, kPatience);
    EXPECT_TRUE(eventually(kPatience, [&] { return recorder_.begun_steps(run) > 0; }));
    return run;
  }
  std::string status(const std::string& run) {
    const auto rows = cluster_.sql("SELECT status FROM runs WHERE id = '" + run + "'");
    return rows.empty() ? "unknown" : rows[0];
  }
  bool ends(const std::string& run) {
    return eventually(2min, [&] { return status(run) != "queued" && status(run) != "running"; });
  }
  void TearDown() override {
    if (!HasFailure()) return;
    for (int i = 0; i < Cluster::kSize; ++i) {
      fmt::print("--- daemon {}\n{}", cluster_.name(i), cluster_.log(i));
    }
  }

  Cluster cluster_{settings_under_faults()};
  Recorder recorder_{cluster_, 12};
};

TEST_F(LossyFailover, IsNoticedAndWhatIsGoneIsToldAndNothingOfItWritesAnyMore) {
  int leader = cluster_.await_leader(0, kPatience);
  ASSERT_GE(leader, 0);
  ASSERT_TRUE(eventually(kPatience, [&] { return recorder_.all_published(); }));
  recorder_.begin_work();
  work_goes_on();
  const std::int64_t known_term = cluster_.term();
  const std::string known = begun_deploy(leader, "longer");
  ASSERT_TRUE(eventually(kPatience, [&] { return cluster_.standby_has_all(); }));

  // From here on everything is acknowledged by a primary that will be lost: a term, a run that ends
  // and one that is at work.
  cluster_.cut_standby();
  const auto accepted = recorder_.accepted();
  cluster_.kill_daemon(leader);
  leader = cluster_.await_leader(known_term, kPatience);
  ASSERT_GE(leader, 0);
  const std::string ended = begun_deploy(leader, "slow");
  ASSERT_TRUE(ends(ended));
  ASSERT_EQ(status(ended), "succeeded");
  const std::string at_work = begun_deploy(leader, "brief");
  const http::Request late = late_write(recorder_.directory_of(at_work));
  cluster_.fail_over();

  const int next = cluster_.await_leader(known_term, kPatience);
  ASSERT_GE(next, 0) << "nobody leads";
  EXPECT_EQ(status(ended), "unknown") << "it must be lost for this to prove anything";
  EXPECT_TRUE(anyone_says("forgotten")) << "the old leader did not notice";
  EXPECT_TRUE(anyone_says(fmt::format("run {}", ended))) << "nobody told of the run that is gone";
  for (int i = 0; i < Cluster::kSize; ++i) {
    const auto answer = cluster_.ask(i, late, 30s);
    EXPECT_EQ(answer.status, 409) << answer.body;
  }
  EXPECT_TRUE(ends(known));
  EXPECT_EQ(status(known), "succeeded");
  EXPECT_EQ(cluster_.sql("SELECT attempt FROM runs WHERE id = '" + known + "'").at(0), "1");
  // Its states are kept for a person, and nobody builds upon the one that is behind.
  const auto kept = fmt::format("spool/kept/brief/{}-1", at_work);
  EXPECT_TRUE(eventually(kPatience, [&] {
    for (int i = 0; i < Cluster::kSize; ++i) {
      if (std::filesystem::exists(cluster_.state_dir(i) / kept)) return true;
    }
    return false;
  }));
  EXPECT_EQ(cluster_.sql("SELECT held FROM workspace_states WHERE name = 'brief'").at(0), "t");
  work_goes_on();

  cluster_.mend();
  recorder_.end_work();
  for (const auto& run : recorder_.forget_lost()) {
    EXPECT_EQ(std::ranges::count(accepted, run), 0) << run << " was safe on the stand-by";
  }
  EXPECT_EQ(recorder_.judge(Harm::kLostCommits), "");
}

}  // namespace
}  // namespace provisioner::testing
