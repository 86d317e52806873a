// What a leader had begun to write when it was stopped.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/chaos/failover/failover.hpp"
#include "tests/support/eventually.hpp"

namespace provisioner::testing {
namespace {

using namespace std::chrono_literals;

// A row that somebody holds, until told otherwise.
class HeldRow {
 public:
  HeldRow(Cluster& cluster, std::string workspace, std::string name)
      : cluster_(cluster), name_(std::move(name)), session_([this, workspace] {
          try {
            cluster_.sql(
                fmt::format("BEGIN; SELECT 1 FROM workspace_states WHERE name = '{}' FOR "
                            "UPDATE; SELECT pg_sleep(120) AS {}; ROLLBACK",
                            workspace, name_));
          } catch (const std::runtime_error&) {
          }  // ended by free()
        }) {}
  ~HeldRow() { free(); }

  bool is_held() { return any("pid IN ({}) AND wait_event = 'PgSleep'"); }
  bool waits() { return any("pid IN ({}) AND wait_event_type = 'Lock'"); }
  // Whether a statement that names `who` waits for this one.
  bool keeps(std::string_view who) {
    return any(fmt::format("pg_blocking_pids(pid) && ARRAY({{}}) AND query LIKE '%{}%'", who));
  }
  void free() {
    if (!session_.joinable()) return;
    cluster_.sql(fmt::format(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid IN ({})", me()));
    session_.join();
  }

 private:
  std::string me() const {
    return fmt::format(
        "SELECT pid FROM pg_stat_activity WHERE query LIKE '%AS {};%' AND pid <> "
        "pg_backend_pid()",
        name_);
  }
  bool any(const std::string& condition) {
    return !cluster_
                .sql("SELECT 1 FROM pg_stat_activity WHERE " +
                     fmt::format(fmt::runtime(condition), me()))
                .empty();
  }

  Cluster& cluster_;
  std::string name_;
  std::jthread session_;
};

// I2: what the old leader sent before its pause is done after the new one has claimed its term. A
// busy machine may be too slow for the old one's statement, which waits for 5 s only: some tries
// may miss.
TEST_F(Failover, AWriteThatArrivesAfterTheNextTermIsRefusedAndLogged) {
  bool is_refused = false;
  for (int i = 0; i < 5 && !is_refused; ++i) {
    ASSERT_GE(leader_ = cluster_->await_leader(0, kPatience), 0);
    int old = leader_;
    const int other = (old + 1) % Cluster::kSize;
    // The row passes from the first holder to the command, then to the second: the leader finds the
    // run, and its claim of it has to wait.
    HeldRow first(*cluster_, "slow", "first_holder");
    ASSERT_TRUE(eventually(kPatience, [&] { return first.is_held(); }));
    http::Response answer;
    std::jthread command([&] {
      answer = cluster_->ask(other, "POST", "/api/v1/workspaces/slow/deploy", "{}", 30s);
    });
    ASSERT_TRUE(eventually(kPatience, [&] { return first.keeps("workspace"); }));
    HeldRow second(*cluster_, "slow", "second_holder");
    ASSERT_TRUE(eventually(kPatience, [&] { return second.waits(); }));
    first.free();
    command.join();
    ASSERT_EQ(answer.status, 202) << answer.body;
    const std::string run = Json::parse(answer.body)["id"];
    ASSERT_TRUE(
        eventually(kPatience, [&] { return second.is_held() && second.keeps("workspace"); }));
    const std::string refusal = fmt::format("a claim was refused: term {} ", cluster_->term());
    changes_leader([&](int leader) { cluster_->pause(old = leader); });
    second.free();
    cluster_->resume(old);
    const Json end = ended(run);
    EXPECT_EQ(end["status"], "succeeded") << end;
    is_refused = cluster_->log(old).find(refusal) != std::string::npos;
  }
  EXPECT_TRUE(is_refused);
}

// Its session holds the workspace's row for a daemon that does not come back to it.
TEST_F(Failover, ALeaderStoppedInsideItsDecisionHoldsNobodyUp) {
  bool was_inside = false;
  // Each waits for the next minute.
  for (int i = 0; i < (at_length() ? rounds() : 1) || (i < 3 && !was_inside); ++i) {
    somebody_leads();
    int old = -1;
    const auto planned = [] {
      return cluster_->sql("SELECT cursor FROM schedules WHERE workspace = 'watched'").at(0);
    };
    // What its schedule demands waits for the row.
    HeldRow held(*cluster_, "watched", "holder");
    ASSERT_TRUE(eventually(kPatience, [&] { return held.is_held(); }));
    const std::string before = planned();
    ASSERT_TRUE(eventually(90s, [&] { return held.keeps("workspace"); }));
    changes_leader([&](int leader) {
      cluster_->pause(old = leader);
      held.free();
      was_inside = was_inside || eventually(1s, [] {
                     return !cluster_
                                 ->sql(
                                     "SELECT 1 FROM pg_stat_activity WHERE state = 'idle in "
                                     "transaction' AND datname = current_database()")
                                 .empty();
                   });
    });
    EXPECT_NE(leader_, old);
    EXPECT_TRUE(eventually(kPatience, [&] { return planned() != before; }))
        << "the next leader could not decide while the old one slept";
    cluster_->resume(old);
    work_goes_on();
  }
  EXPECT_TRUE(was_inside) << "no leader was stopped inside a transaction: nothing was proved";
}

}  // namespace
}  // namespace provisioner::testing
