// Timeline::conflicts: which rules meet, judged by their fields instead of by searching for
// instants.
#include <fmt/format.h>

#include <bit>

#include "schedule/timeline.hpp"

namespace provisioner {
namespace {

// Calls visit(days of a, days of b) for every shape of every month that `a` names, 0 for b if
// it does not name the month; true if visit was true once. Every shape comes up in the calendar.
template <typename Visit>
bool any_month(const CronExpression& a, const CronExpression& b, Visit visit) {
  for (unsigned month = 1; month <= 12; ++month) {
    if ((a.fields().months >> month & 1) == 0) continue;
    const bool both = (b.fields().months >> month & 1) != 0;
    const unsigned longest = month == 2 ? 29 : 30 + ((month ^ month >> 3) & 1);
    const unsigned shortest = month == 2 ? 28 : longest;
    for (unsigned length = shortest; length <= longest; ++length) {
      for (unsigned first = 0; first < 7; ++first) {
        if (visit(a.days_in(first, length), both ? b.days_in(first, length) : 0)) return true;
      }
    }
  }
  return false;
}

bool meet(const CronExpression& a, const CronExpression& b) {
  const auto overlap = [](std::uint32_t x, std::uint32_t y) { return (x & y) != 0; };
  return (a.fields().minutes & b.fields().minutes) != 0 &&
         (a.fields().hours & b.fields().hours) != 0 && any_month(a, b, overlap);
}

// Whether `a` fires only when `b` fires, too.
bool within(const CronExpression& a, const CronExpression& b) {
  const auto sticks_out = [](std::uint32_t x, std::uint32_t y) { return (x & ~y) != 0; };
  return (a.fields().minutes & ~b.fields().minutes) == 0 &&
         (a.fields().hours & ~b.fields().hours) == 0 && !any_month(a, b, sticks_out);
}

std::string first_meeting(const CronExpression& a, const CronExpression& b) {
  return fmt::format("{:02}:{:02}", std::countr_zero(a.fields().hours & b.fields().hours),
                     std::countr_zero(a.fields().minutes & b.fields().minutes));
}

std::string described(const TimelineRule& rule) {
  return fmt::format("{} ({})", rule.label, rule.cron.text());
}

}  // namespace

std::vector<TimelineConflict> Timeline::conflicts() const {
  std::vector<TimelineConflict> found;
  for (std::size_t i = 0; i < rules_.size(); ++i) {
    for (std::size_t j = i + 1; j < rules_.size(); ++j) {
      const TimelineRule& a = rules_[i];
      const TimelineRule& b = rules_[j];
      if ((a.action == b.action && a.mode == b.mode) || !meet(a.cron, b.cron)) continue;
      if (a.action != b.action) {
        found.push_back(
            {false, fmt::format("{} and {} meet, for example at {}: deploy wins", described(a),
                                described(b), first_meeting(a.cron, b.cron))});
        continue;
      }
      const TimelineRule& winner = a.mode < b.mode ? b : a;
      const TimelineRule& loser = a.mode < b.mode ? a : b;
      if (within(loser.cron, winner.cron)) {
        found.push_back(
            {true,
             fmt::format("{} can never act: whenever it fires, {} fires, too, and of two modes "
                         "at one instant the alphabetically last wins",
                         described(loser), described(winner))});
      } else {
        found.push_back({false, fmt::format("{} and {} meet, for example at {}: mode {} wins, the "
                                            "alphabetically last",
                                            described(a), described(b),
                                            first_meeting(a.cron, b.cron), winner.mode)});
      }
    }
  }
  return found;
}

}  // namespace provisioner
