#include "model/occurrence.hpp"

#include <fmt/format.h>

#include <array>
#include <utility>

namespace provisioner {
namespace {

constexpr std::array<std::pair<Outcome, std::string_view>, 7> kNames = {{
    {Outcome::kFired, "fired"},
    {Outcome::kNoChange, "no_change"},
    {Outcome::kSuperseded, "superseded"},
    {Outcome::kSkippedDisabled, "skipped_disabled"},
    {Outcome::kSkippedOverlap, "skipped_overlap"},
    {Outcome::kSkippedHold, "skipped_hold"},
    {Outcome::kMissed, "missed"},
}};

}  // namespace

std::string_view to_string(Outcome outcome) {
  for (const auto& [value, name] : kNames) {
    if (value == outcome) return name;
  }
  return "";
}

Result<Outcome> parse_outcome(std::string_view text) {
  for (const auto& [value, name] : kNames) {
    if (name == text) return value;
  }
  return fail(ErrorKind::kInvalid, fmt::format("\"{}\" is not an occurrence's outcome", text));
}

}  // namespace provisioner
