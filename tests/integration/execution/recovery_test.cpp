// States found after the end of an attempt: none is lost, none overwrites what it does not
// continue.
#include "execution/recovery.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/integration/execution/instance.hpp"
#include "tofu/state_body.hpp"

namespace provisioner::testing {
namespace {

using ::testing::HasSubstr;

std::string state_text(const std::string& lineage, std::int64_t serial, const std::string& output) {
  return fmt::format(R"({{"version": 4, "terraform_version": "1.9.0", "serial": {}, "lineage": "{}",
 "outputs": {{"o": {{"value": "{}", "type": "string"}}}}, "resources": []}})",
                     serial, lineage, output);
}

// An attempt that is claimed and never started by anybody but the test.
class Recovery : public ::testing::Test {
 protected:
  Recovery() {
    instance.start();
    instance.daemon().dispatcher().set_claiming(false);
    instance.publish("shop", "resource \"terraform_data\" \"one\" {}\n");
  }

  ClaimedRun claim() {
    run = instance.enqueue("shop", Operation::kDeploy);
    ClaimRequest request;
    request.instance = InstanceId("host-2");  // so that the daemon at hand leaves it alone
    request.claim = SystemRandom().claim_id();
    request.fence = instance.daemon().get(store().leadership()).fence;
    request.now = now();
    auto claimed = instance.daemon().get(store().claim_next(request));
    if (!claimed) throw std::runtime_error("nothing to claim");
    return *claimed;
  }

  Store& store() { return instance.daemon().store(); }
  Instant now() { return instance.daemon().clock().now(); }

  execution::HandOver hand_over(const ClaimedRun& claimed, const std::string& body) {
    return instance.daemon().get(execution::hand_over_state(store(), now(), claimed, body));
  }

  Instance instance;
  RunId run;
};

TEST_F(Recovery, HandsOverTheFirstStateEvenWithoutALineage) {
  const auto claimed = claim();
  EXPECT_TRUE(hand_over(claimed, state_text("", 0, "first")).accepted);
  EXPECT_THAT(instance.state("shop"), HasSubstr("first"));
  EXPECT_TRUE(hand_over(claimed, state_text("", 0, "first")).accepted);  // the reply was lost
  EXPECT_EQ(instance.state_versions("shop"), 1U);
  EXPECT_EQ(instance.daemon().get(store().state_lock({WorkspaceName("shop"), ""})), std::nullopt);
}

TEST_F(Recovery, WritesUnderTheLockThatTheAttemptStillHolds) {
  const auto claimed = claim();
  StateLock lock;
  lock.id = "tofus-lock";
  lock.info_json = R"({"ID":"tofus-lock"})";
  lock.run = claimed.fence.run;
  lock.attempt = claimed.fence.attempt;
  lock.created_at = now();
  const StateSlot slot{WorkspaceName("shop"), ""};
  ASSERT_EQ(instance.daemon().get(store().lock_state(slot, claimed.fence, lock)), std::nullopt);
  EXPECT_TRUE(hand_over(claimed, state_text("l-1", 3, "first")).accepted);
  const auto held = instance.daemon().get(store().state_lock(slot));
  ASSERT_TRUE(held.has_value());
  EXPECT_EQ(held->id, "tofus-lock");
}

TEST_F(Recovery, KeepsADivergentStateApartAndHoldsTheWorkspace) {
  const StateSlot slot{WorkspaceName("shop"), ""};
  const auto body = state_text("l-1", 5, "present");
  instance.daemon().get(
      store().push_state(slot, tofu::parse_state(body).value(), body, "a person", now()));
  const auto claimed = claim();
  const auto pushed = state_text("l-1", 8, "pushed meanwhile");
  instance.daemon().get(
      store().push_state(slot, tofu::parse_state(pushed).value(), pushed, "a person", now()));

  const auto handed = hand_over(claimed, state_text("l-1", 9, "from the attempt"));
  EXPECT_FALSE(handed.accepted);
  EXPECT_THAT(instance.state("shop"), HasSubstr("pushed meanwhile"));
  const auto versions = instance.daemon().get(store().state_versions(slot));
  EXPECT_EQ(std::ranges::count_if(versions, &StateVersion::divergent), 1);
  EXPECT_TRUE(instance.workspace("shop").held);
  EXPECT_EQ(instance.run(run).status, RunStatus::kInterrupted);
}

TEST_F(Recovery, SweepsTheDirectoryOfAnAttemptThatEndedWhileNoDaemonLooked) {
  const auto claimed = claim();
  AttemptResult result;
  result.status = RunStatus::kFailed;
  result.error = "ended by the test";
  instance.daemon().get(store().finish_attempt(claimed.fence, result, now()));
  const auto directory = runner::AttemptDirectory::of(
      instance.settings.state_dir, WorkspaceName("shop"), run, claimed.fence.attempt);
  const auto bundle = instance.daemon().get(store().bundle(claimed.run.definition.bundle));
  ASSERT_TRUE(execution::prepare_attempt(
                  directory, {WorkspaceName("shop"), JobName(), claimed.fence, 0}, bundle, "")
                  .has_value());
  instance.kill_daemon();
  instance.start();
  EXPECT_TRUE(instance.is_clean(run));
  EXPECT_FALSE(instance.workspace("shop").held);
}

TEST_F(Recovery, KeepsWhatAnEndedAttemptLeftUntilSomebodyHasLooked) {
  const auto claimed = claim();
  AttemptResult result;
  result.status = RunStatus::kFailed;
  result.error = "ended by the test";
  instance.daemon().get(store().finish_attempt(claimed.fence, result, now()));
  const auto directory = runner::AttemptDirectory::of(
      instance.settings.state_dir, WorkspaceName("shop"), run, claimed.fence.attempt);
  const auto bundle = instance.daemon().get(store().bundle(claimed.run.definition.bundle));
  ASSERT_TRUE(execution::prepare_attempt(
                  directory, {WorkspaceName("shop"), JobName(), claimed.fence, 0}, bundle, "")
                  .has_value());
  write_file(directory.content() / "errored.tfstate", state_text("l-1", 2, "left"));
  instance.kill_daemon();
  instance.start();
  EXPECT_TRUE(instance.is_clean(run));
  EXPECT_TRUE(instance.work_until([&] { return instance.workspace("shop").held; }));
  const auto kept = instance.settings.state_dir / "spool/kept/shop" / directory.root.filename();
  EXPECT_THAT(instance.workspace("shop").hold_reason, HasSubstr(kept.string()));
  EXPECT_THAT(read_file(kept / "content/errored.tfstate"), HasSubstr("left"));
}

}  // namespace
}  // namespace provisioner::testing
