#include "schedule/zone.hpp"

#include <date/tz.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <exception>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "base/text.hpp"

namespace provisioner {

namespace {

constexpr std::int64_t kEndSecond =
    std::chrono::duration_cast<std::chrono::seconds>(kZoneDataEnd.time_since_epoch()).count();
// Stretches are found through the slot (48 days long) of their second.
constexpr int kSlotBits = 22;
constexpr std::size_t kSlots = (kEndSecond >> kSlotBits) + 1;

}  // namespace

struct ZoneTable {
  std::string name;
  std::vector<ZoneStretch> stretches;
  std::array<std::uint16_t, kSlots> slots{};  // slot -> the stretch of its first second
};

namespace {

std::vector<ZoneStretch> read_stretches(const date::time_zone& zone) {
  std::vector<ZoneStretch> stretches;
  for (std::int64_t second = 0; second < kEndSecond;) {
    const date::sys_info info = zone.get_info(date::sys_seconds(std::chrono::seconds(second)));
    const std::int64_t end =
        std::min<std::int64_t>(info.end.time_since_epoch().count(), kEndSecond);
    const std::int64_t offset = info.offset.count();
    if (stretches.empty() || stretches.back().offset != offset) {
      stretches.push_back({.begin = second, .end = second, .offset = offset});
    }
    stretches.back().end = end;  // names of zones may change while the offset stays
    second = end;
  }
  return stretches;
}

// Fills in what depends on the neighbours.
void relate(std::vector<ZoneStretch>& stretches) {
  for (ZoneStretch& s : stretches) {
    s.local_begin = s.begin + s.offset;
    s.local_end = s.end + s.offset;
  }
  std::int64_t shown_until = stretches.front().local_begin;
  for (ZoneStretch& s : stretches) {
    s.fresh_from = std::max(s.local_begin, shown_until);
    s.gap_begin = std::min(s.local_begin, shown_until);
    shown_until = std::max(shown_until, s.local_end);
  }
  std::int64_t repeated_from = stretches.back().local_end;
  for (auto s = stretches.rbegin(); s != stretches.rend(); ++s) {
    s->final_until = std::min(s->local_end, repeated_from);
    repeated_from = std::min(repeated_from, s->local_begin);
  }
}

std::unique_ptr<ZoneTable> read_zone(const date::time_zone& zone) {
  auto table = std::make_unique<ZoneTable>();
  table->name = zone.name();
  table->stretches = read_stretches(zone);
  relate(table->stretches);
  std::size_t stretch = 0;
  for (std::size_t slot = 0; slot < kSlots; ++slot) {
    const auto second = static_cast<std::int64_t>(slot) << kSlotBits;
    while (table->stretches[stretch].end <= second) ++stretch;
    table->slots[slot] = static_cast<std::uint16_t>(stretch);
  }
  return table;
}

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return result;
}

constexpr std::string_view kThisMachine = "localtime";  // means something else on every host

// The name somebody meant: the right letters in the wrong case, a city without its continent, or a
// typing error. Abbreviations are near to each other whatever they mean (PST, EST): no guess.
std::string suggestion(std::string_view wanted) {
  const std::string plain = lower(wanted);
  std::vector<std::string_view> names;
  if (plain.empty()) return "";
  for (const date::time_zone& zone : date::get_tzdb().zones) {
    const std::string_view name = zone.name();
    if (name == kThisMachine) continue;
    const std::string known = lower(name);
    if (known == plain || known.ends_with("/" + plain)) return std::string(name);
    names.push_back(name);
  }
  return wanted.size() <= 4 ? "" : std::string(nearest(wanted, names));
}

std::unexpected<Error> unknown_zone(std::string_view wanted) {
  const std::string guess = suggestion(wanted);
  return fail(ErrorKind::kInvalid,
              fmt::format("unknown time zone \"{}\"{}", wanted,
                          guess.empty() ? ": write an IANA name such as Europe/Berlin or UTC"
                                        : fmt::format("; did you mean {}?", guess)));
}

const date::time_zone* locate(std::string_view name) {
  const auto& zones = date::get_tzdb().zones;
  const auto found = std::ranges::find(zones, name, &date::time_zone::name);
  return found == zones.end() || name == kThisMachine ? nullptr : &*found;
}

// Loaded zones stay: there are at most some 600, and every Zone points to one.
struct Loaded {
  std::mutex mutex;
  std::unordered_map<std::string, std::unique_ptr<const ZoneTable>> tables;
};

Loaded& loaded() {
  static Loaded zones;
  return zones;
}

}  // namespace

Result<Zone> Zone::find(std::string_view iana_name) {
  Loaded& zones = loaded();
  const std::lock_guard lock(zones.mutex);
  const std::string name(iana_name);
  if (const auto found = zones.tables.find(name); found != zones.tables.end()) {
    return Zone(found->second.get());
  }
  try {
    const date::time_zone* zone = locate(name);
    if (zone == nullptr) return unknown_zone(name);
    auto table = read_zone(*zone);
    return Zone((zones.tables[name] = std::move(table)).get());
  } catch (const std::exception& e) {
    return fail(
        ErrorKind::kCorrupt,
        fmt::format("reading the zone data of \"{}\": {} (is the package tzdata installed?)", name,
                    e.what()));
  }
}

const std::string& Zone::name() const { return table_->name; }

std::span<const ZoneStretch> Zone::stretches() const { return table_->stretches; }

std::size_t Zone::stretch_at(std::int64_t second) const {
  const std::int64_t inside = std::clamp<std::int64_t>(second, 0, kEndSecond - 1);
  std::size_t i = table_->slots[static_cast<std::size_t>(inside >> kSlotBits)];
  while (table_->stretches[i].end <= inside) ++i;
  return i;
}

std::chrono::seconds Zone::offset_at(Instant at) const {
  const auto second = std::chrono::floor<std::chrono::seconds>(at).time_since_epoch().count();
  return std::chrono::seconds(table_->stretches[stretch_at(second)].offset);
}

std::chrono::local_time<Duration> Zone::to_local(Instant at) const {
  return std::chrono::local_time<Duration>(at.time_since_epoch() + offset_at(at));
}

Result<Instant> Zone::from_local(std::chrono::local_time<Duration> local) const {
  const auto second = std::chrono::floor<std::chrono::seconds>(local).time_since_epoch().count();
  for (const ZoneStretch& s : table_->stretches) {
    if (second >= s.local_end || second < s.gap_begin) continue;
    if (second < s.local_begin) return Instant(std::chrono::seconds(s.begin));
    return Instant(local.time_since_epoch() - std::chrono::seconds(s.offset));
  }
  return fail(ErrorKind::kInvalid,
              fmt::format("the zone data of {} covers the years 1970 to 2037", name()));
}

std::string Zone::format_local(Instant at) const {
  const auto offset = offset_at(at);
  const auto local = std::chrono::floor<std::chrono::seconds>(at) + offset;
  // RFC 3339 has no seconds in an offset; no zone has had them since 1972.
  const auto minutes = std::chrono::round<std::chrono::minutes>(std::chrono::abs(offset));
  std::string text = format_rfc3339(local);
  text.pop_back();  // Z
  return fmt::format("{}{}{:02}:{:02}", text, offset.count() < 0 ? '-' : '+', minutes.count() / 60,
                     minutes.count() % 60);
}

}  // namespace provisioner
