// Time zones of the IANA data on this system, with their changes kept ready for fast conversion.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "base/time.hpp"

namespace provisioner {

// Schedules are computed between these two instants. The library's zone data knows no change after
// 2037: what lies beyond is an error, not a guess.
inline constexpr Instant kZoneDataBegin{};
inline constexpr Instant kZoneDataEnd{std::chrono::sys_days{std::chrono::year{2038} / 1 / 1}};

// A stretch of time with one offset from UTC. All in seconds: `begin` and `end` since
// 1970-01-01T00:00:00Z, the others on the local clock (UTC second + offset). The local interval of
// a stretch is [local_begin, local_end).
struct ZoneStretch {
  std::int64_t begin = 0;
  std::int64_t end = 0;
  std::int64_t offset = 0;
  std::int64_t local_begin = 0;
  std::int64_t local_end = 0;
  std::int64_t fresh_from = 0;   // local times before it were shown by an earlier stretch
  std::int64_t final_until = 0;  // local times from it on are shown again by a later stretch
  std::int64_t gap_begin =
      0;  // local times in [gap_begin, local_begin) are never shown; equal: no gap
};

struct ZoneTable;

// A handle (one pointer) to a zone that stays loaded until the process ends: copy it freely.
// Immutable; every function may be called from any thread.
class Zone {
 public:
  // kInvalid for an unknown name, with the nearest known one. The first use of a zone reads its
  // file.
  static Result<Zone> find(std::string_view iana_name);

  const std::string& name() const;

  // From UTC, positive to the east. Instants outside [kZoneDataBegin, kZoneDataEnd) have the offset
  // of the nearest one inside.
  std::chrono::seconds offset_at(Instant at) const;

  // What the clocks on the wall show.
  std::chrono::local_time<Duration> to_local(Instant at) const;

  // The instant at which the clocks show `local`: the first of two, and the first instant after
  // the gap for a time they skip. kInvalid outside the zone data.
  Result<Instant> from_local(std::chrono::local_time<Duration> local) const;

  // "2026-03-29T03:00:00+02:00", without fractions of a second.
  std::string format_local(Instant at) const;

  // In order of time, without holes, from kZoneDataBegin to kZoneDataEnd.
  std::span<const ZoneStretch> stretches() const;

  // Of the stretch that holds `second` (since 1970), clamped to the data.
  std::size_t stretch_at(std::int64_t second) const;

  friend bool operator==(const Zone&, const Zone&) = default;

 private:
  explicit Zone(const ZoneTable* table) : table_(table) {}

  const ZoneTable* table_;
};

// What must be so if the zone data is read as it was meant.
struct KnownOffset {
  std::string_view zone;
  Instant at;
  std::chrono::seconds offset;
};

// New York is UTC-5 in January and UTC-4 in July 2026, and so on.
std::span<const KnownOffset> known_offsets();

// Some images ship zone files that the library misreads silently. The error (kCorrupt) says what is
// wrong and how to mend it; the daemon then refuses to start.
Status check_zone_data(std::span<const KnownOffset> known = known_offsets());

// The zone this process runs in: $TZ, else what /etc/localtime points to, else UTC if there is no
// such file. kInvalid if that is not a zone of the IANA data.
Result<std::string> system_zone_name();

}  // namespace provisioner
