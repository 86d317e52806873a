// What the policies make of the clock changes of 2026, written out by hand:
//
//   New York    8 March   02:00-05:00 becomes 03:00-04:00    1 November  02:00-04:00 becomes
//   01:00-05:00 London      29 March  01:00+00:00 becomes 02:00+01:00    25 October  02:00+01:00
//   becomes 01:00+00:00 Lord Howe   4 October 02:00+10:30 becomes 02:30+11:00    5 April
//   02:00+11:00 becomes 01:30+10:30
#include <gtest/gtest.h>

#include <algorithm>

#include "schedule/occurrences.hpp"

namespace provisioner {
namespace {

using Gap = DstPolicy::Gap;
using Overlap = DstPolicy::Overlap;
using Times = std::vector<std::string>;

Instant at(std::string_view text) { return parse_rfc3339(text).value(); }

// "08T03:00-04:00": day, time and offset.
std::string brief(const Zone& zone, Instant instant) {
  const std::string text = zone.format_local(instant);
  return text.substr(8, 8) + text.substr(19);
}

// The occurrences in (after, until], which must be the same forwards, backwards and counted.
Times occurrences(const char* zone_name, const char* expression, DstPolicy dst, Instant after,
                  Instant until) {
  const Zone zone = Zone::find(zone_name).value();
  const CronExpression cron = CronExpression::parse(expression).value();
  Times forwards;
  for (Instant t = after;;) {
    t = next_occurrence(cron, zone, dst, t).value().value();
    if (t > until) break;
    forwards.push_back(brief(zone, t));
    EXPECT_EQ(count_occurrences(cron, zone, dst, t - std::chrono::microseconds(1), t), 1);
    EXPECT_EQ(count_occurrences(cron, zone, dst, t, t), 0);
  }
  Times backwards;
  for (Instant t = until;;) {
    const auto before = previous_occurrence(cron, zone, dst, t).value();
    if (!before || *before <= after) break;
    backwards.push_back(brief(zone, *before));
    t = *before - std::chrono::microseconds(1);
  }
  std::ranges::reverse(backwards);
  EXPECT_EQ(forwards, backwards) << zone_name << " " << expression;
  EXPECT_EQ(count_occurrences(cron, zone, dst, after, until),
            static_cast<std::int64_t>(forwards.size()));
  return forwards;
}

struct Change {
  const char* zone;
  const char* after;
  const char* until;
};

// Two days and nights around each change.
constexpr Change kNewYorkSpring{"America/New_York", "2026-03-07T12:00:00Z", "2026-03-09T12:00:00Z"};
constexpr Change kNewYorkAutumn{"America/New_York", "2026-10-31T12:00:00Z", "2026-11-02T12:00:00Z"};
constexpr Change kLondonSpring{"Europe/London", "2026-03-28T12:00:00Z", "2026-03-30T12:00:00Z"};
constexpr Change kLondonAutumn{"Europe/London", "2026-10-24T12:00:00Z", "2026-10-26T12:00:00Z"};
constexpr Change kLordHoweAutumn{"Australia/Lord_Howe", "2026-04-04T06:00:00Z",
                                 "2026-04-06T06:00:00Z"};
constexpr Change kLordHoweSpring{"Australia/Lord_Howe", "2026-10-03T06:00:00Z",
                                 "2026-10-05T06:00:00Z"};
// UTC has none: the days of New York's.
constexpr Change kUtcSpring{"UTC", "2026-03-07T12:00:00Z", "2026-03-09T12:00:00Z"};
constexpr Change kUtcAutumn{"UTC", "2026-10-31T12:00:00Z", "2026-11-02T12:00:00Z"};

struct DailyCase {
  Change change;
  const char* cron;
  Times usual;  // shift, first: the default
  Times skip;   // gap = skip
  Times last;   // overlap = last
  Times both;   // overlap = both
};

TEST(DaylightSaving, MovesOrSkipsOrChoosesDailyTimesAsThePolicySays) {
  const DailyCase cases[] = {
      // 01:30
      {kNewYorkSpring,
       "30 1 * * *",
       {"08T01:30-05:00", "09T01:30-04:00"},
       {"08T01:30-05:00", "09T01:30-04:00"},
       {"08T01:30-05:00", "09T01:30-04:00"},
       {"08T01:30-05:00", "09T01:30-04:00"}},
      {kNewYorkAutumn,
       "30 1 * * *",
       {"01T01:30-04:00", "02T01:30-05:00"},
       {"01T01:30-04:00", "02T01:30-05:00"},
       {"01T01:30-05:00", "02T01:30-05:00"},
       {"01T01:30-04:00", "01T01:30-05:00", "02T01:30-05:00"}},
      {kLondonSpring,
       "30 1 * * *",
       {"29T02:00+01:00", "30T01:30+01:00"},
       {"30T01:30+01:00"},
       {"29T02:00+01:00", "30T01:30+01:00"},
       {"29T02:00+01:00", "30T01:30+01:00"}},
      {kLondonAutumn,
       "30 1 * * *",
       {"25T01:30+01:00", "26T01:30+00:00"},
       {"25T01:30+01:00", "26T01:30+00:00"},
       {"25T01:30+00:00", "26T01:30+00:00"},
       {"25T01:30+01:00", "25T01:30+00:00", "26T01:30+00:00"}},
      {kLordHoweAutumn,
       "30 1 * * *",
       {"05T01:30+11:00", "06T01:30+10:30"},
       {"05T01:30+11:00", "06T01:30+10:30"},
       {"05T01:30+10:30", "06T01:30+10:30"},
       {"05T01:30+11:00", "05T01:30+10:30", "06T01:30+10:30"}},
      {kLordHoweSpring,
       "30 1 * * *",
       {"04T01:30+10:30", "05T01:30+11:00"},
       {"04T01:30+10:30", "05T01:30+11:00"},
       {"04T01:30+10:30", "05T01:30+11:00"},
       {"04T01:30+10:30", "05T01:30+11:00"}},
      {kUtcSpring,
       "30 1 * * *",
       {"08T01:30+00:00", "09T01:30+00:00"},
       {"08T01:30+00:00", "09T01:30+00:00"},
       {"08T01:30+00:00", "09T01:30+00:00"},
       {"08T01:30+00:00", "09T01:30+00:00"}},
      {kUtcAutumn,
       "30 1 * * *",
       {"01T01:30+00:00", "02T01:30+00:00"},
       {"01T01:30+00:00", "02T01:30+00:00"},
       {"01T01:30+00:00", "02T01:30+00:00"},
       {"01T01:30+00:00", "02T01:30+00:00"}},
      // 02:30
      {kNewYorkSpring,
       "30 2 * * *",
       {"08T03:00-04:00", "09T02:30-04:00"},
       {"09T02:30-04:00"},
       {"08T03:00-04:00", "09T02:30-04:00"},
       {"08T03:00-04:00", "09T02:30-04:00"}},
      {kNewYorkAutumn,
       "30 2 * * *",
       {"01T02:30-05:00", "02T02:30-05:00"},
       {"01T02:30-05:00", "02T02:30-05:00"},
       {"01T02:30-05:00", "02T02:30-05:00"},
       {"01T02:30-05:00", "02T02:30-05:00"}},
      {kLondonSpring,
       "30 2 * * *",
       {"29T02:30+01:00", "30T02:30+01:00"},
       {"29T02:30+01:00", "30T02:30+01:00"},
       {"29T02:30+01:00", "30T02:30+01:00"},
       {"29T02:30+01:00", "30T02:30+01:00"}},
      {kLondonAutumn,
       "30 2 * * *",
       {"25T02:30+00:00", "26T02:30+00:00"},
       {"25T02:30+00:00", "26T02:30+00:00"},
       {"25T02:30+00:00", "26T02:30+00:00"},
       {"25T02:30+00:00", "26T02:30+00:00"}},
      {kLordHoweAutumn,
       "30 2 * * *",
       {"05T02:30+10:30", "06T02:30+10:30"},
       {"05T02:30+10:30", "06T02:30+10:30"},
       {"05T02:30+10:30", "06T02:30+10:30"},
       {"05T02:30+10:30", "06T02:30+10:30"}},
      {kLordHoweSpring,
       "30 2 * * *",  // the gap is half an hour: 02:30 is there, 02:15 is not
       {"04T02:30+11:00", "05T02:30+11:00"},
       {"04T02:30+11:00", "05T02:30+11:00"},
       {"04T02:30+11:00", "05T02:30+11:00"},
       {"04T02:30+11:00", "05T02:30+11:00"}},
      {kLordHoweSpring,
       "15 2 * * *",
       {"04T02:30+11:00", "05T02:15+11:00"},
       {"05T02:15+11:00"},
       {"04T02:30+11:00", "05T02:15+11:00"},
       {"04T02:30+11:00", "05T02:15+11:00"}},
      {kUtcSpring,
       "30 2 * * *",
       {"08T02:30+00:00", "09T02:30+00:00"},
       {"08T02:30+00:00", "09T02:30+00:00"},
       {"08T02:30+00:00", "09T02:30+00:00"},
       {"08T02:30+00:00", "09T02:30+00:00"}},
      {kUtcAutumn,
       "30 2 * * *",
       {"01T02:30+00:00", "02T02:30+00:00"},
       {"01T02:30+00:00", "02T02:30+00:00"},
       {"01T02:30+00:00", "02T02:30+00:00"},
       {"01T02:30+00:00", "02T02:30+00:00"}},
      // Several in the gap become one, also with one that the clocks do show at its end.
      {kNewYorkSpring,
       "0,15,30,45 2 * * *",
       {"08T03:00-04:00", "09T02:00-04:00", "09T02:15-04:00", "09T02:30-04:00", "09T02:45-04:00"},
       {"09T02:00-04:00", "09T02:15-04:00", "09T02:30-04:00", "09T02:45-04:00"},
       {"08T03:00-04:00", "09T02:00-04:00", "09T02:15-04:00", "09T02:30-04:00", "09T02:45-04:00"},
       {"08T03:00-04:00", "09T02:00-04:00", "09T02:15-04:00", "09T02:30-04:00", "09T02:45-04:00"}},
      {kNewYorkSpring,
       "0 2,3 * * *",
       {"08T03:00-04:00", "09T02:00-04:00", "09T03:00-04:00"},
       {"08T03:00-04:00", "09T02:00-04:00", "09T03:00-04:00"},
       {"08T03:00-04:00", "09T02:00-04:00", "09T03:00-04:00"},
       {"08T03:00-04:00", "09T02:00-04:00", "09T03:00-04:00"}},
      // The overlap ends where the clocks reach the hour for the second time.
      {kNewYorkAutumn,
       "0 1,2 * * *",
       {"01T01:00-04:00", "01T02:00-05:00", "02T01:00-05:00", "02T02:00-05:00"},
       {"01T01:00-04:00", "01T02:00-05:00", "02T01:00-05:00", "02T02:00-05:00"},
       {"01T01:00-05:00", "01T02:00-05:00", "02T01:00-05:00", "02T02:00-05:00"},
       {"01T01:00-04:00", "01T01:00-05:00", "01T02:00-05:00", "02T01:00-05:00", "02T02:00-05:00"}},
  };
  for (const auto& c : cases) {
    const auto with = [&](DstPolicy dst) {
      return occurrences(c.change.zone, c.cron, dst, at(c.change.after), at(c.change.until));
    };
    SCOPED_TRACE(std::string(c.change.zone) + " " + c.change.after + " " + c.cron);
    EXPECT_EQ(with({}), c.usual);
    EXPECT_EQ(with({Gap::kShift, Overlap::kFirst}), c.usual);
    EXPECT_EQ(with({Gap::kSkip, Overlap::kFirst}), c.skip);
    EXPECT_EQ(with({Gap::kShift, Overlap::kLast}), c.last);
    EXPECT_EQ(with({Gap::kShift, Overlap::kBoth}), c.both);
  }
}

TEST(DaylightSaving, LeavesExpressionsWithAStarInMinuteOrHourToElapsedTime) {
  const struct {
    const char* zone;
    const char* cron;
    const char* after;
    const char* until;
    Times times;
  } cases[] = {
      {"America/New_York",
       "0 * * * *",
       "2026-03-08T05:30:00Z",
       "2026-03-08T09:30:00Z",
       {"08T01:00-05:00", "08T03:00-04:00", "08T04:00-04:00", "08T05:00-04:00"}},
      {"America/New_York",
       "0 * * * *",
       "2026-11-01T04:30:00Z",
       "2026-11-01T08:30:00Z",
       {"01T01:00-04:00", "01T01:00-05:00", "01T02:00-05:00", "01T03:00-05:00"}},
      {"Europe/London",
       "0 * * * *",
       "2026-03-28T23:30:00Z",
       "2026-03-29T02:30:00Z",
       {"29T00:00+00:00", "29T02:00+01:00", "29T03:00+01:00"}},
      {"Europe/London",
       "0 * * * *",
       "2026-10-24T23:30:00Z",
       "2026-10-25T02:30:00Z",
       {"25T01:00+01:00", "25T01:00+00:00", "25T02:00+00:00"}},
      {"Australia/Lord_Howe",
       "0 * * * *",
       "2026-04-04T13:30:00Z",
       "2026-04-04T16:30:00Z",
       {"05T01:00+11:00", "05T02:00+10:30", "05T03:00+10:30"}},
      {"Australia/Lord_Howe",
       "0 * * * *",
       "2026-10-03T14:00:00Z",
       "2026-10-03T17:00:00Z",
       {"04T01:00+10:30", "04T03:00+11:00", "04T04:00+11:00"}},
      {"UTC",
       "0 * * * *",
       "2026-03-29T00:30:00Z",
       "2026-03-29T02:30:00Z",
       {"29T01:00+00:00", "29T02:00+00:00"}},
      {"America/New_York",
       "*/15 * * * *",
       "2026-03-08T06:20:00Z",
       "2026-03-08T07:20:00Z",
       {"08T01:30-05:00", "08T01:45-05:00", "08T03:00-04:00", "08T03:15-04:00"}},
      {"America/New_York",
       "*/15 * * * *",
       "2026-11-01T05:20:00Z",
       "2026-11-01T06:50:00Z",
       {"01T01:30-04:00", "01T01:45-04:00", "01T01:00-05:00", "01T01:15-05:00", "01T01:30-05:00",
        "01T01:45-05:00"}},
      {"Europe/London",
       "*/15 * * * *",
       "2026-03-29T00:20:00Z",
       "2026-03-29T01:20:00Z",
       {"29T00:30+00:00", "29T00:45+00:00", "29T02:00+01:00", "29T02:15+01:00"}},
      {"Europe/London",
       "*/15 * * * *",
       "2026-10-25T00:20:00Z",
       "2026-10-25T01:20:00Z",
       {"25T01:30+01:00", "25T01:45+01:00", "25T01:00+00:00", "25T01:15+00:00"}},
      {"Australia/Lord_Howe",
       "*/15 * * * *",
       "2026-04-04T14:20:00Z",
       "2026-04-04T15:50:00Z",
       {"05T01:30+11:00", "05T01:45+11:00", "05T01:30+10:30", "05T01:45+10:30", "05T02:00+10:30",
        "05T02:15+10:30"}},
      {"Australia/Lord_Howe",
       "*/15 * * * *",
       "2026-10-03T15:00:00Z",
       "2026-10-03T15:50:00Z",
       {"04T01:45+10:30", "04T02:30+11:00", "04T02:45+11:00"}},
      {"UTC",
       "0 * * * *",
       "2026-10-25T00:30:00Z",
       "2026-10-25T02:30:00Z",
       {"25T01:00+00:00", "25T02:00+00:00"}},
      {"UTC",
       "*/15 * * * *",
       "2026-03-29T00:50:00Z",
       "2026-03-29T01:20:00Z",
       {"29T01:00+00:00", "29T01:15+00:00"}},
      {"UTC",
       "*/15 * * * *",
       "2026-10-25T00:50:00Z",
       "2026-10-25T01:20:00Z",
       {"25T01:00+00:00", "25T01:15+00:00"}},
      // One star is enough.
      {"America/New_York",
       "*/30 2 * * *",
       "2026-03-08T00:00:00Z",
       "2026-03-09T06:00:00Z",
       {"09T02:00-04:00"}},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(std::string(c.zone) + " " + c.after + " " + c.cron);
    for (const Gap gap : {Gap::kShift, Gap::kSkip}) {
      for (const Overlap overlap : {Overlap::kFirst, Overlap::kLast, Overlap::kBoth}) {
        EXPECT_EQ(occurrences(c.zone, c.cron, {gap, overlap}, at(c.after), at(c.until)), c.times);
      }
    }
  }
}

TEST(DaylightSaving, MovesADayThatAZoneLeftOut) {
  // Samoa went from 29 to 31 December 2011 over the date line.
  EXPECT_EQ(occurrences("Pacific/Apia", "0 8 * * *", {}, at("2011-12-29T12:00:00Z"),
                        at("2012-01-01T00:00:00Z")),
            (Times{"29T08:00-10:00", "31T00:00+14:00", "31T08:00+14:00", "01T08:00+14:00"}));
  EXPECT_EQ(occurrences("Pacific/Apia", "0 8 30 * *", {.gap = Gap::kSkip},
                        at("2011-12-01T00:00:00Z"), at("2012-01-31T00:00:00Z")),
            (Times{"30T08:00+14:00"}));
}

}  // namespace
}  // namespace provisioner
