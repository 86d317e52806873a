// Any text is either refused with a message or becomes an expression whose occurrences agree with
// each other: forwards, backwards and counted, in a zone and with a policy that the input chooses.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "schedule/occurrences.hpp"

namespace provisioner {
namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

Zone zone_of(unsigned choice) {
  static const Zone zones[] = {Zone::find("America/New_York").value(),
                               Zone::find("Australia/Lord_Howe").value(), Zone::find("UTC").value(),
                               Zone::find("Africa/Casablanca").value()};
  return zones[choice % 4];
}

void check(const CronExpression& cron, const Zone& zone, DstPolicy dst, Instant start) {
  Instant after = start;
  std::int64_t steps = 0;
  for (; steps < 8; ++steps) {
    const auto next = find_next(cron, zone, dst, after);
    if (!next) break;
    require(next->at > after);
    require(find_previous(cron, zone, dst, next->at) == next);
    const auto before = find_previous(cron, zone, dst, next->at - Duration(1));
    require(!before || before->at <= after);
    after = next->at;
  }
  require(count_occurrences(cron, zone, dst, start, after) == steps);
}

}  // namespace
}  // namespace provisioner

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace provisioner;
  // Three bytes choose policy, zone and start; the rest is the text.
  if (size < 3) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 3, size - 3);
  const auto cron = CronExpression::parse(text);
  if (!cron) {
    require(!cron.error().message.empty());
    return 0;
  }
  const auto again = CronExpression::parse(cron->text());
  require(again && *again == *cron && again->fields().days == cron->fields().days);
  require(!explain(*cron).empty());
  const DstPolicy dst{static_cast<DstPolicy::Gap>(data[0] & 1),
                      static_cast<DstPolicy::Overlap>(data[0] / 2 % 3)};
  // From 2000, in steps of about a week: some fall on changes of the clocks.
  const Instant start =
      from_micros(946'684'800'000'000) + std::chrono::hours(161) * (data[1] * 4 + data[2] % 4);
  check(*cron, zone_of(data[2] / 4), dst, start);
  return 0;
}
