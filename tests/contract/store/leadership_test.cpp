#include "tests/contract/store/store_contract.hpp"

namespace provisioner {
namespace {

TEST_P(StoreContract, AnswersAPing) { EXPECT_EQ(outcome(await(store().ping())), "ok"); }

TEST_P(StoreContract, NobodyLeadsAnEmptyStore) {
  const Leadership seen = must(await(store().leadership()));
  EXPECT_EQ(seen.fence.term, Term(0));
  EXPECT_TRUE(seen.fence.claim.empty());
  EXPECT_TRUE(seen.leader.empty());
}

TEST_P(StoreContract, I2_EachClaimRaisesTheTermByOne) {
  EXPECT_EQ(given_leader("host-1").term, Term(1));
  EXPECT_EQ(given_leader("host-2").term, Term(2));
  EXPECT_EQ(given_leader("host-1").term, Term(3));
  EXPECT_EQ(must(await(store().leadership())).leader, InstanceId("host-1"));
}

TEST_P(StoreContract, I2_OfTwoClaimsOnTheSameSightOnlyOneWins) {
  const LeaderFence seen = must(await(store().leadership())).fence;
  const Leadership winner =
      must(await(store().claim_term(seen, claim_id(), InstanceId("host-1"), now_)));
  EXPECT_EQ(outcome(await(store().claim_term(seen, claim_id(), InstanceId("host-2"), now_))),
            "conflict");
  EXPECT_EQ(must(await(store().leadership())).fence, winner.fence);
}

TEST_P(StoreContract, I2_AClaimNeedsTheClaimIdItSawNotOnlyTheTerm) {
  const LeaderFence current = given_leader();
  const LeaderFence same_number{.term = current.term, .claim = claim_id()};
  EXPECT_EQ(outcome(await(store().claim_term(same_number, claim_id(), InstanceId("x"), now_))),
            "conflict");
}

TEST_P(StoreContract, ARepeatedClaimAfterALostReplyIsTheSameTerm) {
  const LeaderFence seen = must(await(store().leadership())).fence;
  const ClaimId fresh = claim_id();
  const Leadership first = must(await(store().claim_term(seen, fresh, InstanceId("host-1"), now_)));
  const Leadership again = must(await(store().claim_term(seen, fresh, InstanceId("host-1"), now_)));
  EXPECT_EQ(first.fence, again.fence);
}

TEST_P(StoreContract, I2_AStaleTermIsRefusedInEveryWriteOfALeader) {
  given_workspace();
  const ClaimedRun running = given_running();
  const Run queued = given_queued();
  const LeaderFence stale = given_leader("host-1");
  const LeaderFence current = given_leader("host-2");
  const LeaderFence right_number_wrong_claim{.term = current.term, .claim = claim_id()};
  const LeaderFence nobody;

  for (const LeaderFence& fence : {stale, right_number_wrong_claim, nobody}) {
    EXPECT_EQ(outcome(await(store().commit_plan(fence, firing_plan(1), later()))), "fenced");
    EXPECT_EQ(outcome(await(store().set_waiting(fence, queued.id, "db"))), "fenced");
    EXPECT_EQ(outcome(await(store().resign(fence, now_))), "fenced");
    EXPECT_EQ(outcome(await(store().interrupt_attempt(fence, interruption(running.fence), now_))),
              "fenced");
    ClaimRequest request = claim_request();
    request.fence = fence;
    EXPECT_EQ(outcome(await(store().claim_next(request))), "fenced");
  }
  EXPECT_EQ(run(running.run.id).status, RunStatus::kRunning);
  EXPECT_EQ(run(queued.id).waiting_for, "");
  EXPECT_EQ(must(await(store().leadership())).fence, current);
  EXPECT_TRUE(must(await(store().occurrences({}))).empty());
}

TEST_P(StoreContract, I2_AfterAResignationNobodyWritesUntilTheNextTerm) {
  given_workspace();
  const LeaderFence fence = given_leader();
  ASSERT_EQ(outcome(await(store().resign(fence, now_))), "ok");
  EXPECT_EQ(outcome(await(store().commit_plan(fence, plan(1), later()))), "fenced");
  const Leadership seen = must(await(store().leadership()));
  EXPECT_TRUE(seen.leader.empty());
  EXPECT_EQ(outcome(await(store().commit_plan(seen.fence, plan(1), later()))), "fenced");
  EXPECT_GT(given_leader().term, fence.term);
}

TEST_P(StoreContract, AWishForAnotherLeaderIsToldUntilSomebodyLeadsAgain) {
  const InstanceId first("host-1"), second("host-2");
  EXPECT_EQ(outcome(await(store().request_transfer("wish-0", second, now_))), "conflict");
  given_leader("host-1");
  EXPECT_EQ(outcome(await(store().request_transfer("wish-1", first, now_))), "conflict");
  const Leadership asked = must(await(store().request_transfer("wish-2", second, now_)));
  EXPECT_EQ(asked.transfer, (TransferRequest{.id = "wish-2", .from = first, .to = second}));
  EXPECT_EQ(must(await(store().leadership())).transfer, asked.transfer);
  EXPECT_TRUE(asked.transfer->means(second));
  EXPECT_FALSE(asked.transfer->means(InstanceId("host-3")));
  given_leader("host-2");
  EXPECT_FALSE(must(await(store().leadership())).transfer);
}

TEST_P(StoreContract, AWishForAnyoneElseMeansAllButTheOneWhoLed) {
  given_leader("host-1");
  const Leadership asked = must(await(store().request_transfer("wish", InstanceId(), now_)));
  must(await(store().resign(asked.fence, now_)));
  const Leadership resigned = must(await(store().leadership()));
  ASSERT_TRUE(resigned.transfer) << "the candidates must still see it";
  EXPECT_FALSE(resigned.transfer->means(InstanceId("host-1")));
  EXPECT_TRUE(resigned.transfer->means(InstanceId("host-2")));
}

TEST_P(StoreContract, InstancesEnterBeatAndAreListed) {
  Instance host{.id = InstanceId("host-1"),
                .incarnation = Incarnation("a"),
                .version = "0.1.0",
                .home = "machine:/var/lib",
                .started_at = now_,
                .last_seen = now_};
  EXPECT_EQ(must(await(store().enter_instance(host))), host);
  host.last_seen = now_ + std::chrono::seconds(5);
  host.ready = true;
  EXPECT_EQ(must(await(store().beat_instance(host))), host);
  EXPECT_EQ(must(await(store().instances())), std::vector{host});
  host.stopped = true;
  EXPECT_EQ(must(await(store().beat_instance(host))), host);
}

TEST_P(StoreContract, AnInstanceWhoseIdAnotherTookIsToldSo) {
  Instance first{.id = InstanceId("host-1"), .incarnation = Incarnation("a"), .home = "one"};
  Instance second{.id = InstanceId("host-1"), .incarnation = Incarnation("b"), .home = "two"};
  must(await(store().enter_instance(first)));
  must(await(store().enter_instance(second)));
  EXPECT_EQ(outcome(await(store().beat_instance(first))), "conflict");
  EXPECT_EQ(must(await(store().instances())), std::vector{second});
}

TEST_P(StoreContract, ADrainedInstanceStaysDrainedUntilAPersonSaysOtherwise) {
  Instance host{.id = InstanceId("host-1"), .incarnation = Incarnation("a")};
  EXPECT_EQ(outcome(await(store().set_draining(host.id, true))), "not_found");
  must(await(store().enter_instance(host)));
  EXPECT_TRUE(must(await(store().set_draining(host.id, true))).draining);
  EXPECT_TRUE(must(await(store().beat_instance(host))).draining);
  host.incarnation = Incarnation("b");
  EXPECT_TRUE(must(await(store().enter_instance(host))).draining) << "a restart does not undo it";
  EXPECT_FALSE(must(await(store().set_draining(host.id, false))).draining);
}

TEST_P(StoreContract, TheStoreHasAClockThatGoesForward) {
  const Instant first = must(await(store().clock()));
  EXPECT_GT(first, *parse_rfc3339("2026-01-01T00:00:00Z"));
  EXPECT_GE(must(await(store().clock())), first);
}

TEST_P(StoreContract, AuditedEventsAreListedNewestFirst) {
  for (const char* action : {"workspace.deploy", "cluster.leading", "cluster.resigned"}) {
    must(await(store().audit({.at = now_,
                              .actor = "uid:0",
                              .action = action,
                              .target = "shop",
                              .outcome = "accepted"})));
  }
  const auto all = must(await(store().audit_events({})));
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ(all[0].action, "cluster.resigned");
  EXPECT_EQ(all[0].at, now_);
  EXPECT_EQ(must(await(store().audit_events({.action_prefix = "cluster.", .limit = 10}))).size(),
            2u);
  EXPECT_EQ(must(await(store().audit_events({.action_prefix = "", .limit = 1}))).size(), 1u);
}

TEST_P(StoreContract, TheFirstWriterOfAClusterSettingWins) {
  EXPECT_EQ(must(await(store().setting_or_insert("timezone", "Europe/Berlin"))), "Europe/Berlin");
  EXPECT_EQ(must(await(store().setting_or_insert("timezone", "UTC"))), "Europe/Berlin");
}

TEST_P(StoreContract, I9_WhatWasAcknowledgedIsThereAfterReopening) {
  const Workspace before = given_workspace();
  const LeaderFence fence = given_leader();
  must(await(store().commit_plan(fence, firing_plan(1), later())));
  const ClaimedRun running = claim().value();
  given_state(running.fence, 1);
  must(await(store().append_log(running.fence, 0, "applying\n")));
  reopen();
  EXPECT_EQ(must(await(store().leadership())).fence, fence);
  EXPECT_EQ(shop().status, WorkspaceStatus::kDeploying);
  EXPECT_EQ(shop().current, before.current);
  EXPECT_EQ(run(running.run.id).status, RunStatus::kRunning);
  EXPECT_EQ(must(await(store().find_claim(running.fence.claim)))->run.id, running.run.id);
  EXPECT_EQ(must(await(store().state_body(slot(), 1))), body(1));
  EXPECT_EQ(must(await(store().state_lock(slot())))->id, "lock-1");
  EXPECT_EQ(must(await(store().occurrences({}))).size(), 1u);
  EXPECT_EQ(must(await(store().log(running.run.id, Attempt(1), 0, 100)))[0].text, "applying\n");
}

}  // namespace
}  // namespace provisioner
