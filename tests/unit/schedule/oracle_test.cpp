// Occurrences against a slow and simple oracle: random expressions, walked minute by minute through
// a year with the date library's own conversions.
#include <date/tz.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>

#include "schedule/occurrences.hpp"

namespace provisioner {
namespace {

using namespace std::chrono_literals;
using Random = std::mt19937_64;
using Overlap = DstPolicy::Overlap;
using Gap = DstPolicy::Gap;

int draw(Random& random, int low, int high) {
  return std::uniform_int_distribution<int>(low, high)(random);
}

// A field as text, and what it means, made together so that neither is derived by the code under
// test.
struct OracleField {
  std::string text;
  std::set<int> values;
  std::set<std::pair<int, int>> nth;  // weekday, n
  bool last_day = false;

  bool starts_with_star() const { return text.front() == '*'; }
  bool has_star() const { return text.find('*') != std::string::npos; }
};

void add_item(Random& random, int low, int high, OracleField& field) {
  const int a = draw(random, low, high);
  const int b = draw(random, a, high);
  const int step = draw(random, 1, std::min(12, high - low + 1));
  int first = a;
  int last = b;
  int every = 1;
  switch (draw(random, 0, 5)) {
    case 0: field.text += fmt::format("{}-{}", a, b); break;
    case 1:
      field.text += fmt::format("{}-{}/{}", a, b, step);
      every = step;
      break;
    case 2:
      field.text += fmt::format("{}/{}", a, step);
      last = high;
      every = step;
      break;
    case 3:
      field.text += fmt::format("*/{}", step);
      first = low;
      last = high;
      every = step;
      break;
    default: field.text += std::to_string(a); last = a;
  }
  for (int value = first; value <= last; value += every) field.values.insert(value);
}

OracleField draw_field(Random& random, int low, int high, int star_percent) {
  OracleField field;
  if (draw(random, 1, 100) <= star_percent) {
    field.text = "*";
    for (int value = low; value <= high; ++value) field.values.insert(value);
    return field;
  }
  for (int items = draw(random, 1, 3); items > 0; --items) {
    if (!field.text.empty()) field.text += ",";
    if (low == 1 && high == 31 && draw(random, 0, 4) == 0) {
      field.text += "L";
      field.last_day = true;
    } else if (high == 6 && draw(random, 0, 3) == 0) {
      const int weekday = draw(random, 0, 6);
      const int n = draw(random, 1, 5);
      field.text += fmt::format("{}#{}", weekday, n);
      field.nth.insert({weekday, n});
    } else {
      add_item(random, low, high, field);
    }
  }
  return field;
}

struct OracleCron {
  OracleField minute, hour, day, month, weekday;

  explicit OracleCron(Random& random)
      : minute(draw_field(random, 0, 59, 10)),
        hour(draw_field(random, 0, 23, 20)),
        day(draw_field(random, 1, 31, 50)),
        month(draw_field(random, 1, 12, 60)),
        weekday(draw_field(random, 0, 6, 50)) {}

  std::string text() const {
    return fmt::format("{} {} {} {} {}", minute.text, hour.text, day.text, month.text,
                       weekday.text);
  }
  bool wall_clock_bound() const { return !minute.has_star() && !hour.has_star(); }

  bool matches_day(date::local_days local) const {
    const date::year_month_day ymd(local);
    if (!month.values.contains(static_cast<int>(static_cast<unsigned>(ymd.month())))) return false;
    const int d = static_cast<int>(static_cast<unsigned>(ymd.day()));
    const int w = static_cast<int>(date::weekday(local).c_encoding());
    const bool is_last = date::year_month_day(local + date::days(1)).month() != ymd.month();
    const bool by_day = day.values.contains(d) || (day.last_day && is_last);
    const bool by_weekday = weekday.values.contains(w) || weekday.nth.contains({w, (d + 6) / 7});
    return day.starts_with_star() || weekday.starts_with_star() ? by_day && by_weekday
                                                                : by_day || by_weekday;
  }
};

Instant to_instant(date::sys_seconds at) { return Instant(at.time_since_epoch()); }

// Every instant's minute on the wall, one by one.
std::set<Instant> walk_elapsed(const OracleCron& cron, const date::time_zone& zone,
                               date::sys_seconds from, date::sys_seconds until) {
  std::set<Instant> found;
  date::sys_info info = zone.get_info(from);
  date::local_days day{};
  bool day_matches = false;
  for (date::sys_seconds t = from; t < until; t += 1min) {
    if (t >= info.end) info = zone.get_info(t);
    const date::local_seconds local((t + info.offset).time_since_epoch());
    if (const auto today = date::floor<date::days>(local); today != day) {
      day = today;
      day_matches = cron.matches_day(day);
    }
    if (!day_matches) continue;
    const auto of_day = std::chrono::duration_cast<std::chrono::minutes>(local - day).count();
    if (cron.hour.values.contains(static_cast<int>(of_day / 60)) &&
        cron.minute.values.contains(static_cast<int>(of_day % 60))) {
      found.insert(to_instant(t));
    }
  }
  return found;
}

// Every local time that is named, as the library places it.
std::set<Instant> walk_wall_clock(const OracleCron& cron, const date::time_zone& zone,
                                  DstPolicy dst, date::sys_seconds from, date::sys_seconds until) {
  std::set<Instant> found;
  const auto add = [&](date::sys_seconds t) {
    if (t >= from && t < until) found.insert(to_instant(t));
  };
  const date::local_days first(date::floor<date::days>(from).time_since_epoch() - date::days(2));
  const date::local_days last(date::floor<date::days>(until).time_since_epoch() + date::days(2));
  for (date::local_days day = first; day <= last; day += date::days(1)) {
    if (!cron.matches_day(day)) continue;
    for (const int hour : cron.hour.values) {
      for (const int minute : cron.minute.values) {
        const date::local_seconds local =
            day + std::chrono::hours(hour) + std::chrono::minutes(minute);
        const date::local_info info = zone.get_info(local);
        const date::sys_seconds by_first(local.time_since_epoch() - info.first.offset);
        const date::sys_seconds by_second(local.time_since_epoch() - info.second.offset);
        if (info.result == date::local_info::unique) {
          add(by_first);
        } else if (info.result == date::local_info::nonexistent) {
          if (dst.gap == Gap::kShift) add(info.second.begin);
        } else {
          if (dst.overlap != Overlap::kLast) add(by_first);
          if (dst.overlap != Overlap::kFirst) add(by_second);
        }
      }
    }
  }
  return found;
}

struct ZoneYear {
  const char* zone;
  int year;

  friend void PrintTo(const ZoneYear& one, std::ostream* out) { *out << one.zone << one.year; }
};

class AgainstTheOracle : public testing::TestWithParam<ZoneYear> {};

TEST_P(AgainstTheOracle, NextPreviousAndCountAgreeOverAYear) {
  const date::time_zone* oracle_zone = date::locate_zone(GetParam().zone);
  const Zone zone = Zone::find(GetParam().zone).value();
  const date::sys_seconds from = date::sys_days(date::year(GetParam().year) / 1 / 1);
  const date::sys_seconds until = date::sys_days(date::year(GetParam().year + 1) / 1 / 1);
  const Instant after = to_instant(from) - 1us;
  const Instant end = to_instant(until) - 1us;

  for (unsigned seed = 1; seed <= 12; ++seed) {
    Random random(seed * 1000 + static_cast<unsigned>(GetParam().year));
    const OracleCron oracle(random);
    const auto parsed = CronExpression::parse(oracle.text());
    if (!parsed) {
      ASSERT_NE(parsed.error().message.find("can never fire"), std::string::npos)
          << oracle.text() << ": " << parsed.error().message;
      continue;
    }
    const CronExpression& cron = *parsed;
    const DstPolicy dst{draw(random, 0, 1) == 0 ? Gap::kShift : Gap::kSkip,
                        std::array{Overlap::kFirst, Overlap::kLast,
                                   Overlap::kBoth}[static_cast<unsigned>(draw(random, 0, 2))]};
    SCOPED_TRACE(fmt::format("seed {}: {} gap {} overlap {}", seed, cron.text(),
                             static_cast<int>(dst.gap), static_cast<int>(dst.overlap)));
    ASSERT_EQ(cron.is_wall_clock_bound(), oracle.wall_clock_bound());
    const std::set<Instant> expected = oracle.wall_clock_bound()
                                           ? walk_wall_clock(oracle, *oracle_zone, dst, from, until)
                                           : walk_elapsed(oracle, *oracle_zone, from, until);

    std::set<Instant> forwards;
    Instant t = after;
    for (auto next = find_next(cron, zone, dst, t); next && next->at <= end;
         next = find_next(cron, zone, dst, t)) {
      ASSERT_GT(next->at, t);
      ASSERT_EQ(find_previous(cron, zone, dst, next->at), next) << "previous(next(x)) is next(x)";
      t = next->at;
      forwards.insert(t);
    }
    ASSERT_EQ(forwards, expected);

    for (int probe = 0; probe < 50; ++probe) {
      const Instant a = after + std::chrono::seconds(draw(random, 0, 365 * 86'400));
      const Instant b = a + std::chrono::seconds(draw(random, 0, 40 * 86'400));
      const Instant bound = std::min(b, end);
      const auto before = expected.upper_bound(a);
      const auto previous = find_previous(cron, zone, dst, a);
      if (before != expected.begin()) {
        ASSERT_TRUE(previous);
        ASSERT_EQ(previous->at, *std::prev(before)) << "before " << format_rfc3339(a);
      } else {
        ASSERT_TRUE(!previous || previous->at <= after);
      }
      ASSERT_EQ(
          count_occurrences(cron, zone, dst, a, bound),
          std::max<std::int64_t>(0, std::distance(expected.begin(), expected.upper_bound(bound)) -
                                        std::distance(expected.begin(), before)))
          << format_rfc3339(a) << " to " << format_rfc3339(bound);
    }
    ASSERT_EQ(count_occurrences(cron, zone, dst, after, end),
              static_cast<std::int64_t>(expected.size()));
  }
}

INSTANTIATE_TEST_SUITE_P(
    ZonesAndYears, AgainstTheOracle,
    testing::Values(ZoneYear{"America/New_York", 2026}, ZoneYear{"Europe/London", 2026},
                    ZoneYear{"Australia/Lord_Howe", 2026}, ZoneYear{"UTC", 2026},
                    ZoneYear{"America/New_York", 2028}, ZoneYear{"Africa/Casablanca", 2025},
                    ZoneYear{"Antarctica/Troll", 2027}, ZoneYear{"Pacific/Apia", 2011},
                    ZoneYear{"Africa/Cairo", 2010}, ZoneYear{"America/Caracas", 2016},
                    ZoneYear{"Asia/Pyongyang", 2015}, ZoneYear{"Europe/Dublin", 2037}),
    [](const auto& test) {
      std::string name = test.param.zone;
      std::ranges::replace(name, '/', '_');
      return name + "_" + std::to_string(test.param.year);
    });

}  // namespace
}  // namespace provisioner
