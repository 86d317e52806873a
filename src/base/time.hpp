// Points in time and durations. Nothing here reads a clock: time is passed in (runtime/clock.hpp).
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.hpp"

namespace provisioner {

using Duration = std::chrono::microseconds;

// A point on the wall clock (UTC), in microseconds as PostgreSQL keeps them. Schedules, rows and
// logs use it. It may jump, so it never decides whether a lease has ended.
using Instant = std::chrono::time_point<std::chrono::system_clock, Duration>;

// CLOCK_BOOTTIME as a chrono clock: it counts through suspend and never jumps. Deadlines and leases
// are points on it; they mean nothing outside the machine and its present boot.
struct BootClock {
  using duration = Duration;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<BootClock>;
  static constexpr bool is_steady = true;
};
using BootInstant = BootClock::time_point;

// "2026-11-23T08:34:18Z"; with ".250" or ".250125" when there is a fraction.
std::string format_rfc3339(Instant at);

// RFC 3339 with "Z" or a numeric offset; fractions beyond microseconds are cut.
Result<Instant> parse_rfc3339(std::string_view text);

// "90s", "30m", "1h30m", "250ms", "7d", "0s": units d, h, m, s, ms, largest first, each once.
Result<Duration> parse_duration(std::string_view text);

// The inverse of parse_duration: "1h30m", "250ms", "0s".
std::string format_duration(Duration d);

// Microseconds since 1970-01-01 UTC, and back, for rows and protocols.
std::int64_t to_micros(Instant at);
Instant from_micros(std::int64_t micros);

}  // namespace provisioner
