#include "scheduler/agenda.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "scheduler/preview.hpp"
#include "tests/unit/scheduler/story.hpp"

namespace provisioner {
namespace {

using testing::at;
using ::testing::ElementsAre;
using testing::rule;
using testing::rules_of;
using testing::Story;

WorkspaceName named(const char* name) { return WorkspaceName(name); }

TEST(Agenda, HandsOutWhatIsDueEarliestFirstAndOnce) {
  Agenda agenda;
  agenda.note(named("late"), at("2026-01-01T10:00:00Z"));
  agenda.note(named("early"), at("2026-01-01T08:00:00Z"));
  agenda.note(named("next"), at("2026-01-01T09:00:00Z"));
  EXPECT_EQ(agenda.next(), at("2026-01-01T08:00:00Z"));
  EXPECT_TRUE(agenda.take_due(at("2026-01-01T07:59:59Z"), 10).empty());
  EXPECT_THAT(agenda.take_due(at("2026-01-01T09:00:00Z"), 10),
              ElementsAre(named("early"), named("next")));
  EXPECT_EQ(agenda.next(), at("2026-01-01T10:00:00Z"));
}

TEST(Agenda, AtTheSameInstantNamesDecide) {
  Agenda agenda;
  for (const char* name : {"c", "a", "d", "b"})
    agenda.note(named(name), at("2026-01-01T08:00:00Z"));
  EXPECT_THAT(agenda.take_due(at("2026-01-01T08:00:00Z"), 10),
              ElementsAre(named("a"), named("b"), named("c"), named("d")));
}

TEST(Agenda, HandsOutAtMostABatch) {
  Agenda agenda;
  agenda.note(named("a"), at("2026-01-01T08:00:00Z"));
  agenda.note(named("b"), at("2026-01-01T08:00:01Z"));
  EXPECT_THAT(agenda.take_due(at("2026-01-01T09:00:00Z"), 1), ElementsAre(named("a")));
  EXPECT_THAT(agenda.take_due(at("2026-01-01T09:00:00Z"), 1), ElementsAre(named("b")));
}

TEST(Agenda, ALaterNoteReplacesTheEarlierOne) {
  Agenda agenda;
  agenda.note(named("a"), at("2026-01-01T08:00:00Z"));
  agenda.note(named("a"), at("2026-01-01T10:00:00Z"));
  EXPECT_EQ(agenda.size(), 1U);
  EXPECT_TRUE(agenda.take_due(at("2026-01-01T09:00:00Z"), 10).empty());
  agenda.forget(named("a"));
  EXPECT_EQ(agenda.next(), std::nullopt);
}

TEST(Preview, ListsWhatWillHappenWithTheChangeOfTheClocks) {
  const Story story(rules_of("30 2 * * *", "0 18 * * *"), "Europe/Berlin");
  const auto points =
      preview(story.timeline, at("2026-03-28T12:00:00Z"), at("2026-03-30T00:00:00Z"), 10);
  ASSERT_TRUE(points);
  std::vector<std::string> lines;
  for (const auto& p : *points) {
    lines.push_back(fmt::format("{} {} {}", p.local_time, to_string(p.action), p.schedule));
  }
  EXPECT_THAT(lines, ElementsAre("2026-03-28T18:00:00+01:00 destroy destroy_schedule",
                                 "2026-03-29T03:00:00+02:00 deploy deploy_schedule",
                                 "2026-03-29T18:00:00+02:00 destroy destroy_schedule"));
  EXPECT_EQ(points->front().timezone, "Europe/Berlin");
}

TEST(Preview, SaysWhichOfTwoAtOneInstantIsOverruled) {
  const Story story(rules_of("0 8 * * *", "0 8 * * *"));
  const auto points = preview_next(story.timeline, at("2026-03-28T12:00:00Z"), 1);
  ASSERT_TRUE(points);
  ASSERT_EQ(points->size(), 1U);
  EXPECT_EQ(points->front().action, Action::kDestroy);
  EXPECT_TRUE(points->front().overruled);
}

}  // namespace
}  // namespace provisioner
