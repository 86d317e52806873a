// Cron expressions in words.
#include <fmt/format.h>

#include <array>
#include <bit>
#include <functional>
#include <vector>

#include "base/text.hpp"
#include "schedule/cron.hpp"

namespace provisioner {
namespace {

using Name = std::function<std::string(int)>;

constexpr int kMostTimes = 6;  // more times of day than this are described, not listed

constexpr std::array<std::string_view, 7> kWeekdays = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                                       "Thursday", "Friday", "Saturday"};
constexpr std::array<std::string_view, 13> kMonths = {
    "",     "January", "February",  "March",   "April",    "May",     "June",
    "July", "August",  "September", "October", "November", "December"};
constexpr std::array<std::string_view, 6> kOrdinals = {"",      "first",  "second",
                                                       "third", "fourth", "fifth"};

std::string enumerate(const std::vector<std::string>& parts) {
  if (parts.empty()) return "";
  if (parts.size() == 1) return parts.front();
  const std::vector<std::string> before(parts.begin(), parts.end() - 1);
  return fmt::format("{} and {}", join(before, ", "), parts.back());
}

// "1, 3 and 5 through 9": three or more in a row are a range.
std::vector<std::string> ranges(std::uint64_t mask, const Name& name) {
  std::vector<std::string> parts;
  while (mask != 0) {
    const int first = std::countr_zero(mask);
    const int length = std::countr_one(mask >> first);
    if (length >= 3) {
      parts.push_back(fmt::format("{} through {}", name(first), name(first + length - 1)));
    } else {
      for (int i = 0; i < length; ++i) parts.push_back(name(first + i));
    }
    mask &= ~(((std::uint64_t{1} << length) - 1) << first);
  }
  return parts;
}

std::string number(int value) { return std::to_string(value); }

// The step if the mask is 0, step, 2 * step ... up to `size`, which it divides; else 0.
int even_step(std::uint64_t mask, int size) {
  if (std::popcount(mask) < 2) return 0;
  const int step = std::countr_zero(mask & ~std::uint64_t{1});
  std::uint64_t even = 0;
  for (int value = 0; value < size; value += step) even |= std::uint64_t{1} << value;
  return mask == even && size % step == 0 ? step : 0;
}

std::string minutes_text(std::uint64_t minutes) {
  const int step = even_step(minutes, 60);
  if (step == 1) return "every minute";
  if (step > 1) return fmt::format("every {} minutes", step);
  return fmt::format("at minute{} {}", std::popcount(minutes) == 1 ? "" : "s",
                     enumerate(ranges(minutes, number)));
}

std::string hours_text(std::uint64_t minutes, std::uint64_t hours) {
  const int step = even_step(hours, 24);
  const bool by_step = even_step(minutes, 60) > 0;
  if (step == 1) return by_step ? "" : " of every hour";
  if (step > 1) return fmt::format(", every {} hours", step);
  if (by_step) {
    const auto span = [](int first, int last) {
      return fmt::format("from {:02}:00 to {:02}:59", first, last);
    };
    std::vector<std::string> parts;
    for (std::uint64_t rest = hours; rest != 0;) {
      const int first = std::countr_zero(rest);
      const int length = std::countr_one(rest >> first);
      parts.push_back(span(first, first + length - 1));
      rest &= ~(((std::uint64_t{1} << length) - 1) << first);
    }
    return " " + enumerate(parts);
  }
  return fmt::format(" of hour{} {}", std::popcount(hours) == 1 ? "" : "s",
                     enumerate(ranges(hours, number)));
}

bool lists_times(const CronFields& fields) {
  return std::popcount(fields.minutes) * std::popcount(fields.hours) <= kMostTimes;
}

std::string time_text(const CronFields& fields) {
  if (!lists_times(fields)) {
    return minutes_text(fields.minutes) + hours_text(fields.minutes, fields.hours);
  }
  std::vector<std::string> times;
  for (int hour = 0; hour < 24; ++hour) {
    for (int minute = 0; minute < 60; ++minute) {
      if ((fields.hours >> hour & 1) != 0 && (fields.minutes >> minute & 1) != 0) {
        times.push_back(fmt::format("{:02}:{:02}", hour, minute));
      }
    }
  }
  return "at " + enumerate(times);
}

constexpr std::uint32_t kAllDays = 0xFFFFFFFE;

std::string dates_text(const CronFields& fields) {
  std::vector<std::string> parts = ranges(fields.days, number);
  std::string text;
  if (!parts.empty()) {
    text = fmt::format("day{} {} of the month", std::popcount(fields.days) == 1 ? "" : "s",
                       enumerate(parts));
  }
  if (fields.last_days != 0) {
    text += text.empty() ? "the last day of the month" : " and on the last day of the month";
  }
  return text;
}

std::string weekdays_text(const CronFields& fields) {
  std::uint64_t whole = 0;  // bit 1 is Monday, bit 7 Sunday, so that a weekend is in one piece
  std::vector<std::string> counted;
  for (unsigned weekday = 0; weekday < 7; ++weekday) {
    // In a month that begins on this weekday its nth is day 7n - 6.
    const std::uint32_t days = fields.weekday_days[weekday];
    std::vector<std::string> nths;
    for (unsigned nth = 1; nth <= 5; ++nth) {
      if ((days >> (7 * nth - 6) & 1) != 0) nths.emplace_back(kOrdinals[nth]);
    }
    if (nths.size() == 5) {
      whole |= std::uint64_t{1} << (weekday == 0 ? 7 : weekday);
    } else if (!nths.empty()) {
      counted.push_back(fmt::format("the {} {} of the month", enumerate(nths), kWeekdays[weekday]));
    }
  }
  std::vector<std::string> parts =
      ranges(whole, [](int bit) { return std::string(kWeekdays[static_cast<unsigned>(bit % 7)]); });
  parts.insert(parts.end(), counted.begin(), counted.end());
  return enumerate(parts);
}

std::string days_text(const CronFields& fields) {
  const bool any_date = fields.days == kAllDays;
  const bool any_weekday = fields.weekday_days[0] == kAllDays;
  if (fields.either_day_field) {
    return fmt::format(" on {} or on {}", dates_text(fields), weekdays_text(fields));
  }
  if (any_date && any_weekday) return lists_times(fields) ? " every day" : "";
  if (any_weekday) return fmt::format(" on {}", dates_text(fields));
  if (any_date) return fmt::format(" on {}", weekdays_text(fields));
  return fmt::format(" on {}", dates_text(fields));  // explain() adds the weekdays
}

bool needs_both(const CronFields& fields) {
  return !fields.either_day_field && fields.days != kAllDays && fields.weekday_days[0] != kAllDays;
}

}  // namespace

std::string explain(const CronExpression& cron) {
  const CronFields& fields = cron.fields();
  std::string text = time_text(fields) + days_text(fields);
  constexpr std::uint32_t kAllMonths = 0x1FFE;
  if (fields.months != kAllMonths) {
    const auto month = [](int value) { return std::string(kMonths[static_cast<unsigned>(value)]); };
    text += fmt::format(" in {}", enumerate(ranges(fields.months, month)));
  }
  if (needs_both(fields)) text += fmt::format(", but only on {}", weekdays_text(fields));
  return text;
}

}  // namespace provisioner
