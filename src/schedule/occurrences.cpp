#include "schedule/occurrences.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "schedule/calendar.hpp"

namespace provisioner {
namespace {

// The local times of a stretch in which an expression fires, in seconds.
struct Window {
  std::int64_t from;
  std::int64_t until;

  std::int64_t first_minute() const { return -floor_div(-from, 60); }
  std::int64_t last_minute() const { return -floor_div(-until, 60) - 1; }
};

// How an expression meets the changes of its zone's clocks.
struct Rules {
  bool shift_gap = false;
  bool skip_repeated = false;  // fire at the first of two equal local times
  bool await_last = false;     // fire at the last of them

  Rules(const CronExpression& cron, DstPolicy dst) {
    if (!cron.is_wall_clock_bound()) return;
    shift_gap = dst.gap == DstPolicy::Gap::kShift;
    skip_repeated = dst.overlap == DstPolicy::Overlap::kFirst;
    await_last = dst.overlap == DstPolicy::Overlap::kLast;
  }

  Window window(const ZoneStretch& stretch) const {
    return {skip_repeated ? stretch.fresh_from : stretch.local_begin,
            await_last ? stretch.final_until : stretch.local_end};
  }

  bool moves_gap_of(const ZoneStretch& stretch) const {
    return shift_gap && stretch.gap_begin < stretch.local_begin;
  }
};

std::int64_t second_of(Instant at) {
  return std::chrono::floor<std::chrono::seconds>(at).time_since_epoch().count();
}

Instant instant_of(std::int64_t second) { return Instant(std::chrono::seconds(second)); }

CronTime in_stretch(const ZoneStretch& stretch, std::int64_t minute) {
  return {instant_of(minute * 60 - stretch.offset), minute};
}

std::unexpected<Error> beyond(const CronExpression& cron, const Zone& zone) {
  return fail(
      ErrorKind::kInvalid,
      fmt::format("the next time of \"{}\" lies beyond 2037, where the zone data of {} ends",
                  cron.text(), zone.name()));
}

}  // namespace

std::optional<CronTime> find_next(const CronExpression& cron, const Zone& zone, DstPolicy dst,
                                  Instant after) {
  if (after >= kZoneDataEnd) return std::nullopt;
  const Rules rules(cron, dst);
  const auto stretches = zone.stretches();
  const std::int64_t second = std::max<std::int64_t>(second_of(after), -1);
  std::size_t i = zone.stretch_at(second);
  Window window = rules.window(stretches[i]);
  // Invariant: `match` is the first match at or after the local minute `start`, and every minute of
  // this and earlier stretches before `start` is done.
  std::int64_t start =
      std::max(floor_div(second + stretches[i].offset, 60) + 1, window.first_minute());
  std::int64_t match = first_match(cron, start);
  while (match * 60 >= window.until) {
    if (++i == stretches.size()) return std::nullopt;
    const ZoneStretch& stretch = stretches[i];
    window = rules.window(stretch);
    if (rules.moves_gap_of(stretch) && match * 60 >= stretch.gap_begin &&
        match * 60 < stretch.local_begin) {
      return CronTime{instant_of(stretch.begin),
                      last_match(cron, floor_div(stretch.local_begin, 60))};
    }
    // A match found earlier still holds unless the clocks went back behind the start of its search,
    // or skipped it.
    const std::int64_t first = window.first_minute();
    if (first < start || match < first) {
      start = first;
      match = first_match(cron, start);
    }
  }
  return in_stretch(stretches[i], match);
}

std::optional<CronTime> find_previous(const CronExpression& cron, const Zone& zone, DstPolicy dst,
                                      Instant before_or_at) {
  if (before_or_at < kZoneDataBegin) return std::nullopt;
  const Rules rules(cron, dst);
  const auto stretches = zone.stretches();
  const std::int64_t second = std::min(second_of(before_or_at), second_of(kZoneDataEnd) - 1);
  std::size_t i = zone.stretch_at(second);
  Window window = rules.window(stretches[i]);
  // Invariant: `match` is the last match at or before the local minute `start`.
  std::int64_t start = std::min(floor_div(second + stretches[i].offset, 60), window.last_minute());
  std::int64_t match = last_match(cron, start);
  while (match * 60 < window.from) {
    const ZoneStretch& stretch = stretches[i];
    if (rules.moves_gap_of(stretch) && match * 60 >= stretch.gap_begin) {
      return CronTime{instant_of(stretch.begin), match};
    }
    if (i == 0) return std::nullopt;
    window = rules.window(stretches[--i]);
    const std::int64_t last = window.last_minute();
    if (last > start || match > last) {
      start = last;
      match = last_match(cron, start);
    }
  }
  return in_stretch(stretches[i], match);
}

Result<std::optional<Instant>> next_occurrence(const CronExpression& cron, const Zone& zone,
                                               DstPolicy dst, Instant after) {
  const auto found = find_next(cron, zone, dst, after);
  if (!found) return beyond(cron, zone);
  return found->at;
}

Result<std::optional<Instant>> previous_occurrence(const CronExpression& cron, const Zone& zone,
                                                   DstPolicy dst, Instant before_or_at) {
  if (before_or_at >= kZoneDataEnd) return beyond(cron, zone);
  const auto found = find_previous(cron, zone, dst, before_or_at);
  return found ? std::optional(found->at) : std::nullopt;
}

Result<std::int64_t> count_occurrences(const CronExpression& cron, const Zone& zone, DstPolicy dst,
                                       Instant after, Instant until) {
  if (until >= kZoneDataEnd) return beyond(cron, zone);
  if (until <= after || until < kZoneDataBegin) return 0;
  const Rules rules(cron, dst);
  const auto stretches = zone.stretches();
  const std::int64_t from = std::max<std::int64_t>(second_of(after), -1);
  const std::int64_t to = second_of(until);
  const std::size_t last = zone.stretch_at(to);
  std::int64_t count = 0;
  for (std::size_t i = zone.stretch_at(from); i <= last; ++i) {
    const ZoneStretch& stretch = stretches[i];
    const Window window = rules.window(stretch);
    const std::int64_t first_minute =
        std::max(window.first_minute(), floor_div(from + stretch.offset, 60) + 1);
    const std::int64_t last_minute =
        std::min(window.last_minute(), floor_div(to + stretch.offset, 60));
    count += count_matches(cron, first_minute, last_minute + 1);
    if (rules.moves_gap_of(stretch) && stretch.begin > from && stretch.begin <= to) {
      const std::int64_t moved = last_match(cron, floor_div(stretch.local_begin, 60));
      // One that the expression names at the end of the gap anyway is counted above.
      if (moved * 60 >= stretch.gap_begin && moved * 60 < stretch.local_begin) ++count;
    }
  }
  return count;
}

}  // namespace provisioner
