#include "schedule/cron.hpp"

#include <gtest/gtest.h>

#include <initializer_list>

namespace provisioner {
namespace {

std::uint64_t bits(std::initializer_list<int> values) {
  std::uint64_t mask = 0;
  for (const int value : values) mask |= std::uint64_t{1} << value;
  return mask;
}

std::uint64_t span(int first, int last) {
  std::uint64_t mask = 0;
  for (int value = first; value <= last; ++value) mask |= std::uint64_t{1} << value;
  return mask;
}

CronFields fields_of(std::string_view text) {
  const auto cron = CronExpression::parse(text);
  EXPECT_TRUE(cron) << text << ": " << cron.error().message;
  return cron ? cron->fields() : CronFields{};
}

std::string refusal_of(std::string_view text) {
  const auto cron = CronExpression::parse(text);
  if (cron) return "accepted";
  EXPECT_EQ(cron.error().kind, ErrorKind::kInvalid);
  return cron.error().message;
}

TEST(Cron, ReadsValuesRangesListsAndSteps) {
  const struct {
    const char* field;
    std::uint64_t minutes;
  } cases[] = {
      {"*", span(0, 59)},
      {"0", bits({0})},
      {"59", bits({59})},
      {"05", bits({5})},
      {"1,3,5", bits({1, 3, 5})},
      {"10-13", bits({10, 11, 12, 13})},
      {"7-7", bits({7})},
      {"*/15", bits({0, 15, 30, 45})},
      {"9-17/2", bits({9, 11, 13, 15, 17})},
      {"5/20", bits({5, 25, 45})},
      {"0/30,1", bits({0, 1, 30})},
      {"*,5", span(0, 59)},
      {"*/60", bits({0})},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(fields_of(std::string(c.field) + " * * * *").minutes, c.minutes) << c.field;
  }
}

TEST(Cron, ReadsHoursDaysAndMonths) {
  EXPECT_EQ(fields_of("0 9-17/2 * * *").hours, bits({9, 11, 13, 15, 17}));
  EXPECT_EQ(fields_of("0 * 1,15,31 * *").days, bits({1, 15, 31}));
  EXPECT_EQ(fields_of("0 * * JAN,mar-MAY *").months, bits({1, 3, 4, 5}));
  EXPECT_EQ(fields_of("0 * * */3 *").months, bits({1, 4, 7, 10}));
  EXPECT_EQ(fields_of("0 * * 11/1 *").months, bits({11, 12}));
}

TEST(Cron, CountsWeekdaysFromSundayAndTakesSevenForIt) {
  // In a month that begins on a Sunday, days 1 to 7 are Sunday to Saturday.
  const auto first_week = [](const char* weekdays) {
    return fields_of(std::string("0 0 * * ") + weekdays).weekday_days[0] & 0xFE;
  };
  EXPECT_EQ(first_week("0"), bits({1}));
  EXPECT_EQ(first_week("7"), bits({1}));
  EXPECT_EQ(first_week("SUN"), bits({1}));
  EXPECT_EQ(first_week("mon-Fri"), bits({2, 3, 4, 5, 6}));
  EXPECT_EQ(first_week("SAT-SUN"), bits({1, 7}));
  EXPECT_EQ(first_week("6-7"), bits({1, 7}));
  EXPECT_EQ(first_week("5-7"), bits({1, 6, 7}));
  EXPECT_EQ(first_week("SUN-MON"), bits({1, 2}));
  EXPECT_EQ(first_week("SUN-SUN"), bits({1}));
  EXPECT_EQ(first_week("MON-SUN"), span(1, 7));
  EXPECT_EQ(first_week("0-7"), span(1, 7));
  EXPECT_EQ(first_week("*/2"), bits({1, 3, 5, 7}));
  EXPECT_EQ(first_week("1/2"), bits({2, 4, 6}));
  EXPECT_EQ(first_week("7/2"), bits({1}));
}

TEST(Cron, KnowsTheLastDayAndTheNthWeekday) {
  const auto last = CronExpression::parse("0 0 L * *");
  ASSERT_TRUE(last);
  for (const unsigned length : {28U, 29U, 30U, 31U}) {
    EXPECT_EQ(last->days_in(3, length), bits({static_cast<int>(length)}));
  }
  const auto second_monday = CronExpression::parse("0 0 * * MON#2");
  ASSERT_TRUE(second_monday);
  EXPECT_EQ(second_monday->days_in(0, 31), bits({9}));  // begins on a Sunday
  EXPECT_EQ(second_monday->days_in(1, 31), bits({8}));
  EXPECT_EQ(second_monday->days_in(2, 31), bits({14}));
  EXPECT_EQ(CronExpression::parse("0 0 * * 1#2")->fields().weekday_days,
            second_monday->fields().weekday_days);
  const auto fifth = CronExpression::parse("0 0 * * SAT#5");
  ASSERT_TRUE(fifth);
  EXPECT_EQ(fifth->days_in(6, 31), bits({29}));
  EXPECT_EQ(fifth->days_in(6, 28), 0U) << "a month without a fifth is skipped";
}

TEST(Cron, TakesEitherDayFieldIfBothAreRestrictedAndBothIfOneBeginsWithAStar) {
  // A month of 31 days that begins on a Monday; Fridays are 5, 12, 19 and 26.
  const auto days = [](const char* text) { return CronExpression::parse(text)->days_in(1, 31); };
  EXPECT_EQ(days("0 0 13 * FRI"), bits({5, 12, 13, 19, 26}));
  EXPECT_EQ(days("0 0 L * FRI"), bits({5, 12, 19, 26, 31}));
  EXPECT_EQ(days("0 0 * * FRI"), bits({5, 12, 19, 26}));
  EXPECT_EQ(days("0 0 13 * *"), bits({13}));
  EXPECT_EQ(days("0 0 */2 * FRI"), bits({5, 19}));
  EXPECT_EQ(days("0 0 12-13 * */5"), bits({12})) << "*/5 is Sunday and Friday";
  EXPECT_EQ(days("0 0 1-31 * FRI"), span(1, 31)) << "a range is a restriction, even a full one";
}

TEST(Cron, TranslatesTheMacros) {
  const struct {
    const char* macro;
    const char* same;
  } cases[] = {{"@hourly", "0 * * * *"},   {"@daily", "0 0 * * *"},   {"@midnight", "0 0 * * *"},
               {"@weekly", "0 0 * * SUN"}, {"@monthly", "0 0 1 * *"}, {"@yearly", "0 0 1 1 *"},
               {"@annually", "0 0 1 1 *"}};
  for (const auto& c : cases) {
    const CronFields macro = fields_of(c.macro);
    const CronFields same = fields_of(c.same);
    EXPECT_EQ(macro.minutes, same.minutes) << c.macro;
    EXPECT_EQ(macro.hours, same.hours) << c.macro;
    EXPECT_EQ(macro.days, same.days) << c.macro;
    EXPECT_EQ(macro.months, same.months) << c.macro;
    EXPECT_EQ(macro.weekday_days, same.weekday_days) << c.macro;
  }
}

TEST(Cron, KeepsItsTextWithoutSurroundingBlanks) {
  EXPECT_EQ(CronExpression::parse("  0 8\t* *  MON ")->text(), "0 8\t* *  MON");
  EXPECT_EQ(CronExpression::parse("@daily")->text(), "@daily");
}

TEST(Cron, IsBoundToTheWallClockOnlyWithoutStarsInMinuteAndHour) {
  const auto bound = [](const char* text) {
    return CronExpression::parse(text)->is_wall_clock_bound();
  };
  EXPECT_TRUE(bound("30 2 * * *"));
  EXPECT_TRUE(bound("0,30 1-3 * * *"));
  EXPECT_TRUE(bound("@daily"));
  EXPECT_FALSE(bound("*/15 * * * *"));
  EXPECT_FALSE(bound("0 * * * *"));
  EXPECT_FALSE(bound("*/15 2 * * *"));
  EXPECT_FALSE(bound("0 */2 * * *"));
  EXPECT_FALSE(bound("@hourly"));
}

TEST(Cron, RefusesWithTheFieldTheReasonAndTheAlternative) {
  const struct {
    const char* text;
    const char* part;  // of the message
  } cases[] = {
      {"75 * * * *", "minute 75 is outside 0-59"},
      {"* 24 * * *", "hour 24 is outside 0-23"},
      {"0 0 0 * *", "day of month 0 is outside 1-31"},
      {"0 0 32 * *", "day of month 32 is outside 1-31"},
      {"0 0 * 13 *", "month 13 is outside 1-12"},
      {"0 0 * * 8", "day of week 8 is outside 0-7"},
      {"0-75 * * * *", "minute 75 is outside 0-59"},
      {"99999999999999999999 * * * *", "minute 99999999999999999999 is outside 0-59"},
      {"a * * * *", "minute: \"a\" is not a number from 0 to 59"},
      {"-5 * * * *", "minute is empty where a value is expected"},
      {"5- * * * *", "minute is empty where a value is expected"},
      {"1,,2 * * * *", "has an empty place in its list"},
      {"1, * * * *", "has an empty place in its list"},
      {"1-2-3 * * * *", "\"2-3\" is not a number"},
      {"*5 * * * *", "\"*5\" is not a number"},
      {"+5 * * * *", "\"+5\" is not a number"},
      {"*/0 * * * *", "the step of \"*/0\" must be a number from 1"},
      {"5/ * * * *", "the step of \"5/\" must be a number from 1"},
      {"*/-1 * * * *", "the step of \"*/-1\" must be a number from 1"},
      {"*/90 * * * *", "longer than the range 0-59, so it would only match 0"},
      {"*/61 * * * *", "longer than the range 0-59"},
      {"0 0 * * */8", "longer than the range 0-6, so it would only match SUN"},
      {"MON * * * *", "\"MON\" is not a number from 0 to 59"},
      {"0 0 * * MONDAY", "did you mean MON?"},
      {"0 0 * AUGUST *", "did you mean AUG?"},
      {"0 0 * * XYZ", "neither a number from 0 to 7 nor a name such as MON"},
      {"0 0 ? * *", "\"?\" is not supported, write * for any"},
      {"0 0 * * ?", "\"?\" is not supported, write * for any"},
      {"0 0 15W * *", "restrict the day of week (MON-FRI) instead"},
      {"0 0 LW * *", "restrict the day of week (MON-FRI) instead"},
      {"0 0 L-3 * *", "L alone is the last day of the month"},
      {"0 0 * * 5L", "L is the last day of the month, in the day of month field"},
      {"0 0 * * MON#6", "must end in #1 to #5"},
      {"0 0 * * MON#0", "must end in #1 to #5"},
      {"0 0 * * MON#", "must end in #1 to #5"},
      {"0 0 * * #2", "day of week is empty"},
      {"0 0 1#2 * *", "\"1#2\" is not a number from 1 to 31"},
      {"0 22-2 * * *", "hour range 22-2 runs backwards: write 22-23,0-2"},
      {"0 22-0 * * *", "hour range 22-0 runs backwards: write 22-23,0"},
      {"0 0 * * FRI-MON", "write FRI-SAT,SUN-MON"},
      {"0 0 * * 5-0", "write FRI-SAT,SUN"},
      {"0 0 * * 7-2", "write SUN-TUE"},
      {"0 0 * NOV-FEB *", "write NOV-DEC,JAN-FEB"},
      {"0 0 0 * * *", "seconds and years are not supported"},
      {"0 0 * *", "4 fields where five are needed"},
      {"daily", "1 field where five are needed"},
      {"", "the expression is empty"},
      {"   ", "the expression is empty"},
      {"@every 5m", "write a step, such as */5 * * * *"},
      {"@dayly", "did you mean @daily?"},
      {"@", "there are @hourly"},
      {"@daily 5", "nothing may follow @daily"},
      {"@deployment", "is an event, not a time"},
      {"@destroy-failed", "is an event, not a time"},
      {"@reboot", "is an event, not a time"},
      {"TZ=UTC 0 0 * * *", "set \"timezone\" instead"},
      {"CRON_TZ=UTC 0 0 * * *", "set \"timezone\" instead"},
      {"0 8 * * *\n", "accepted"},
      {"0 8 *\n* *", "4 fields"},
  };
  for (const auto& c : cases) {
    const std::string message = refusal_of(c.text);
    EXPECT_NE(message.find(c.part), std::string::npos) << c.text << " -> " << message;
  }
  EXPECT_NE(refusal_of(std::string(1001, '1') + " * * * *").find("1000 characters"),
            std::string::npos);
}

TEST(Cron, RefusesWhatCanNeverFire) {
  for (const char* text : {"0 0 31 2 *", "0 0 30 2 *", "0 0 31 4,6,9,11 *", "0 0 30,31 2 */7"}) {
    EXPECT_NE(refusal_of(text).find("it can never fire"), std::string::npos) << text;
  }
  for (const char* text : {"0 0 29 2 *", "0 0 30 2 MON", "0 0 L 2 *", "0 0 * 2 SUN#5",
                           "0 0 29 2 */7", "0 0 31 1,2 *"}) {
    EXPECT_EQ(refusal_of(text), "accepted") << text;
  }
}

TEST(Cron, ExplainsItselfInWords) {
  const struct {
    const char* text;
    const char* words;
  } cases[] = {
      {"* * * * *", "every minute"},
      {"*/15 * * * *", "every 15 minutes"},
      {"0 * * * *", "at minute 0 of every hour"},
      {"5/20 * * * *", "at minutes 5, 25 and 45 of every hour"},
      {"*/5 9-17 * * *", "every 5 minutes from 09:00 to 17:59"},
      {"* 3 * * *", "every minute from 03:00 to 03:59"},
      {"0 */2 * * *", "at minute 0, every 2 hours"},
      {"0 9-17 * * *", "at minute 0 of hours 9 through 17"},
      {"0 8 * * MON-FRI", "at 08:00 on Monday through Friday"},
      {"0 8,20 * * *", "at 08:00 and 20:00 every day"},
      {"0 22 * * SAT-SUN", "at 22:00 on Saturday and Sunday"},
      {"0 0 L * *", "at 00:00 on the last day of the month"},
      {"30 6 1,15,L * *",
       "at 06:30 on days 1 and 15 of the month and on the last day of the month"},
      {"0 9 * * MON#2", "at 09:00 on the second Monday of the month"},
      {"0 9 * * 1#1,1#3,FRI", "at 09:00 on Friday and the first and third Monday of the month"},
      {"0 0 13 * FRI", "at 00:00 on day 13 of the month or on Friday"},
      {"0 0 29 2 */7", "at 00:00 on day 29 of the month in February, but only on Sunday"},
      {"0 0 1 JAN,MAR-MAY *", "at 00:00 on day 1 of the month in January and March through May"},
      {"@weekly", "at 00:00 on Sunday"},
      {"@hourly", "at minute 0 of every hour"},
  };
  for (const auto& c : cases) {
    const auto cron = CronExpression::parse(c.text);
    ASSERT_TRUE(cron) << c.text;
    EXPECT_EQ(explain(*cron), c.words) << c.text;
  }
}

}  // namespace
}  // namespace provisioner
