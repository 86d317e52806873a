// How instances tell each other what was committed.
#include <gtest/gtest.h>

#include "store/postgres/changes.hpp"

namespace provisioner::postgres {
namespace {

using Topic = Change::Topic;

Announcement of(std::uint64_t xid, std::vector<Change> changes) {
  return {xid, std::move(changes)};
}

TEST(PostgresChanges, ArriveAsTheyWereSent) {
  const auto payloads =
      to_payloads("a", {of(7, {{Topic::kRun, "r1", "blog"}, {Topic::kWorkspace, "shop"}}),
                        of(8, {{Topic::kLeadership, ""}})});
  ASSERT_EQ(payloads.size(), 1u) << "what gathers goes out together";
  const auto heard = from_payload(payloads[0], "b").value();
  ASSERT_EQ(heard.size(), 2u);
  EXPECT_EQ(heard[0].xid, 7u);
  ASSERT_EQ(heard[0].changes.size(), 2u);
  EXPECT_EQ(heard[0].changes[0].key, "r1");
  EXPECT_EQ(heard[0].changes[0].workspace, "blog");
  EXPECT_EQ(heard[0].changes[1].topic, Topic::kWorkspace);
  EXPECT_EQ(heard[0].changes[1].key, "shop");
  EXPECT_EQ(heard[1].xid, 8u);
  EXPECT_EQ(heard[1].changes[0].key, "");
}

TEST(PostgresChanges, OurOwnAndAnotherProgramsAreNotHeard) {
  const auto payloads = to_payloads("a", {of(7, {{Topic::kRun, "r1", "shop"}})});
  EXPECT_FALSE(from_payload(payloads[0], "a"));
  EXPECT_FALSE(from_payload("hello\nworld", "a"));
  EXPECT_FALSE(from_payload("b\n7\t9x", "a"));
  EXPECT_FALSE(from_payload("b\n7\t1r1", "a")) << "whose run? A look at the tables tells";
}

TEST(PostgresChanges, LogsAreNotSent) {
  EXPECT_TRUE(to_payloads("a", {of(7, {{Topic::kLog, "r1"}})}).empty());
}

TEST(PostgresChanges, ManyAreSentInPiecesThatPostgresTakes) {
  std::vector<Change> many;
  for (int i = 0; i < 2000; ++i) many.push_back({Topic::kWorkspace, std::string(40, 'w')});
  std::size_t heard = 0;
  for (const auto& payload : to_payloads("a", {of(7, many)})) {
    EXPECT_LT(payload.size(), 8000u);
    const auto parts = from_payload(payload, "b");
    ASSERT_TRUE(parts);
    for (const auto& part : *parts) heard += part.changes.size();
  }
  EXPECT_EQ(heard, many.size());
}

TEST(PostgresChanges, EachIsToldOnceAndAnotherTransactionIsNews) {
  Told told;
  EXPECT_TRUE(told.note(7, {Topic::kRun, "r1"}));
  EXPECT_FALSE(told.note(7, {Topic::kRun, "r1"}));
  EXPECT_TRUE(told.note(8, {Topic::kRun, "r1"}));
  told.forget_before(8);
  EXPECT_FALSE(told.note(8, {Topic::kRun, "r1"})) << "it is still asked for";
}

}  // namespace
}  // namespace provisioner::postgres
