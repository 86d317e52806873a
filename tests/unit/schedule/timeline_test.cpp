#include "schedule/timeline.hpp"

#include <gtest/gtest.h>

#include <random>

namespace provisioner {
namespace {

using namespace std::chrono_literals;

Instant at(std::string_view text) { return parse_rfc3339(text).value(); }
CronExpression cron(std::string_view text) { return CronExpression::parse(text).value(); }
Zone zone(std::string_view name) { return Zone::find(name).value(); }

TimelineRule deploy(std::string label, std::string_view expression) {
  return {std::move(label), Action::kDeploy, "", cron(expression)};
}
TimelineRule destroy(std::string label, std::string_view expression) {
  return {std::move(label), Action::kDestroy, "", cron(expression)};
}
TimelineRule mode(std::string name, std::string_view expression) {
  return {"mode_schedules." + name, Action::kDeploy, name, cron(expression)};
}

// "deploy_schedule 2026-03-08T03:00:00-04:00" for each.
std::vector<std::string> shown(const Timeline& timeline, const std::vector<TimelinePoint>& points) {
  std::vector<std::string> lines;
  lines.reserve(points.size());
  for (const TimelinePoint& point : points) {
    lines.push_back(timeline.rules()[point.rule].label + " " + timeline.local_time(point.at));
  }
  return lines;
}

std::string label_of_last(const Timeline& timeline, const char* until) {
  const auto point = timeline.last(Instant::min(), at(until));
  return point && *point ? timeline.rules()[(*point)->rule].label : "none";
}

TEST(TimelineTest, ListsDeploysAndDestroysInOrder) {
  const Timeline office({deploy("deploy_schedule", "0 8 * * MON-FRI"),
                         destroy("destroy_schedule", "0 18 * * MON-FRI")},
                        zone("Europe/London"), {});
  const auto points = office.points(at("2026-03-27T12:00:00Z"), at("2026-03-30T12:00:00Z"), 100);
  ASSERT_TRUE(points);
  EXPECT_EQ(shown(office, *points),
            (std::vector<std::string>{"destroy_schedule 2026-03-27T18:00:00+00:00",
                                      "deploy_schedule 2026-03-30T08:00:00+01:00"}));
  EXPECT_EQ(office.count(at("2026-03-27T12:00:00Z"), at("2026-03-30T12:00:00Z")), 2);
  EXPECT_EQ(**office.next(at("2026-03-27T12:00:00Z")), points->front());
  EXPECT_EQ(**office.last(at("2026-03-27T12:00:00Z"), at("2026-03-30T12:00:00Z")), points->back());
  EXPECT_EQ(office.points(at("2026-03-27T12:00:00Z"), at("2026-03-30T12:00:00Z"), 1)->size(), 1U);
}

TEST(TimelineTest, HasIntervalsOpenOnTheLeftAndClosedOnTheRight) {
  const Timeline hourly({deploy("deploy_schedule", "0 * * * *")}, zone("UTC"), {});
  const Instant noon = at("2026-01-01T12:00:00Z");
  EXPECT_EQ(*hourly.last(noon, noon), std::nullopt);
  EXPECT_EQ((*hourly.last(noon - 1us, noon))->at, noon);
  EXPECT_EQ(*hourly.last(noon, noon + 59min), std::nullopt);
  EXPECT_EQ((*hourly.last(noon, noon + 60min))->at, noon + 1h);
  EXPECT_EQ((*hourly.next(noon))->at, noon + 1h);
  EXPECT_TRUE(hourly.points(noon, noon + 59min, 10)->empty());
}

TEST(TimelineTest, WithoutRulesHasNoPoints) {
  const Timeline empty({}, zone("UTC"), {});
  const Instant now = at("2026-01-01T00:00:00Z");
  EXPECT_EQ(*empty.next(now), std::nullopt);
  EXPECT_EQ(*empty.last(now, now + 24h), std::nullopt);
  EXPECT_TRUE(empty.points(now, now + 24h, 10)->empty());
  EXPECT_EQ(empty.count(now, now + 24h), 0);
}

TEST(TimelineTest, LetsDeployWinOverDestroyAtOneInstant) {
  for (const bool deploy_first : {true, false}) {
    std::vector<TimelineRule> rules{deploy("deploy_schedule", "0 8 * * *"),
                                    destroy("destroy_schedule", "0 8 * * *")};
    if (!deploy_first) std::swap(rules[0], rules[1]);
    const Timeline timeline(rules, zone("UTC"), {});
    const auto points = timeline.points(at("2026-01-01T00:00:00Z"), at("2026-01-02T00:00:00Z"), 10);
    EXPECT_EQ(shown(timeline, *points),
              (std::vector<std::string>{"destroy_schedule 2026-01-01T08:00:00+00:00",
                                        "deploy_schedule 2026-01-01T08:00:00+00:00"}));
    EXPECT_EQ(**timeline.next(at("2026-01-01T00:00:00Z")), points->back());
    EXPECT_EQ(**timeline.last(Instant::min(), at("2026-01-01T09:00:00Z")), points->back());
    EXPECT_EQ(timeline.count(at("2026-01-01T00:00:00Z"), at("2026-01-02T00:00:00Z")), 2);
  }
}

TEST(TimelineTest, LetsTheAlphabeticallyLastModeWinAtOneInstant) {
  const Timeline timeline({mode("quiet", "0 8 * * *"), mode("busy", "0 * * * *")}, zone("UTC"), {});
  EXPECT_EQ(label_of_last(timeline, "2026-01-01T08:30:00Z"), "mode_schedules.quiet");
  EXPECT_EQ(label_of_last(timeline, "2026-01-01T09:30:00Z"), "mode_schedules.busy");
}

TEST(TimelineTest, KeepsTheLocalOrderOfWhatIsMovedOutOfAGap) {
  // On 8 March the clocks of New York go from 02:00 to 03:00; all of these fall on 03:00.
  const struct {
    const char* deploy;
    const char* destroy;
    const char* winner;
  } cases[] = {
      {"15 2 * * *", "45 2 * * *", "destroy_schedule"},
      {"45 2 * * *", "15 2 * * *", "deploy_schedule"},
      {"30 2 * * *", "30 2 * * *", "deploy_schedule"},
      {"30 2 * * *", "0 3 * * *", "destroy_schedule"},
      {"0 3 * * *", "30 2 * * *", "deploy_schedule"},
      {"15,45 2 * * *", "30 2 * * *", "deploy_schedule"},
      {"30 2 * * *", "15,45 2 * * *", "destroy_schedule"},
      {"30 2 * * *", "0 * * * *", "destroy_schedule"},
  };
  for (const auto& c : cases) {
    const Timeline timeline(
        {deploy("deploy_schedule", c.deploy), destroy("destroy_schedule", c.destroy)},
        zone("America/New_York"), {});
    SCOPED_TRACE(std::string(c.deploy) + " / " + c.destroy);
    EXPECT_EQ(label_of_last(timeline, "2026-03-08T07:00:00Z"), c.winner);
    const auto points = timeline.points(at("2026-03-08T06:30:00Z"), at("2026-03-08T07:00:00Z"), 10);
    ASSERT_EQ(points->size(), 2U);
    EXPECT_EQ(timeline.rules()[points->back().rule].label, c.winner);
    EXPECT_EQ(**timeline.next(at("2026-03-08T06:30:00Z")), points->back());
  }
}

TEST(TimelineTest, FindsTheLastOfAYearOfMinutesWithoutWalkingThem) {
  const Timeline timeline(
      {deploy("deploy_schedule", "* * * * *"), destroy("destroy_schedule", "30 2 * * *")},
      zone("America/New_York"), {});
  const Instant after = at("2025-11-23T00:00:30Z");
  const Instant until = at("2026-11-23T00:00:30Z");
  EXPECT_EQ((*timeline.last(after, until))->at, at("2026-11-23T00:00:00Z"));
  EXPECT_EQ(timeline.count(after, until), 525'600 + 365);
}

TEST(TimelineTest, ReportsTheEndOfTheZoneDataOnlyIfItMatters) {
  const Timeline leap_days({deploy("deploy_schedule", "0 0 29 2 *")}, zone("UTC"), {});
  EXPECT_FALSE(leap_days.next(at("2036-03-01T00:00:00Z")));
  EXPECT_EQ(leap_days.points(at("2036-03-01T00:00:00Z"), at("2037-03-01T00:00:00Z"), 5)->size(),
            0U);
  EXPECT_FALSE(leap_days.points(at("2036-01-01T00:00:00Z"), at("2040-03-01T00:00:00Z"), 5));
  EXPECT_EQ(leap_days.points(at("2036-01-01T00:00:00Z"), at("2040-03-01T00:00:00Z"), 1)->size(),
            1U);
  EXPECT_FALSE(leap_days.count(at("2036-01-01T00:00:00Z"), at("2040-03-01T00:00:00Z")));
  EXPECT_FALSE(leap_days.last(at("2036-01-01T00:00:00Z"), at("2040-03-01T00:00:00Z")));
  const Timeline mixed(
      {deploy("deploy_schedule", "0 0 29 2 *"), destroy("destroy_schedule", "@daily")}, zone("UTC"),
      {});
  EXPECT_EQ((*mixed.next(at("2036-03-01T00:00:00Z")))->at, at("2036-03-02T00:00:00Z"));
}

TEST(TimelineTest, TellsTheSameStoryForwardsAndBackwards) {
  const char* expressions[] = {"30 2 * * *", "0 * * * *",      "15,45 1-3 * * *", "0 2 * * SUN",
                               "@daily",     "*/20 1,2 * * *", "45 1 1 * *",      "0 3 * * *"};
  std::mt19937 random(7);
  for (int round = 0; round < 40; ++round) {
    std::vector<TimelineRule> rules;
    for (int i = 0; i < 3; ++i) {
      const char* text = expressions[random() % std::size(expressions)];
      rules.push_back(random() % 2 == 0 ? deploy("deploy", text) : destroy("destroy", text));
    }
    const Timeline timeline(rules, zone(round % 2 == 0 ? "America/New_York" : "Europe/London"), {});
    const Instant after = at(round % 4 < 2 ? "2026-03-07T00:00:00Z" : "2026-10-23T00:00:00Z");
    const auto points = timeline.points(after, after + 30 * 24h, 100'000);
    ASSERT_TRUE(points && !points->empty());
    EXPECT_EQ(timeline.count(after, after + 30 * 24h), static_cast<std::int64_t>(points->size()));
    for (std::size_t i = 0; i < points->size(); ++i) {
      const TimelinePoint& point = (*points)[i];
      const bool wins = i + 1 == points->size() || (*points)[i + 1].at != point.at;
      if (!wins) continue;
      EXPECT_EQ(**timeline.last(after, point.at), point);
      EXPECT_EQ(**timeline.next(point.at - 1us), point);
    }
  }
}

TEST(Conflicts, NameTheRulesThatMeet) {
  const struct {
    TimelineRule a;
    TimelineRule b;
    const char* part;  // "" = no conflict
    bool is_error;
  } cases[] = {
      {deploy("deploy_schedule", "0 8 * * *"), destroy("destroy_schedule[1]", "0 8 * * MON"),
       "deploy_schedule (0 8 * * *) and destroy_schedule[1] (0 8 * * MON) meet, for example at "
       "08:00: "
       "deploy wins",
       false},
      {deploy("deploy_schedule", "*/15 * * * *"), destroy("destroy_schedule", "45 22 L * *"),
       "meet, for example at 22:45", false},
      {deploy("deploy_schedule", "0 8 * * *"), destroy("destroy_schedule", "0 18 * * *"), "",
       false},
      {deploy("deploy_schedule", "0 8 * * *"), destroy("destroy_schedule", "1 8 * * *"), "", false},
      {deploy("deploy_schedule", "0 8 * * SAT-SUN"), destroy("destroy_schedule", "0 8 * * MON-FRI"),
       "", false},
      {deploy("deploy_schedule", "0 8 1-7 * *"), destroy("destroy_schedule", "0 8 L * *"), "",
       false},
      {deploy("deploy_schedule", "0 8 * 1-6 *"), destroy("destroy_schedule", "0 8 * 7-12 *"), "",
       false},
      {deploy("deploy_schedule", "0 8 29 2 *"), destroy("destroy_schedule", "0 8 28 2 *"), "",
       false},
      {deploy("deploy_schedule", "0 8 28 2 *"), destroy("destroy_schedule", "0 8 L 2 *"), "meet",
       false},
      {deploy("a", "0 8 * * *"), deploy("b", "0 8 * * *"), "", false},
      {mode("busy", "0 8 * * *"), mode("quiet", "0 8 * * *"),
       "mode_schedules.busy (0 8 * * *) can never act", true},
      {mode("quiet", "0 * * * *"), mode("busy", "0 8 * * MON"),
       "mode_schedules.busy (0 8 * * MON) can never act", true},
      {mode("busy", "0 * * * *"), mode("quiet", "0 8 * * MON"), "mode quiet wins", false},
      {mode("busy", "0 8 * * *"), mode("quiet", "0 9 * * *"), "", false},
      {mode("busy", "0 8 * * *"), destroy("destroy_schedule", "0 8 * * *"), "deploy wins", false},
  };
  for (const auto& c : cases) {
    const Timeline timeline({c.a, c.b}, zone("UTC"), {});
    const auto conflicts = timeline.conflicts();
    SCOPED_TRACE(c.a.cron.text() + " / " + c.b.cron.text());
    if (*c.part == '\0') {
      EXPECT_TRUE(conflicts.empty()) << conflicts.front().message;
      continue;
    }
    ASSERT_EQ(conflicts.size(), 1U);
    EXPECT_EQ(conflicts.front().is_error, c.is_error);
    EXPECT_NE(conflicts.front().message.find(c.part), std::string::npos)
        << conflicts.front().message;
  }
}

TEST(ActionTest, IsReadAndWritten) {
  for (const Action action : {Action::kDeploy, Action::kDestroy}) {
    EXPECT_EQ(parse_action(to_string(action)), action);
  }
  EXPECT_FALSE(parse_action("Deploy"));
}

}  // namespace
}  // namespace provisioner
