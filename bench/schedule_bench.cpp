// next_occurrence() against the textbook: a walk from minute to minute with the date library's
// zoned_time. Both answer the same question, in the same run, in a zone with daylight saving.
#include <benchmark/benchmark.h>
#include <date/tz.h>
#include <time.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <string>

#include "schedule/occurrences.hpp"
#include "schedule/timeline.hpp"

namespace provisioner {
namespace {

using namespace std::chrono_literals;

constexpr const char* kZone = "America/New_York";

struct Case {
  const char* name;
  const char* cron;
  const char* from = "2026-01-01T00:00:00Z";
};

constexpr std::array<Case, 6> kCommon = {{{"every_minute", "* * * * *"},
                                          {"every_15_minutes", "*/15 * * * *"},
                                          {"hourly", "0 * * * *"},
                                          {"daily_0230", "30 2 * * *"},
                                          {"weekdays_0800", "0 8 * * MON-FRI"},
                                          {"monthly", "0 0 1 * *"}}};
constexpr std::array<Case, 4> kRare = {
    {{"last_day_of_february", "0 0 L 2 *", "2026-03-01T12:00:00Z"},
     {"leap_day", "0 0 29 2 *", "2028-03-01T12:00:00Z"},
     {"leap_day_on_a_sunday", "0 0 29 2 */7", "2004-03-01T12:00:00Z"},
     {"fifth_sunday_of_february", "0 0 * 2 SUN#5", "2004-03-01T12:00:00Z"}}};

// Starting points spread over a year, so that branches and months are not learnt by heart.
std::array<Instant, 256> starts(const Case& c, Duration span) {
  std::array<Instant, 256> points;
  const Instant from = parse_rfc3339(c.from).value();
  for (std::size_t i = 0; i < points.size(); ++i) {
    points[i] = from + span / points.size() * ((i * 97) % points.size());
  }
  return points;
}

void next(benchmark::State& state, const Case& c, Duration span) {
  const Zone zone = Zone::find(kZone).value();
  const CronExpression cron = CronExpression::parse(c.cron).value();
  const auto points = starts(c, span);
  std::size_t i = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(next_occurrence(cron, zone, {}, points[i++ % points.size()]));
  }
}

bool matches(const CronFields& fields, date::local_seconds local) {
  const auto day = date::floor<date::days>(local);
  const date::year_month_day date(day);
  const date::hh_mm_ss time(local - day);
  const date::local_days first_of_month(date.year() / date.month() / 1);
  const auto first_weekday = date::weekday(first_of_month).c_encoding();
  return (fields.minutes >> time.minutes().count() & 1) != 0 &&
         (fields.hours >> time.hours().count() & 1) != 0 &&
         (fields.months >> static_cast<unsigned>(date.month()) & 1) != 0 &&
         (fields.days >> static_cast<unsigned>(date.day()) & 1) != 0 &&
         (fields.weekday_days[first_weekday] >> static_cast<unsigned>(date.day()) & 1) != 0;
}

Instant textbook_next(const CronExpression& cron, const date::time_zone* zone, Instant after) {
  date::sys_seconds t = std::chrono::floor<std::chrono::minutes>(after);
  do {
    t += 1min;
  } while (!matches(cron.fields(), date::make_zoned(zone, t).get_local_time()));
  return t;
}

// Of this thread, so that a busy machine does not count.
std::chrono::nanoseconds cpu_time() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

// Both over the same starting points, in turn; the ratio is what counts.
void against_textbook(benchmark::State& state, const Case& c) {
  const Zone zone = Zone::find(kZone).value();
  const date::time_zone* textbook_zone = date::locate_zone(kZone);
  const CronExpression cron = CronExpression::parse(c.cron).value();
  const auto points = starts(c, 365 * 24h);
  std::chrono::nanoseconds ours{0};
  std::chrono::nanoseconds textbook{0};
  for (auto _ : state) {
    const auto begin = cpu_time();
    for (const Instant after : points) {
      benchmark::DoNotOptimize(next_occurrence(cron, zone, {}, after));
    }
    const auto middle = cpu_time();
    for (const Instant after : points) {
      benchmark::DoNotOptimize(textbook_next(cron, textbook_zone, after));
    }
    ours += middle - begin;
    textbook += cpu_time() - middle;
  }
  const double searches = static_cast<double>(state.iterations()) * points.size();
  state.counters["ours_ns"] = static_cast<double>(ours.count()) / searches;
  state.counters["textbook_ns"] = static_cast<double>(textbook.count()) / searches;
  state.counters["ratio"] =
      static_cast<double>(ours.count()) / static_cast<double>(textbook.count());
}

void previous(benchmark::State& state) {
  const Zone zone = Zone::find(kZone).value();
  const CronExpression cron = CronExpression::parse("30 2 * * *").value();
  const auto points = starts(kCommon[3], 365 * 24h);
  std::size_t i = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(previous_occurrence(cron, zone, {}, points[i++ % points.size()]));
  }
}

// What the scheduler asks after a year of downtime: the last of half a million, and how many.
void year_of_downtime(benchmark::State& state) {
  const Timeline timeline(
      {{"deploy_schedule", Action::kDeploy, "", CronExpression::parse("* * * * *").value()}},
      Zone::find(kZone).value(), {});
  const Instant until = parse_rfc3339("2026-11-23T00:00:30Z").value();
  const Instant after = until - 365 * 24h;
  for (auto _ : state) {
    benchmark::DoNotOptimize(timeline.last(after, until));
    benchmark::DoNotOptimize(timeline.count(after, until));
  }
}

void parse(benchmark::State& state) {
  for (auto _ : state)
    benchmark::DoNotOptimize(CronExpression::parse("*/5 9-17 * JAN,MAR MON-FRI"));
}

const bool kRegistered = [] {
  for (const Case& c : kCommon) {
    benchmark::RegisterBenchmark((std::string("schedule/next/") + c.name).c_str(), next, c,
                                 Duration(365 * 24h));
  }
  for (const Case& c : kRare) {
    benchmark::RegisterBenchmark((std::string("schedule/next/rare/") + c.name).c_str(), next, c,
                                 Duration(24h));
  }
  // The walk is slow enough without the rarest ones.
  for (const Case& c : kCommon) {
    benchmark::RegisterBenchmark((std::string("schedule/against_textbook/") + c.name).c_str(),
                                 against_textbook, c);
  }
  benchmark::RegisterBenchmark("schedule/previous/daily_0230", previous);
  benchmark::RegisterBenchmark("schedule/year_of_downtime", year_of_downtime);
  benchmark::RegisterBenchmark("schedule/parse", parse);
  return true;
}();

}  // namespace
}  // namespace provisioner
