// The times a cron expression matches on a clock that nobody changes. Minutes are counted from
// 1970-01-01 00:00 on that clock; the calendar reaches from 1969 to 2038, which holds every local
// time of the zone data.
#pragma once

#include <cstdint>

#include "schedule/cron.hpp"

namespace provisioner {

constexpr std::int64_t kNoMinuteAfter = std::int64_t{1} << 40;
constexpr std::int64_t kNoMinuteBefore = -kNoMinuteAfter;

// Towards negative infinity, as calendars need it.
constexpr std::int64_t floor_div(std::int64_t a, std::int64_t b) {
  return a / b - (a % b < 0 ? 1 : 0);
}

// The first match at or after `from`, or kNoMinuteAfter.
std::int64_t first_match(const CronExpression& cron, std::int64_t from);

// The last match at or before `until`, or kNoMinuteBefore.
std::int64_t last_match(const CronExpression& cron, std::int64_t until);

// The number of matches in [from, until).
std::int64_t count_matches(const CronExpression& cron, std::int64_t from, std::int64_t until);

}  // namespace provisioner
