#include "execution/recent_ends.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>

#include "runtime/random.hpp"
#include "store/sqlite/sqlite_store.hpp"
#include "tests/support/run_task.hpp"
#include "tests/support/temp_directory.hpp"
#include "tests/support/virtual_clock.hpp"

namespace provisioner::execution {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class Remember final : public LogSink {
 public:
  void write(const LogEvent& event) override { messages.push_back(event.message); }
  std::vector<std::string> messages;
};

class RecentEndsTest : public ::testing::Test {
 protected:
  RecentEndsTest() {
    auto opened = open_sqlite_store(loop_.get_executor(), directory_ / "provisioner.db");
    if (!opened) throw std::runtime_error(opened.error().message);
    store_ = std::move(*opened);
    must(await(store_->put_bundle(BundleHash("b"), "content")));
    must(await(store_->publish({.workspace = WorkspaceName("shop"),
                                .definition = {.config = "{}", .bundle = BundleHash("b")},
                                .first_cursor = clock_.now()},
                               clock_.now())));
    ends_.emplace(RecentEnds::Parts{.store = *store_,
                                    .clock = clock_,
                                    .log = Logger(log_, clock_, "execution"),
                                    .me = InstanceId("a")});
    next_leader();
  }

  template <typename T>
  T await(Task<T> task) {
    return testing::run_task(loop_, std::move(task));
  }
  template <typename T>
  static void must(const T& result) {
    if (!result) throw std::runtime_error(result.error().message);
  }
  void next_leader() {
    const auto seen = await(store_->leadership());
    const auto claimed =
        await(store_->claim_term(seen->fence, random_.claim_id(), InstanceId("a"), clock_.now()));
    must(claimed);
    fence_ = claimed->fence;
  }
  bool look() { return await(ends_->look()); }
  // A run that was claimed.
  ClaimedRun at_work(const std::string& id) {
    must(await(store_->enqueue({.id = RunId(id),
                                .workspace = WorkspaceName("shop"),
                                .operation = Operation::kDeploy,
                                .definition = {.config = "{}", .bundle = BundleHash("b")},
                                .created_at = clock_.now()},
                               WhenBusy::kSupersede)));
    const auto claimed = await(store_->claim_next({.instance = InstanceId("a"),
                                                   .incarnation = random_.incarnation(),
                                                   .claim = random_.claim_id(),
                                                   .fence = fence_,
                                                   .now = clock_.now()}));
    must(claimed);
    return claimed->value();
  }
  static auto run_named(const std::string& id, const std::string& workspace) {
    provisioner::Run run;
    run.id = RunId(id);
    run.workspace = WorkspaceName(workspace);
    run.attempt = Attempt(1);
    return run;
  }
  bool is_held() { return await(store_->workspace(WorkspaceName("shop")))->held; }

  testing::TempDirectory directory_;
  boost::asio::io_context loop_;
  testing::SimulatedClock clock_{loop_, parse_rfc3339("2026-11-23T08:00:00Z").value()};
  SystemRandom random_;
  std::unique_ptr<Store> store_;
  LeaderFence fence_;
  std::shared_ptr<Remember> log_ = std::make_shared<Remember>();
  std::optional<RecentEnds> ends_;
  const AttemptResult success_{.status = RunStatus::kSucceeded};
};

TEST_F(RecentEndsTest, ARunThatTheStoreHasForgottenIsToldOnceAndHoldsItsWorkspace) {
  EXPECT_TRUE(look());
  ends_->acknowledged(run_named("run-1", "shop"), success_);
  EXPECT_TRUE(look());
  EXPECT_THAT(log_->messages, IsEmpty()) << "nobody asks while the leader stays";

  next_leader();
  EXPECT_TRUE(look());
  EXPECT_THAT(log_->messages, ElementsAre(AllOf(HasSubstr("has forgotten run run-1, a deploy"),
                                                HasSubstr("ended succeeded at 2026-11-23"))));
  EXPECT_TRUE(is_held());
  const auto events = await(store_->audit_events({.action_prefix = "cluster."}));
  EXPECT_EQ(events->at(0).action, "cluster.forgotten_run");

  next_leader();
  EXPECT_TRUE(look());
  EXPECT_EQ(log_->messages.size(), 1u);
}

TEST_F(RecentEndsTest, ARunThatIsForgottenBeforeTheFirstLookIsTold) {
  ends_->acknowledged(run_named("run-1", "shop"), success_);
  EXPECT_TRUE(look());
  EXPECT_EQ(log_->messages.size(), 1u);
}

TEST_F(RecentEndsTest, AnEndThatIsForgottenWhileItsRunIsNotLeavesTheWorkspaceToItsResumption) {
  ends_->acknowledged(at_work("run-1").run, success_);
  next_leader();
  EXPECT_TRUE(look());
  EXPECT_THAT(log_->messages, ElementsAre(HasSubstr("has forgotten the end of run run-1")));
  EXPECT_FALSE(is_held());
}

TEST_F(RecentEndsTest, WhatTheStoreKnowsIsNotWorthAWord) {
  const ClaimedRun claimed = at_work("run-1");
  must(await(store_->finish_attempt(claimed.fence, success_, clock_.now())));
  ends_->acknowledged(claimed.run, success_);
  next_leader();
  EXPECT_TRUE(look());
  EXPECT_THAT(log_->messages, IsEmpty());
}

TEST_F(RecentEndsTest, ARunOfARemovedWorkspaceIsNotMissed) {
  ends_->acknowledged(run_named("run-1", "removed"), success_);
  next_leader();
  EXPECT_TRUE(look());
  EXPECT_THAT(log_->messages, IsEmpty());
}

TEST_F(RecentEndsTest, AnEndOfLongAgoIsNotAskedFor) {
  ends_->acknowledged(run_named("run-1", "shop"), success_);
  clock_.advance(RecentEnds::kRemembered + std::chrono::seconds(1));
  next_leader();
  EXPECT_TRUE(look());
  EXPECT_THAT(log_->messages, IsEmpty());
}

}  // namespace
}  // namespace provisioner::execution
