#include "tests/contract/store/store_contract.hpp"

namespace provisioner {
namespace {

ProcessIdentity process(std::int64_t guard_pid = 42) {
  return {.machine_id = "machine",
          .boot_id = "boot",
          .pid_namespace = "4026531836",
          .guard_pid = guard_pid,
          .guard_start = 1234,
          .directory = "/var/lib/provisioner/work/shop/1"};
}

TEST_P(StoreContract, AClaimStartsAnAttempt) {
  given_workspace();
  const LeaderFence leader = given_leader();
  const Run queued = given_queued();
  ClaimRequest request = claim_request();
  request.fence = leader;
  const ClaimedRun claimed = must(await(store().claim_next(request))).value();
  EXPECT_EQ(claimed.run, run(queued.id));
  EXPECT_EQ(claimed.run.status, RunStatus::kRunning);
  EXPECT_EQ(claimed.run.attempt, Attempt(1));
  EXPECT_EQ(claimed.run.instance, InstanceId("host-1"));
  EXPECT_EQ(claimed.run.term, leader.term);
  EXPECT_EQ(claimed.run.started_at, now_);
  EXPECT_EQ(claimed.fence, (AttemptFence{queued.id, Attempt(1), request.claim}));
  EXPECT_EQ(claimed.base_state, 0);
  EXPECT_EQ(claimed.lock_file, "");
  EXPECT_EQ(shop().status, WorkspaceStatus::kDeploying);
  EXPECT_EQ(shop().deployed, definition("v1"));

  const auto rows = must(await(store().running_attempts()));
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].run, queued.id);
  EXPECT_EQ(rows[0].workspace, WorkspaceName(kShop));
  EXPECT_EQ(rows[0].attempt, Attempt(1));
  EXPECT_EQ(rows[0].status, RunStatus::kRunning);
  EXPECT_FALSE(rows[0].process);
  EXPECT_EQ(rows[0].started_at, now_);
  EXPECT_EQ(rows[0].lease_expires_at, now_ + std::chrono::seconds(150));
}

TEST_P(StoreContract, AnEmptyQueueGivesNothing) { EXPECT_FALSE(claim()); }

TEST_P(StoreContract, I1_OneRunIsClaimedOnce) {
  given_workspace();
  given_queued();
  EXPECT_TRUE(claim());
  EXPECT_FALSE(claim());
  EXPECT_EQ(must(await(store().running_attempts())).size(), 1u);
}

TEST_P(StoreContract, AfterALostReplyTheClaimIsFoundOrRepeated) {
  given_workspace();
  given_workspace("other");
  given_queued();
  given_queued("other");
  const ClaimRequest request = claim_request();
  EXPECT_FALSE(must(await(store().find_claim(request.claim))));
  const ClaimedRun first = must(await(store().claim_next(request))).value();
  const ClaimedRun found = must(await(store().find_claim(request.claim))).value();
  EXPECT_EQ(found.run, first.run);
  EXPECT_EQ(found.fence, first.fence);
  const ClaimedRun repeated = must(await(store().claim_next(request))).value();
  EXPECT_EQ(repeated.fence, first.fence);
  interrupt(first.fence);
  EXPECT_FALSE(must(await(store().find_claim(request.claim)))) << "it must not be started any more";
  EXPECT_EQ(outcome(await(store().claim_next(request))), "conflict");
}

TEST_P(StoreContract, ARunnerRegistersOnce) {
  given_workspace();
  const ClaimedRun running = given_running();
  EXPECT_EQ(outcome(await(store().register_attempt(running.fence, process()))), "ok");
  EXPECT_EQ(must(await(store().attempts(running.run.id)))[0].process, process());
  EXPECT_EQ(outcome(await(store().register_attempt(running.fence, process()))), "ok")
      << "a lost reply";
  EXPECT_EQ(outcome(await(store().register_attempt(running.fence, process(43)))), "conflict");
  EXPECT_EQ(must(await(store().attempts(running.run.id)))[0].heartbeat_seq, 2)
      << "the runner counts its lease from the call that was answered";
}

TEST_P(StoreContract, AHeartbeatCountsAndRenews) {
  given_workspace();
  const ClaimedRun running = given_running();
  const Instant expires = now_ + std::chrono::minutes(5);
  for (int i = 0; i < 3; ++i) must(await(store().heartbeat(running.fence, expires)));
  const auto rows = must(await(store().attempts(running.run.id)));
  EXPECT_EQ(rows[0].heartbeat_seq, 3);
  EXPECT_EQ(rows[0].lease_expires_at, expires);
}

TEST_P(StoreContract, AFinishedAttemptEndsRunAndWorkspace) {
  given_workspace();
  const ClaimedRun running = given_running();
  given_state(running.fence, 1);
  const Instant end = now_ + std::chrono::minutes(3);
  const AttemptResult result{.status = RunStatus::kSucceeded,
                             .exit_code = 0,
                             .resources = {.add = 3, .change = 2, .destroy = 1},
                             .lock_file = "provider locks",
                             .ttl_expires_at = end + std::chrono::hours(8)};
  ASSERT_EQ(outcome(await(store().finish_attempt(running.fence, result, end))), "ok");
  const Run ended = run(running.run.id);
  EXPECT_EQ(ended.status, RunStatus::kSucceeded);
  EXPECT_EQ(ended.finished_at, end);
  EXPECT_EQ(ended.exit_code, 0);
  EXPECT_EQ(ended.resources, result.resources);
  EXPECT_EQ(shop().status, WorkspaceStatus::kDeployed);
  EXPECT_EQ(shop().last_deployed, end);
  EXPECT_EQ(shop().ttl_expires_at, result.ttl_expires_at);
  EXPECT_FALSE(must(await(store().state_lock(slot())))) << "the lock ends with its attempt";
  EXPECT_TRUE(must(await(store().running_attempts())).empty());
  EXPECT_EQ(must(await(store().attempts(ended.id)))[0].finished_at, end);
  EXPECT_EQ(outcome(await(store().finish_attempt(running.fence, result, end))), "ok")
      << "a lost reply";
  EXPECT_EQ(given_running().lock_file, "provider locks");
  EXPECT_EQ(must(await(store().lock_file(slot().workspace))), "provider locks");
  EXPECT_EQ(must(await(store().lock_file(WorkspaceName("unknown")))), "");
}

TEST_P(StoreContract, AResultTakesTheEndOfItsLogAlong) {
  given_workspace();
  const ClaimedRun running = given_running();
  must(await(store().append_log(running.fence, 0, "one\ntwo\n")));
  const AttemptResult result{.status = RunStatus::kSucceeded};
  const LogEnd end{.offset = 4, .text = "two\nthree\n"};
  for (int tries = 0; tries < 2; ++tries) {
    EXPECT_EQ(outcome(await(store().finish_attempt(running.fence, result, now_, end))), "ok");
  }
  std::string whole;
  for (const auto& chunk : must(await(store().log(running.run.id, Attempt(0), 0, 1000)))) {
    whole += chunk.text;
  }
  EXPECT_EQ(whole, "one\ntwo\nthree\n") << "repeated text and repeated calls add nothing";
}

TEST_P(StoreContract, ALogWithAGapDoesNotKeepAnAttemptFromEnding) {
  given_workspace();
  const ClaimedRun running = given_running();
  EXPECT_EQ(outcome(await(store().finish_attempt(running.fence, {.status = RunStatus::kSucceeded},
                                                 now_, {.offset = 100, .text = "lost"}))),
            "ok");
  EXPECT_EQ(run(running.run.id).status, RunStatus::kSucceeded);
  EXPECT_TRUE(must(await(store().log(running.run.id, Attempt(0), 0, 1000))).empty());
}

TEST_P(StoreContract, AClaimBringsTheContent) {
  given_workspace();
  const ClaimedRun running = given_running();
  EXPECT_EQ(running.bundle, must(await(store().bundle(running.run.definition.bundle))));
}

TEST_P(StoreContract, AFailureSaysWhy) {
  given_workspace();
  const ClaimedRun running = given_running(kShop, Operation::kDestroy);
  must(await(store().finish_attempt(
      running.fence, {.status = RunStatus::kFailed, .exit_code = 1, .error = "no credentials"},
      now_)));
  EXPECT_EQ(run(running.run.id).error, "no credentials");
  EXPECT_EQ(shop().status, WorkspaceStatus::kDestroyFailed);
  EXPECT_EQ(shop().last_destroy_error, "no credentials");
  EXPECT_TRUE(shop().retry_at);
}

TEST_P(StoreContract, AnAttemptEndsWithAnEnd) {
  given_workspace();
  const ClaimedRun running = given_running();
  for (const RunStatus status : {RunStatus::kQueued, RunStatus::kRunning}) {
    EXPECT_EQ(outcome(await(store().finish_attempt(running.fence, {.status = status}, now_))),
              "invalid");
  }
}

// What every attempt that is not the running one gets for whatever it writes.
TEST_P(StoreContract, I1_NothingOfAStaleAttemptIsWritten) {
  given_workspace();
  const ClaimedRun first = given_running();
  given_state(first.fence, 1);
  must(await(store().append_log(first.fence, 0, "one\n")));
  interrupt(first.fence);
  const ClaimedRun second = claim().value();
  ASSERT_EQ(second.run.id, first.run.id);
  ASSERT_EQ(second.run.attempt, Attempt(2));
  must(await(store().lock_state(slot(), second.fence, lock("lock-2"))));

  AttemptFence guessed = second.fence;
  guessed.claim = claim_id();
  AttemptFence old_number = second.fence;
  old_number.attempt = Attempt(1);
  AttemptFence future = second.fence;
  future.attempt = Attempt(3);
  for (const AttemptFence& fence : {first.fence, guessed, old_number, future}) {
    EXPECT_EQ(outcome(await(store().register_attempt(fence, process()))), "fenced");
    EXPECT_EQ(outcome(await(store().heartbeat(fence, now_))), "fenced");
    EXPECT_EQ(outcome(await(store().append_log(fence, 0, "late"))), "fenced");
    EXPECT_EQ(outcome(await(store().lock_state(slot(), fence, lock("lock-2")))), "fenced");
    EXPECT_EQ(outcome(await(store().unlock_state(slot(), fence, "lock-2"))), "fenced");
    EXPECT_EQ(
        outcome(await(store().write_state(slot(), fence, "lock-2", meta(2), body(2), "", now_))),
        "fenced");
    EXPECT_EQ(
        outcome(await(store().write_state(slot(), fence, "lock-2", meta(1), body(1), "", now_))),
        "fenced")
        << "not even what is there already";
    EXPECT_EQ(
        outcome(await(store().finish_attempt(fence, {.status = RunStatus::kSucceeded}, now_))),
        "fenced");
  }
  EXPECT_EQ(run(first.run.id).status, RunStatus::kRunning);
  EXPECT_EQ(must(await(store().current_state(slot())))->number, 1);
  EXPECT_EQ(must(await(store().state_lock(slot())))->id, "lock-2");
  EXPECT_EQ(must(await(store().log(first.run.id, Attempt(0), 0, 1000))).size(), 1u);
  EXPECT_FALSE(must(await(store().attempts(first.run.id)))[1].process);
}

TEST_P(StoreContract, ALogIsAppendedOnceHoweverOftenItIsSent) {
  given_workspace();
  const ClaimedRun running = given_running();
  const auto append = [&](std::int64_t offset, const std::string& text) {
    return outcome(await(store().append_log(running.fence, offset, text)));
  };
  EXPECT_EQ(append(0, "hello "), "ok");
  EXPECT_EQ(append(0, "hello "), "ok");
  EXPECT_EQ(append(0, "hello world"), "ok") << "cut in another way after a restart of the runner";
  EXPECT_EQ(append(3, "lo wo"), "ok");
  EXPECT_EQ(append(20, "a gap"), "invalid");
  EXPECT_EQ(append(11, ""), "ok");
  EXPECT_EQ(append(11, std::string("\0\xff!", 3)), "ok");
  std::string all;
  for (const auto& chunk : must(await(store().log(running.run.id, Attempt(1), 0, 1000)))) {
    EXPECT_EQ(chunk.offset, static_cast<std::int64_t>(all.size()));
    all += chunk.text;
  }
  EXPECT_EQ(all, std::string("hello world\0\xff!", 14));
}

TEST_P(StoreContract, ALogIsReadFromAnyPlaceOverAllAttempts) {
  given_workspace();
  const ClaimedRun first = given_running();
  must(await(store().append_log(first.fence, 0, "aaaa")));
  must(await(store().append_log(first.fence, 4, "bbbb")));
  interrupt(first.fence);
  const ClaimedRun second = claim().value();
  must(await(store().append_log(second.fence, 0, "cccc")));
  const auto read = [&](std::int64_t attempt, std::int64_t offset, std::int64_t limit) {
    std::string all;
    for (const auto& c : must(await(store().log(first.run.id, Attempt(attempt), offset, limit)))) {
      all += std::to_string(c.attempt.value) + "@" + std::to_string(c.offset) + ":" + c.text + " ";
    }
    return all;
  };
  EXPECT_EQ(read(0, 0, 100), "1@0:aaaa 1@4:bbbb 2@0:cccc ");
  EXPECT_EQ(read(1, 4, 100), "1@4:bbbb 2@0:cccc ");
  EXPECT_EQ(read(1, 6, 100), "1@6:bb 2@0:cccc ");
  EXPECT_EQ(read(1, 8, 100), "2@0:cccc ");
  EXPECT_EQ(read(2, 4, 100), "");
  EXPECT_EQ(read(0, 0, 8), "1@0:aaaa 1@4:bbbb ");
  EXPECT_EQ(read(0, 0, 1), "1@0:aaaa ") << "one chunk at least";
}

}  // namespace
}  // namespace provisioner
