#include "base/time.hpp"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cstdint>
#include <limits>

namespace provisioner {
namespace {

using namespace std::chrono;

// Reads exactly `digits` decimal digits at `pos` and moves it; -1 if they are not there.
int take_number(std::string_view text, std::size_t& pos, std::size_t digits) {
  if (pos + digits > text.size()) return -1;
  int value = 0;
  for (std::size_t i = 0; i < digits; ++i) {
    const char c = text[pos + i];
    if (c < '0' || c > '9') return -1;
    value = value * 10 + (c - '0');
  }
  pos += digits;
  return value;
}

bool take(std::string_view text, std::size_t& pos, std::string_view any_of) {
  if (pos >= text.size() || any_of.find(text[pos]) == std::string_view::npos) return false;
  ++pos;
  return true;
}

struct Unit {
  std::string_view suffix;
  Duration length;
};

constexpr std::array<Unit, 5> kUnits = {{{"d", hours(24)},
                                         {"h", hours(1)},
                                         {"m", minutes(1)},
                                         {"s", seconds(1)},
                                         {"ms", milliseconds(1)}}};

}  // namespace

std::string format_rfc3339(Instant at) {
  const auto day = floor<days>(at);
  const year_month_day date(day);
  const hh_mm_ss<Duration> time(at - day);
  std::string text =
      fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}", static_cast<int>(date.year()),
                  static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                  time.hours().count(), time.minutes().count(), time.seconds().count());
  const auto micros = time.subseconds().count();
  if (micros % 1000 != 0) {
    text += fmt::format(".{:06}", micros);
  } else if (micros != 0) {
    text += fmt::format(".{:03}", micros / 1000);
  }
  return text + "Z";
}

Result<Instant> parse_rfc3339(std::string_view text) {
  const auto wrong = [&] {
    return fail(
        ErrorKind::kInvalid,
        fmt::format("\"{}\" is not a time: write it as 2026-11-23T08:30:00Z or with an offset "
                    "such as +01:00",
                    text));
  };
  std::size_t pos = 0;
  const int y = take_number(text, pos, 4);
  if (y < 0 || !take(text, pos, "-")) return wrong();
  const int mo = take_number(text, pos, 2);
  if (mo < 0 || !take(text, pos, "-")) return wrong();
  const int d = take_number(text, pos, 2);
  if (d < 0 || !take(text, pos, "Tt ")) return wrong();
  const int h = take_number(text, pos, 2);
  if (h < 0 || h > 23 || !take(text, pos, ":")) return wrong();
  const int mi = take_number(text, pos, 2);
  if (mi < 0 || mi > 59 || !take(text, pos, ":")) return wrong();
  const int s = take_number(text, pos, 2);
  if (s < 0 || s > 60) return wrong();

  std::int64_t micros = 0;
  if (take(text, pos, ".")) {
    const std::size_t first = pos;
    std::int64_t scale = 100'000;
    while (pos < text.size() && text[pos] >= '0' && text[pos] <= '9') {
      micros += (text[pos] - '0') * scale;
      scale /= 10;
      ++pos;
    }
    if (pos == first) return wrong();
  }

  minutes offset{0};
  if (!take(text, pos, "Zz")) {
    if (pos >= text.size() || (text[pos] != '+' && text[pos] != '-')) return wrong();
    const int sign = text[pos++] == '-' ? -1 : 1;
    const int oh = take_number(text, pos, 2);
    if (oh < 0 || oh > 23 || !take(text, pos, ":")) return wrong();
    const int om = take_number(text, pos, 2);
    if (om < 0 || om > 59) return wrong();
    offset = minutes(sign * (oh * 60 + om));
  }
  const year_month_day date{year(y), month(static_cast<unsigned>(mo)),
                            day(static_cast<unsigned>(d))};
  if (pos != text.size() || !date.ok()) return wrong();
  return Instant(sys_days(date).time_since_epoch() + hours(h) + minutes(mi) + seconds(s) - offset +
                 microseconds(micros));
}

Result<Duration> parse_duration(std::string_view text) {
  const auto wrong = [&](std::string_view why) {
    return fail(
        ErrorKind::kInvalid,
        fmt::format("\"{}\" is not a duration ({}): write it as 90s, 30m, 1h30m or 7d", text, why));
  };
  if (text.empty()) return wrong("it is empty");
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
  std::int64_t total = 0;
  std::size_t next_unit = 0;
  std::size_t pos = 0;
  while (pos < text.size()) {
    std::int64_t number = 0;
    const char* begin = text.data() + pos;
    const auto [end, error] = std::from_chars(begin, text.data() + text.size(), number);
    if (error != std::errc() || number < 0) return wrong("a number is expected before each unit");
    pos += static_cast<std::size_t>(end - begin);
    std::size_t length = 0;
    while (pos + length < text.size() && text[pos + length] >= 'a' && text[pos + length] <= 'z') {
      ++length;
    }
    const std::string_view suffix = text.substr(pos, length);
    pos += length;
    std::size_t unit = next_unit;
    while (unit < kUnits.size() && kUnits[unit].suffix != suffix) ++unit;
    if (unit == kUnits.size()) {
      return wrong(suffix.empty() ? "a unit is missing"
                                  : "units are d, h, m, s and ms, largest first");
    }
    const std::int64_t scale = kUnits[unit].length.count();
    if (number > (kMost - total) / scale) return wrong("it is too long");
    total += number * scale;
    next_unit = unit + 1;
  }
  return Duration(total);
}

std::string format_duration(Duration d) {
  if (d < milliseconds(1) && d > milliseconds(-1)) return "0s";
  std::string text = d.count() < 0 ? "-" : "";
  if (d.count() < 0) d = -d;
  for (const auto& unit : kUnits) {
    const auto count = d / unit.length;
    if (count == 0) continue;
    text += fmt::format("{}{}", count, unit.suffix);
    d -= count * unit.length;
  }
  return text;
}

std::int64_t to_micros(Instant at) { return at.time_since_epoch().count(); }

Instant from_micros(std::int64_t micros) { return Instant(Duration(micros)); }

}  // namespace provisioner
