#include "schedule/calendar.hpp"

#include <bit>
#include <chrono>

namespace provisioner {
namespace {

constexpr int kFirstYear = 1969;
constexpr int kLastYear = 2038;
constexpr std::int64_t kHour = 60;
constexpr std::int64_t kDay = 24 * kHour;

int lowest(std::uint64_t mask) { return std::countr_zero(mask); }
int highest(std::uint64_t mask) { return 63 - std::countl_zero(mask); }

struct Month {
  int year;
  unsigned number;
  std::int64_t first_day;  // days since 1970-01-01
  unsigned first_weekday;  // 0 = Sunday
  unsigned length;

  static Month make(int year, unsigned number) {
    const std::chrono::year y(year);
    const std::int64_t first =
        std::chrono::sys_days(y / std::chrono::month(number) / 1).time_since_epoch().count();
    const auto weekday = static_cast<unsigned>((first % 7 + 7 + 4) % 7);  // day 0 was a Thursday
    const unsigned length =
        number == 2 ? (y.is_leap() ? 29 : 28) : 30 + ((number ^ number >> 3) & 1);
    return {year, number, first, weekday, length};
  }

  static Month holding(std::int64_t day) {
    const std::chrono::year_month_day date{
        std::chrono::sys_days(std::chrono::days(static_cast<int>(day)))};
    return make(static_cast<int>(date.year()), static_cast<unsigned>(date.month()));
  }

  // The nearest later (earlier) month of the mask.
  Month next(std::uint32_t months) const {
    const std::uint32_t rest = months >> number >> 1;
    if (rest != 0) return make(year, number + 1 + static_cast<unsigned>(lowest(rest)));
    return make(year + 1, static_cast<unsigned>(lowest(months)));
  }
  Month previous(std::uint32_t months) const {
    const std::uint32_t rest = months & ((std::uint32_t{1} << number) - 1);
    if (rest != 0) return make(year, static_cast<unsigned>(highest(rest)));
    return make(year - 1, static_cast<unsigned>(highest(months)));
  }
};

std::uint32_t days_of(const CronExpression& cron, const Month& month) {
  const bool named = (cron.fields().months >> month.number & 1) != 0;
  return named ? cron.days_in(month.first_weekday, month.length) : 0;
}

struct Place {
  std::int64_t day;
  unsigned hour;
  unsigned minute;

  explicit Place(std::int64_t local_minute) : day(floor_div(local_minute, kDay)) {
    const auto of_day = static_cast<unsigned>(local_minute - day * kDay);
    hour = of_day / 60;
    minute = of_day % 60;
  }
};

std::int64_t minute_at(std::int64_t day, int hour, int minute) {
  return day * kDay + hour * kHour + minute;
}

// Matches of a matching day before the time of `place`.
std::int64_t matches_before(const CronFields& fields, const Place& place) {
  const auto below = [](std::uint64_t mask, unsigned bit) {
    return std::popcount(mask & ((std::uint64_t{1} << bit) - 1));
  };
  std::int64_t count =
      std::int64_t{below(fields.hours, place.hour)} * std::popcount(fields.minutes);
  if ((fields.hours >> place.hour & 1) != 0) count += below(fields.minutes, place.minute);
  return count;
}

bool matches_day(const CronExpression& cron, std::int64_t day) {
  const Month month = Month::holding(day);
  return (days_of(cron, month) >> (day - month.first_day + 1) & 1) != 0;
}

// Matching days in [from, until).
std::int64_t count_days(const CronExpression& cron, std::int64_t from, std::int64_t until) {
  std::int64_t count = 0;
  for (Month month = Month::holding(from); month.first_day < until;
       month = month.next(cron.fields().months)) {
    std::uint64_t days = days_of(cron, month);
    if (month.first_day < from) days &= ~std::uint64_t{0} << (from - month.first_day + 1);
    if (month.first_day + month.length > until) {
      days &= (std::uint64_t{1} << (until - month.first_day + 1)) - 1;
    }
    count += std::popcount(days);
  }
  return count;
}

}  // namespace

std::int64_t first_match(const CronExpression& cron, std::int64_t from) {
  const CronFields& fields = cron.fields();
  const Place place(from);
  Month month = Month::holding(place.day);
  if (month.year > kLastYear) return kNoMinuteAfter;
  std::uint32_t days = days_of(cron, month);
  const auto day = static_cast<unsigned>(place.day - month.first_day + 1);
  if ((days >> day & 1) != 0) {
    const std::uint64_t minutes = fields.minutes >> place.minute;
    if ((fields.hours >> place.hour & 1) != 0 && minutes != 0) return from + lowest(minutes);
    const std::uint32_t hours = fields.hours >> place.hour >> 1;
    if (hours != 0) {
      return minute_at(place.day, static_cast<int>(place.hour) + 1 + lowest(hours),
                       lowest(fields.minutes));
    }
  }
  days &= ~std::uint32_t{0} << day << 1;
  while (days == 0) {
    month = month.next(fields.months);
    if (month.year > kLastYear) return kNoMinuteAfter;
    days = days_of(cron, month);
  }
  return minute_at(month.first_day - 1 + lowest(days), lowest(fields.hours),
                   lowest(fields.minutes));
}

std::int64_t last_match(const CronExpression& cron, std::int64_t until) {
  const CronFields& fields = cron.fields();
  const Place place(until);
  Month month = Month::holding(place.day);
  if (month.year < kFirstYear) return kNoMinuteBefore;
  const int last_minute = highest(fields.minutes);
  std::uint32_t days = days_of(cron, month);
  const auto day = static_cast<unsigned>(place.day - month.first_day + 1);
  if ((days >> day & 1) != 0) {
    const std::uint64_t minutes = fields.minutes << (63 - place.minute);
    if ((fields.hours >> place.hour & 1) != 0 && minutes != 0)
      return until - std::countl_zero(minutes);
    const std::uint32_t hours = fields.hours & ((std::uint32_t{1} << place.hour) - 1);
    if (hours != 0) return minute_at(place.day, highest(hours), last_minute);
  }
  days &= (std::uint32_t{1} << day) - 1;
  while (days == 0) {
    month = month.previous(fields.months);
    if (month.year < kFirstYear) return kNoMinuteBefore;
    days = days_of(cron, month);
  }
  return minute_at(month.first_day - 1 + highest(days), highest(fields.hours), last_minute);
}

std::int64_t count_matches(const CronExpression& cron, std::int64_t from, std::int64_t until) {
  if (from >= until) return 0;
  const CronFields& fields = cron.fields();
  const Place first(from);
  const Place last(until);
  std::int64_t count = count_days(cron, first.day, last.day) *
                       (std::int64_t{std::popcount(fields.hours)} * std::popcount(fields.minutes));
  if (matches_day(cron, first.day)) count -= matches_before(fields, first);
  if (matches_day(cron, last.day)) count += matches_before(fields, last);
  return count;
}

}  // namespace provisioner
