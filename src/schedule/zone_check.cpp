#include <date/tz.h>
#include <fmt/format.h>

#include <array>
#include <cstdlib>
#include <exception>
#include <filesystem>

#include "schedule/zone.hpp"

namespace provisioner {
namespace {

using namespace std::chrono_literals;

constexpr Instant day(int year, unsigned month, unsigned day_of_month) {
  return Instant(std::chrono::sys_days(std::chrono::year(year) / std::chrono::month(month) /
                                       std::chrono::day(day_of_month)));
}

// Both halves of the year, both hemispheres, a half-hour change, and the last year of the data:
// files without the later changes ("slim") are misread as if the clocks stayed.
constexpr std::array<KnownOffset, 8> kKnownOffsets = {
    {{"America/New_York", day(2026, 1, 15), -5h},
     {"America/New_York", day(2026, 7, 15), -4h},
     {"Europe/London", day(2026, 1, 15), 0h},
     {"Europe/London", day(2026, 7, 15), 1h},
     {"Australia/Lord_Howe", day(2026, 1, 15), 11h},
     {"Australia/Lord_Howe", day(2026, 7, 15), 10h + 30min},
     {"America/New_York", day(2037, 7, 15), -4h},
     {"Etc/UTC", day(2026, 7, 15), 0h}}};

std::string utc_offset(std::chrono::seconds offset) {
  const auto minutes = std::chrono::duration_cast<std::chrono::minutes>(std::chrono::abs(offset));
  return fmt::format("UTC{}{:02}:{:02}", offset < 0s ? '-' : '+', minutes.count() / 60,
                     minutes.count() % 60);
}

}  // namespace

std::span<const KnownOffset> known_offsets() { return kKnownOffsets; }

Status check_zone_data(std::span<const KnownOffset> known) {
  for (const KnownOffset& expected : known) {
    const auto zone = Zone::find(expected.zone);
    if (!zone) return fail("checking the time-zone data", zone.error());
    const auto offset = zone->offset_at(expected.at);
    if (offset == expected.offset) continue;
    return fail(
        ErrorKind::kCorrupt,
        fmt::format("the time-zone data of this system cannot be used: it says that {} is {} on "
                    "{}, where {} is right. Install Debian's package tzdata, whose files hold "
                    "every change until 2037 (\"fat\" TZif files, zic -b fat)",
                    expected.zone, utc_offset(offset), format_rfc3339(expected.at).substr(0, 10),
                    utc_offset(expected.offset)));
  }
  return {};
}

Result<std::string> system_zone_name() {
  std::string name;
  std::string source;
  if (const char* tz = std::getenv("TZ"); tz != nullptr && *tz != '\0') {
    name = *tz == ':' ? tz + 1 : tz;
    source = "TZ";
  } else {
    std::error_code
        ignored;  // what cannot be looked at is treated as absent, as the C library does
    if (!std::filesystem::exists("/etc/localtime", ignored)) return "UTC";
    source = "/etc/localtime";
    try {
      name = date::current_zone()->name();
    } catch (const std::exception& e) {
      return fail(
          ErrorKind::kInvalid,
          fmt::format("the time zone of this system cannot be told from /etc/localtime ({}): set "
                      "scheduler.timezone",
                      e.what()));
    }
  }
  const auto zone = Zone::find(name);
  if (!zone) {
    return fail(zone.error().kind, fmt::format("the time zone of this system, from {}: {}; set "
                                               "scheduler.timezone",
                                               source, zone.error().message));
  }
  return name;
}

}  // namespace provisioner
