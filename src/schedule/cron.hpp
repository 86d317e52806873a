// A cron expression of five fields: minute, hour, day of month, month, day of week.
//
// Understood: `*`, values, ranges, lists, steps (`*/5`, `9-17/2`, `a/n` for a-max/n), names (MON,
// JAN), 0 and 7 for Sunday, a range that ends on Sunday by name (FRI-SUN), @hourly @daily @midnight
// @weekly
// @monthly @yearly @annually, L in day of month, MON#2 or 1#2 in day of week. A day field that
// starts with `*` is unrestricted: a day must then satisfy both fields; if both are restricted,
// either is enough.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.hpp"

namespace provisioner {

// What the fields allow, as bits. Bit n of `minutes` and `hours` is the value n, bit n of `months`
// is month n (1 to 12). The days of a month depend on its shape: see CronExpression::days_in.
struct CronFields {
  std::uint64_t minutes = 0;
  std::uint32_t hours = 0;
  std::uint32_t months = 0;
  std::uint32_t days = 0;       // bit n is day n of the month (1 to 31)
  std::uint32_t last_days = 0;  // all ones if the last day of the month counts (L), else 0
  // Bit n: day n of a month that begins on that weekday (0 = Sunday) satisfies the day-of-week
  // field, its # forms included.
  std::array<std::uint32_t, 7> weekday_days{};
  bool either_day_field = false;  // both day fields are restricted: one of them is enough
};

// A value: parsed once, immutable, safe to share between threads.
class CronExpression {
 public:
  // kInvalid with the field, the reason and, where one exists, the alternative: "minute 75 is
  // outside 0-59". An expression that can never fire (`0 0 31 2 *`) is refused, too.
  static Result<CronExpression> parse(std::string_view text);

  // As it was written, without surrounding blanks.
  const std::string& text() const { return text_; }

  // True if neither minute nor hour contains `*`: the expression names times on the wall clock, and
  // a DstPolicy says what becomes of those in a gap or an overlap. The others follow elapsed time.
  bool is_wall_clock_bound() const { return wall_clock_bound_; }

  const CronFields& fields() const { return fields_; }

  // The days (bit n is day n) that match in a month of `length` days whose first day is the weekday
  // `first` (0 = Sunday). The month field is not looked at.
  std::uint32_t days_in(unsigned first, unsigned length) const {
    const std::uint32_t all = static_cast<std::uint32_t>((std::uint64_t{2} << length) - 2);
    const std::uint32_t by_date = fields_.days | (fields_.last_days & (std::uint32_t{1} << length));
    const std::uint32_t by_weekday = fields_.weekday_days[first];
    return all & (fields_.either_day_field ? by_date | by_weekday : by_date & by_weekday);
  }

  friend bool operator==(const CronExpression& a, const CronExpression& b) {
    return a.text_ == b.text_;
  }

 private:
  CronExpression() = default;

  std::string text_;
  CronFields fields_;
  bool wall_clock_bound_ = false;
};

// In words: "at 08:00 on Monday through Friday".
std::string explain(const CronExpression& cron);

}  // namespace provisioner
