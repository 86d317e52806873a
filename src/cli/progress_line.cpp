#include "cli/progress_line.hpp"

#include <fmt/format.h>

#include <charconv>
#include <cstdio>

#include "base/text.hpp"
#include "cli/terminal.hpp"

namespace provisioner::cli {
namespace {

// "Plan: 3 to add, 1 to change, 0 to destroy." -> 4
std::int64_t planned_in(std::string_view line) {
  std::int64_t sum = 0;
  for (const auto part : split(line.substr(5), ',')) {
    const auto number = trim(part);
    std::int64_t value = 0;
    if (std::from_chars(number.data(), number.data() + number.size(), value).ec == std::errc()) {
      sum += value;
    }
  }
  return sum;
}

}  // namespace

void ProgressLine::take(std::string_view log_text) {
  for (const auto line : split(log_text, '\n')) {
    if (line.starts_with("Plan: ")) {
      planned_ = planned_in(line);
      done_ = 0;
    }
    for (const std::string_view word :
         {": Creation complete", ": Modifications complete", ": Destruction complete"}) {
      if (line.find(word) != std::string_view::npos) ++done_;
    }
  }
}

void ProgressLine::show(BootInstant now) {
  if (!terminal_) return;
  const auto elapsed = std::chrono::duration_cast<std::chrono::seconds>(now - started_);
  const std::string progress =
      planned_ == 0 ? "" : fmt::format("{} of {} resources, ", done_, planned_);
  const std::string text = fmt::format("{}{} s", progress, elapsed.count());
  fmt::print(stderr, "\r\x1b[K{}", tinted(text, Tint::kDim, colour_is_wanted()));
  std::fflush(stderr);
  shown_ = true;
}

void ProgressLine::clear() {
  if (!shown_) return;
  fmt::print(stderr, "\r\x1b[K");
  std::fflush(stderr);
  shown_ = false;
}

}  // namespace provisioner::cli
