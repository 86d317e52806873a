#include "tests/contract/store/store_contract.hpp"

namespace provisioner {
namespace {

TEST_P(StoreContract, APublishedWorkspaceIsPendingAndStartsWhereItWasTold) {
  const Workspace w = given_workspace();
  EXPECT_EQ(w.status, WorkspaceStatus::kPending);
  EXPECT_EQ(w.current, definition("v1"));
  EXPECT_EQ(w.description, "the shop");
  EXPECT_FALSE(w.deployed);
  EXPECT_EQ(w.version, Version(1));
  EXPECT_EQ(w.created_at, now_);
  EXPECT_EQ(shop_cursor().cursor, now_);
  EXPECT_EQ(shop_cursor().config_version, w.config_version);
  const auto changes = must(await(store().config_changes(WorkspaceName(kShop), 10)));
  ASSERT_EQ(changes.size(), 1u);
  EXPECT_EQ(changes[0].change_type, "created");
  EXPECT_EQ(changes[0].old_config, "");
  EXPECT_EQ(changes[0].new_config, definition("v1").config);
  EXPECT_EQ(changes[0].changed_by, "instance host-1");
}

TEST_P(StoreContract, EachWorkspaceHasACursorOfItsOwn) {
  given_workspace();
  Publication other = publication("other");
  other.first_cursor = now_ + std::chrono::hours(1);
  must(await(store().publish(other, now_)));
  EXPECT_EQ(shop_cursor().workspace, WorkspaceName(kShop));
  EXPECT_EQ(shop_cursor().cursor, now_);
  EXPECT_EQ(must(await(store().view({.workspace = WorkspaceName("other")}))).cursor.cursor,
            other.first_cursor);
  EXPECT_EQ(must(await(store().cursors())).size(), 2u);
}

TEST_P(StoreContract, PublishingWhatIsCurrentChangesNothing) {
  const Workspace first = given_workspace();
  const Workspace again =
      must(await(store().publish(publication(kShop), now_ + std::chrono::hours(1))));
  EXPECT_EQ(first, again);
  EXPECT_EQ(must(await(store().config_changes(WorkspaceName(kShop), 10))).size(), 1u);
}

TEST_P(StoreContract, PublishingNeedsTheBundle) {
  EXPECT_EQ(outcome(await(store().publish(publication(kShop), now_))), "invalid");
  EXPECT_EQ(outcome(await(store().workspace(WorkspaceName(kShop)))), "not_found");
}

TEST_P(StoreContract, AnEditedWorkspaceKeepsItsCursorUnlessItsScheduleChanged) {
  const Workspace first = given_workspace();
  const Instant start = shop_cursor().cursor;
  const Instant hour_later = now_ + std::chrono::hours(1);
  must(await(store().put_bundle(definition("v2").bundle, "two")));
  Publication edited = publication(kShop, "v2");

  const Workspace second = must(await(store().publish(edited, hour_later)));
  EXPECT_EQ(second.current, definition("v2"));
  EXPECT_GT(second.config_version, first.config_version);
  EXPECT_GT(second.version, first.version);
  EXPECT_EQ(second.last_config_modified, hour_later);
  EXPECT_EQ(shop_cursor().cursor, start);

  edited.schedule_hash = "hourly";
  const Workspace third = must(await(store().publish(edited, hour_later)));
  EXPECT_GT(third.config_version, second.config_version);
  EXPECT_EQ(shop_cursor().cursor, hour_later);
}

TEST_P(StoreContract, I3_AnEditedScheduleNeverMovesTheCursorBack) {
  given_workspace();
  Publication edited = publication(kShop);
  edited.schedule_hash = "hourly";
  must(await(store().publish(edited, now_ - std::chrono::hours(1))));
  EXPECT_EQ(shop_cursor().cursor, now_);
}

TEST_P(StoreContract, DisablingByHandOutlivesTheSameFileAndEndsWithAnotherOne) {
  Workspace w = given_workspace();
  w.enabled = false;
  const Workspace disabled = must(await(store().update_workspace(w, now_)));
  EXPECT_GT(disabled.config_version, w.config_version);
  EXPECT_FALSE(must(await(store().publish(publication(kShop), now_))).enabled);
  Publication file_says_off = publication(kShop);
  file_says_off.enabled = false;
  EXPECT_FALSE(must(await(store().publish(file_says_off, now_))).enabled);
  EXPECT_TRUE(must(await(store().publish(publication(kShop), now_))).enabled);
}

TEST_P(StoreContract, WhatIsEnabledOrReleasedGoesOnAtNow) {
  Workspace w = given_workspace();
  const Instant start = shop_cursor().cursor;
  w.enabled = false;
  w = must(await(store().update_workspace(w, now_)));
  EXPECT_EQ(shop_cursor().cursor, start);
  w.enabled = true;
  w = must(await(store().update_workspace(w, now_ + std::chrono::hours(1))));
  EXPECT_EQ(shop_cursor().cursor, now_ + std::chrono::hours(1));
  w.held = true;
  w = must(await(store().update_workspace(w, now_ + std::chrono::hours(2))));
  EXPECT_EQ(shop_cursor().cursor, now_ + std::chrono::hours(1));
  w.held = false;
  w = must(await(store().update_workspace(w, now_ + std::chrono::hours(3))));
  EXPECT_EQ(shop_cursor().cursor, now_ + std::chrono::hours(3));
  // Whose clock is behind does not move it back.
  w.enabled = false;
  w = must(await(store().update_workspace(w, now_)));
  w.enabled = true;
  must(await(store().update_workspace(w, now_)));
  EXPECT_EQ(shop_cursor().cursor, now_ + std::chrono::hours(3));
}

TEST_P(StoreContract, AHoldThatHasEndedByItselfIsTakenAwayWithoutSkippingAnything) {
  Workspace w = given_workspace();
  const Instant start = shop_cursor().cursor;
  w.held = true;
  w.hold_until = now_ + std::chrono::hours(1);
  w = must(await(store().update_workspace(w, now_)));
  w.held = false;
  w.hold_until.reset();
  must(await(store().update_workspace(w, now_ + std::chrono::hours(2))));
  EXPECT_EQ(shop_cursor().cursor, start);
}

TEST_P(StoreContract, AVanishedFolderDetachesAndComesBack) {
  given_workspace();
  must(await(store().detach(WorkspaceName(kShop), InstanceId(), "instance host-1", now_)));
  EXPECT_TRUE(shop().detached);
  EXPECT_EQ(shop().current, definition("v1"));
  const Version version = shop().version;
  must(await(store().detach(WorkspaceName(kShop), InstanceId(), "instance host-1", now_)));
  EXPECT_EQ(shop().version, version);
  EXPECT_FALSE(must(await(store().publish(publication(kShop), now_))).detached);
  std::vector<std::string> types;
  for (const auto& change : must(await(store().config_changes(WorkspaceName(kShop), 10)))) {
    types.push_back(change.change_type);
  }
  EXPECT_EQ(types, (std::vector<std::string>{"returned", "detached", "created"}));
  EXPECT_EQ(outcome(await(store().detach(WorkspaceName("nothing"), InstanceId(), "x", now_))),
            "not_found");
}

TEST_P(StoreContract, OfTwoWritersOfARowTheSecondIsToldToLookAgain) {
  Workspace mine = given_workspace();
  Workspace theirs = mine;
  mine.held = true;
  mine.hold_until = now_ + std::chrono::hours(2);
  mine.hold_reason = "audit";
  const Workspace held = must(await(store().update_workspace(mine, now_)));
  EXPECT_EQ(held.version, mine.version.next());
  EXPECT_EQ(held.hold_until, mine.hold_until);
  theirs.enabled = false;
  EXPECT_EQ(outcome(await(store().update_workspace(theirs, now_))), "version_conflict");
  EXPECT_TRUE(shop().enabled);
}

TEST_P(StoreContract, PeopleWriteOnlyWhatPeopleSet) {
  Workspace w = given_workspace();
  w.status = WorkspaceStatus::kDestroyed;
  w.current = definition("v9");
  w.ttl_expires_at = now_ + std::chrono::hours(4);
  w.retry_at = now_;
  must(await(store().update_workspace(w, now_)));
  EXPECT_EQ(shop().status, WorkspaceStatus::kPending);
  EXPECT_EQ(shop().current, definition("v1"));
  EXPECT_EQ(shop().ttl_expires_at, w.ttl_expires_at);
  EXPECT_EQ(shop().retry_at, w.retry_at);
}

TEST_P(StoreContract, WorkspacesComeByName) {
  for (const char* name : {"web", "api", "shop"}) given_workspace(name);
  std::vector<std::string> names;
  for (const auto& w : must(await(store().workspaces()))) names.push_back(w.name.value);
  EXPECT_EQ(names, (std::vector<std::string>{"api", "shop", "web"}));
}

TEST_P(StoreContract, ARemovedWorkspaceIsForgottenWithAllItHad) {
  given_workspace();
  must(await(store().commit_plan(given_leader(), firing_plan(1), later())));
  const ClaimedRun running = claim().value();
  given_state(running.fence, 1);
  must(await(store().append_log(running.fence, 0, "log")));
  const auto remove = [&] {
    return outcome(await(store().remove_workspace(WorkspaceName(kShop), "uid:0", now_)));
  };
  EXPECT_EQ(remove(), "conflict");
  must(await(store().finish_attempt(running.fence, {.status = RunStatus::kSucceeded}, now_)));
  given_queued();
  EXPECT_EQ(remove(), "ok");
  EXPECT_EQ(remove(), "not_found");
  EXPECT_TRUE(must(await(store().runs({}))).empty());
  EXPECT_TRUE(must(await(store().occurrences({}))).empty());
  EXPECT_TRUE(must(await(store().cursors())).empty());
  EXPECT_EQ(outcome(await(store().view({.workspace = WorkspaceName(kShop)}))), "not_found");
  EXPECT_TRUE(must(await(store().state_versions(slot()))).empty());
  EXPECT_EQ(must(await(store().config_changes(WorkspaceName(kShop), 1)))[0].change_type, "removed");
  EXPECT_EQ(given_workspace().status, WorkspaceStatus::kPending);
}

TEST_P(StoreContract, BundlesAreKeptByteForByte) {
  const std::string content("a\0b\xff", 4);
  must(await(store().put_bundle(BundleHash("h"), content)));
  must(await(store().put_bundle(BundleHash("h"), content)));
  EXPECT_EQ(must(await(store().bundle(BundleHash("h")))), content);
  must(await(store().put_bundle(BundleHash("empty"), "")));
  EXPECT_EQ(must(await(store().bundle(BundleHash("empty")))), "");
  EXPECT_EQ(outcome(await(store().bundle(BundleHash("none")))), "not_found");
}

}  // namespace
}  // namespace provisioner
