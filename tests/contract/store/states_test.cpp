#include "tests/contract/store/store_contract.hpp"

namespace provisioner {
namespace {

TEST_P(StoreContract, ALockedWriteBecomesTheNextVersion) {
  given_workspace();
  const ClaimedRun running = given_running();
  EXPECT_FALSE(must(await(store().current_state(slot()))));
  const StateVersion first = given_state(running.fence, 1);
  EXPECT_EQ(first.number, 1);
  EXPECT_EQ(first.meta, meta(1));
  EXPECT_EQ(first.run, running.run.id);
  EXPECT_EQ(first.attempt, Attempt(1));
  EXPECT_EQ(first.written_by, "run " + running.run.id.value);
  const StateVersion second = given_state(running.fence, 4);
  EXPECT_EQ(second.number, 2);
  EXPECT_EQ(must(await(store().current_state(slot())))->meta, meta(4));
  EXPECT_EQ(must(await(store().state_body(slot(), 1))), body(1));
  EXPECT_EQ(outcome(await(store().state_body(slot(), 9))), "not_found");
  EXPECT_EQ(must(await(store().state_versions(slot()))).front().number, 2) << "newest first";
}

TEST_P(StoreContract, I5_AWriteKeepsLineageAndRaisesTheSerial) {
  given_workspace();
  const ClaimedRun running = given_running();
  given_state(running.fence, 5);
  StateMeta other_content = meta(5);
  other_content.sha256 = "different";
  struct Case {
    const char* what;
    StateMeta meta;
    std::string lock_id;
    std::string expected;
  };
  const std::vector<Case> cases = {
      {"identical", meta(5), "lock-1", "ok"},
      {"lower serial", meta(4), "lock-1", "conflict"},
      {"same serial, other content", other_content, "lock-1", "conflict"},
      {"another lineage", meta(6, "lineage-2"), "lock-1", "conflict"},
      {"another lock", meta(6), "lock-9", "conflict"},
      {"no lock", meta(6), "", "conflict"},
      {"identical with another lock", meta(5), "lock-9", "conflict"},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(outcome(await(
                  store().write_state(slot(), running.fence, c.lock_id, c.meta, "{}", "", now_))),
              c.expected)
        << c.what;
  }
  EXPECT_EQ(must(await(store().state_versions(slot()))).size(), 1u);
  must(await(store().unlock_state(slot(), running.fence, "lock-1")));
  EXPECT_EQ(
      outcome(await(store().write_state(slot(), running.fence, "lock-1", meta(6), "{}", "", now_))),
      "conflict")
      << "nobody writes without a lock";
}

TEST_P(StoreContract, ALockIsOursAgainWithTheSameIdAndShowsItselfToOthers) {
  given_workspace();
  const ClaimedRun running = given_running();
  EXPECT_FALSE(must(await(store().lock_state(slot(), running.fence, lock("mine")))));
  EXPECT_FALSE(must(await(store().lock_state(slot(), running.fence, lock("mine")))))
      << "a lost reply";
  const auto in_the_way = must(await(store().lock_state(slot(), running.fence, lock("second"))));
  ASSERT_TRUE(in_the_way);
  EXPECT_EQ(in_the_way->id, "mine");
  EXPECT_EQ(in_the_way->info_json, lock("mine").info_json) << "verbatim";
  EXPECT_EQ(in_the_way->run, running.run.id);
  EXPECT_EQ(in_the_way->attempt, Attempt(1));
  EXPECT_TRUE(must(await(store().lock_state(slot(), std::nullopt, lock("mine")))))
      << "the id alone does not make a person the holder";
  EXPECT_EQ(outcome(await(store().lock_state(slot(), running.fence, lock("")))), "invalid");
}

TEST_P(StoreContract, UnlockingIsForTheHolderAndMayBeRepeated) {
  given_workspace();
  const ClaimedRun running = given_running();
  must(await(store().lock_state(slot(), running.fence, lock("mine"))));
  EXPECT_EQ(outcome(await(store().unlock_state(slot(), running.fence, "other"))), "conflict");
  EXPECT_EQ(outcome(await(store().unlock_state(slot(), running.fence, ""))), "conflict");
  EXPECT_EQ(outcome(await(store().unlock_state(slot(), std::nullopt, "mine"))), "conflict");
  EXPECT_EQ(outcome(await(store().unlock_state(slot(), running.fence, "mine"))), "ok");
  EXPECT_EQ(outcome(await(store().unlock_state(slot(), running.fence, "mine"))), "ok");
  EXPECT_FALSE(must(await(store().state_lock(slot()))));
}

TEST_P(StoreContract, APersonsCommandLocksWritesAndUnlocks) {
  given_workspace();
  EXPECT_FALSE(must(await(store().lock_state(slot(), std::nullopt, lock("by-hand")))));
  const StateVersion written = must(await(store().write_state(
      slot(), std::nullopt, "by-hand", meta(1), body(1), "uid:0 (tofu)", now_)));
  EXPECT_EQ(written.written_by, "uid:0 (tofu)");
  EXPECT_FALSE(written.run);
  const ClaimedRun running = given_running();
  EXPECT_TRUE(must(await(store().lock_state(slot(), running.fence, lock("run")))));
  EXPECT_EQ(outcome(await(
                store().write_state(slot(), running.fence, "by-hand", meta(2), body(2), "", now_))),
            "conflict")
      << "I5: knowing the id of another's lock is not holding it";
  EXPECT_EQ(outcome(await(store().unlock_state(slot(), std::nullopt, "by-hand"))), "ok");
  EXPECT_FALSE(must(await(store().lock_state(slot(), running.fence, lock("run")))));
}

TEST_P(StoreContract, AForcedUnlockReleasesAnybodysLock) {
  given_workspace();
  const ClaimedRun running = given_running();
  EXPECT_FALSE(must(await(store().force_unlock(slot()))));
  must(await(store().lock_state(slot(), running.fence, lock("mine"))));
  EXPECT_EQ(must(await(store().force_unlock(slot())))->id, "mine");
  EXPECT_FALSE(must(await(store().state_lock(slot()))));
}

TEST_P(StoreContract, APushHasOnlyTheLockInItsWay) {
  given_workspace();
  must(await(store().push_state(slot(), meta(9), body(9), "uid:0 (push)", now_)));
  const StateVersion back =
      must(await(store().push_state(slot(), meta(2, "other"), body(2), "uid:0 (push)", now_)));
  EXPECT_EQ(back.number, 2);
  EXPECT_EQ(must(await(store().current_state(slot())))->meta, meta(2, "other"));
  must(await(store().lock_state(slot(), std::nullopt, lock("by-hand"))));
  EXPECT_EQ(outcome(await(store().push_state(slot(), meta(3), body(3), "uid:0", now_))),
            "conflict");
}

TEST_P(StoreContract, I1_ARunTouchesTheStateOfItsOwnWorkspaceOnly) {
  given_workspace();
  given_workspace("other");
  const ClaimedRun running = given_running();
  EXPECT_EQ(outcome(await(store().lock_state(slot("other"), running.fence, lock("x")))), "denied");
  EXPECT_EQ(outcome(await(store().write_state(slot("other"), running.fence, "x", meta(1), body(1),
                                              "", now_))),
            "denied");
  EXPECT_EQ(outcome(await(store().lock_state(slot("nothing"), std::nullopt, lock("x")))),
            "not_found");
  EXPECT_EQ(outcome(await(store().push_state(slot("nothing"), meta(1), body(1), "", now_))),
            "not_found");
}

TEST_P(StoreContract, SlotsOfOneWorkspaceHaveStatesOfTheirOwn) {
  given_workspace();
  const StateSlot job{.workspace = WorkspaceName(kShop), .job = "backup"};
  must(await(store().push_state(slot(), meta(1), body(1), "", now_)));
  must(await(store().push_state(job, meta(5), body(5), "", now_)));
  EXPECT_EQ(must(await(store().current_state(slot())))->meta, meta(1));
  EXPECT_EQ(must(await(store().current_state(job)))->number, 1);
}

TEST_P(StoreContract, ALargeStateIsKeptByteForByte) {
  given_workspace();
  std::string large(6 << 20, 'x');
  large[1000] = '\0';
  large.back() = '\xff';
  must(await(store().push_state(slot(), meta(1), large, "", now_)));
  EXPECT_EQ(must(await(store().state_body(slot(), 1))), large);
}

}  // namespace
}  // namespace provisioner
