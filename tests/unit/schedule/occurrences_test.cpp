#include "schedule/occurrences.hpp"

#include <gtest/gtest.h>

namespace provisioner {
namespace {

using namespace std::chrono_literals;

Instant at(std::string_view text) { return parse_rfc3339(text).value(); }
Zone utc() { return Zone::find("UTC").value(); }
CronExpression cron(std::string_view text) { return CronExpression::parse(text).value(); }

TEST(NextOccurrence, IsStrictlyAfterAndOnAWholeMinute) {
  const auto next = [](const char* after) {
    return format_rfc3339(**next_occurrence(cron("* * * * *"), utc(), {}, at(after)));
  };
  EXPECT_EQ(next("2026-01-01T00:00:00Z"), "2026-01-01T00:01:00Z");
  EXPECT_EQ(next("2026-01-01T00:00:00.000001Z"), "2026-01-01T00:01:00Z");
  EXPECT_EQ(next("2026-01-01T00:00:59.999999Z"), "2026-01-01T00:01:00Z");
  EXPECT_EQ(next("2025-12-31T23:59:59.999999Z"), "2026-01-01T00:00:00Z");
}

TEST(PreviousOccurrence, IsAtOrBefore) {
  const auto previous = [](const char* before_or_at) {
    return format_rfc3339(**previous_occurrence(cron("0 * * * *"), utc(), {}, at(before_or_at)));
  };
  EXPECT_EQ(previous("2026-01-01T00:00:00Z"), "2026-01-01T00:00:00Z");
  EXPECT_EQ(previous("2026-01-01T00:59:59.999999Z"), "2026-01-01T00:00:00Z");
  EXPECT_EQ(previous("2025-12-31T23:59:59.999999Z"), "2025-12-31T23:00:00Z");
}

TEST(NextOccurrence, KnowsTheCalendar) {
  const struct {
    const char* cron;
    const char* after;
    const char* next;
  } cases[] = {
      {"0 0 29 2 *", "2026-01-01T00:00:00Z", "2028-02-29T00:00:00Z"},
      {"0 0 29 2 *", "2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z"},
      {"0 0 29 2 */7", "2004-02-29T00:00:00Z", "2032-02-29T00:00:00Z"},  // on a Sunday
      {"0 0 * 2 SUN#5", "2004-02-29T00:00:00Z", "2032-02-29T00:00:00Z"},
      {"0 0 L 2 *", "1999-03-01T00:00:00Z", "2000-02-29T00:00:00Z"},
      {"0 0 L 2 *", "2000-03-01T00:00:00Z", "2001-02-28T00:00:00Z"},
      {"0 0 L * *", "2026-04-30T00:00:00Z", "2026-05-31T00:00:00Z"},
      {"0 0 31 * *", "2026-03-31T00:00:00Z", "2026-05-31T00:00:00Z"},
      {"0 0 * * MON#5", "2026-03-30T00:00:00Z", "2026-06-29T00:00:00Z"},  // April and May have none
      {"59 23 31 12 *", "2026-12-31T23:59:00Z", "2027-12-31T23:59:00Z"},
      {"0 0 1 1 *", "2026-12-31T23:59:59Z", "2027-01-01T00:00:00Z"},
      {"0 8 * * MON-FRI", "2026-11-20T08:00:00Z", "2026-11-23T08:00:00Z"},
      {"0 0 13 * FRI", "2026-11-06T00:00:00Z", "2026-11-13T00:00:00Z"},
      {"30 5 * * 7", "2026-11-23T00:00:00Z", "2026-11-29T05:30:00Z"},
  };
  for (const auto& c : cases) {
    const auto next = next_occurrence(cron(c.cron), utc(), {}, at(c.after));
    ASSERT_TRUE(next && *next) << c.cron;
    EXPECT_EQ(format_rfc3339(**next), c.next) << c.cron;
  }
}

TEST(Occurrences, BeyondTheZoneDataAreAnErrorNotAGuess) {
  const auto every_leap_day = cron("0 0 29 2 *");
  const auto next = next_occurrence(every_leap_day, utc(), {}, at("2036-02-29T00:00:00Z"));
  ASSERT_FALSE(next);
  EXPECT_NE(next.error().message.find("beyond 2037, where the zone data of UTC ends"),
            std::string::npos);
  const auto last_minute = at("2037-12-31T23:59:00Z");
  EXPECT_EQ(next_occurrence(cron("* * * * *"), utc(), {}, last_minute - 1us), last_minute);
  EXPECT_FALSE(next_occurrence(cron("* * * * *"), utc(), {}, last_minute));
  EXPECT_FALSE(next_occurrence(cron("* * * * *"), utc(), {}, at("2040-01-01T00:00:00Z")));
  EXPECT_FALSE(previous_occurrence(cron("* * * * *"), utc(), {}, at("2038-01-01T00:00:00Z")));
  EXPECT_FALSE(
      count_occurrences(cron("* * * * *"), utc(), {}, last_minute, at("2038-01-01T00:00:00Z")));
}

TEST(Occurrences, BeginWith1970) {
  const auto minutely = cron("* * * * *");
  const Instant begin = at("1970-01-01T00:00:00Z");
  EXPECT_EQ(next_occurrence(minutely, utc(), {}, at("1960-01-01T00:00:00Z")), begin);
  EXPECT_EQ(next_occurrence(minutely, utc(), {}, Instant::min()), begin);
  EXPECT_EQ(previous_occurrence(minutely, utc(), {}, begin), begin);
  EXPECT_EQ(*previous_occurrence(minutely, utc(), {}, begin - 1us), std::nullopt);
  EXPECT_EQ(*previous_occurrence(cron("0 0 29 2 *"), utc(), {}, at("1972-02-28T00:00:00Z")),
            std::nullopt);
  EXPECT_EQ(count_occurrences(minutely, utc(), {}, Instant::min(), begin + 9min), 10);
}

TEST(CountOccurrences, IsTheNumberInAHalfOpenInterval) {
  const auto minutely = cron("* * * * *");
  const Instant begin = at("2025-11-23T00:00:00Z");
  EXPECT_EQ(count_occurrences(minutely, utc(), {}, begin, begin), 0);
  EXPECT_EQ(count_occurrences(minutely, utc(), {}, begin, begin - 1h), 0);
  EXPECT_EQ(count_occurrences(minutely, utc(), {}, begin, begin + 1min), 1);
  EXPECT_EQ(count_occurrences(minutely, utc(), {}, begin - 1us, begin + 1min), 2);
  EXPECT_EQ(count_occurrences(minutely, utc(), {}, begin, begin + 365 * 24h), 525'600);
  const Zone new_york = Zone::find("America/New_York").value();
  EXPECT_EQ(count_occurrences(minutely, new_york, {}, begin, begin + 365 * 24h), 525'600)
      << "elapsed time takes no notice of the clocks";
  EXPECT_EQ(count_occurrences(cron("30 2 * * *"), new_york, {}, begin, begin + 365 * 24h), 365);
  EXPECT_EQ(count_occurrences(cron("30 2 * * *"), new_york, {.gap = DstPolicy::Gap::kSkip}, begin,
                              begin + 365 * 24h),
            364);
}

TEST(FindNext, TellsTheLocalTimeThatTheExpressionNames) {
  const Zone new_york = Zone::find("America/New_York").value();
  const auto minute_of_day = [&](const char* expression) {
    const auto found = find_next(cron(expression), new_york, {}, at("2026-03-08T06:59:00Z"));
    const auto back = find_previous(cron(expression), new_york, {}, found->at);
    EXPECT_EQ(found, back);
    EXPECT_EQ(new_york.format_local(found->at), "2026-03-08T03:00:00-04:00");
    return found->local_minute % 1440;
  };
  EXPECT_EQ(minute_of_day("15 2 * * *"), 2 * 60 + 15);
  EXPECT_EQ(minute_of_day("15,45 2 * * *"), 2 * 60 + 45) << "of several that become one, the last";
  EXPECT_EQ(minute_of_day("0 2,3 * * *"), 3 * 60);
  EXPECT_EQ(minute_of_day("0 3 * * *"), 3 * 60);
  EXPECT_EQ(minute_of_day("0 * * * *"), 3 * 60);
}

}  // namespace
}  // namespace provisioner
