#include "cli/terminal.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <iostream>

namespace provisioner::cli {
namespace {

std::string_view code_of(Tint tint) {
  switch (tint) {
    case Tint::kNone: return "";
    case Tint::kGreen: return "\x1b[32m";
    case Tint::kYellow: return "\x1b[33m";
    case Tint::kRed: return "\x1b[31m";
    case Tint::kDim: return "\x1b[2m";
    case Tint::kBold: return "\x1b[1m";
  }
  return "";
}

std::size_t width_of(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
  }));
}

}  // namespace

bool colour_is_wanted() {
  const char* no_colour = std::getenv("NO_COLOR");
  if (no_colour != nullptr && *no_colour != '\0') return false;
  const char* term = std::getenv("TERM");
  return term != nullptr && std::string_view(term) != "dumb";
}

bool output_has_colour() { return isatty(STDOUT_FILENO) == 1 && colour_is_wanted(); }

bool input_is_terminal() { return isatty(STDIN_FILENO) == 1; }
bool error_is_terminal() { return isatty(STDERR_FILENO) == 1; }

std::string tinted(std::string_view text, Tint tint, bool colour) {
  if (!colour || tint == Tint::kNone) return std::string(text);
  return fmt::format("{}{}\x1b[0m", code_of(tint), text);
}

Tint tint_of_status(std::string_view status) {
  if (status == "deployed" || status == "succeeded" || status == "fired") return Tint::kGreen;
  if (status.ends_with("failed") || status == "timed_out" || status == "interrupted")
    return Tint::kRed;
  if (status.ends_with("ing") || status == "needs_confirmation" || status == "queued") {
    return Tint::kYellow;
  }
  return Tint::kNone;
}

std::string render_table(const std::vector<std::string>& head,
                         const std::vector<std::vector<Cell>>& rows, bool colour) {
  std::vector<std::size_t> widths;
  for (const auto& title : head) widths.push_back(width_of(title));
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < row.size() && i < widths.size(); ++i) {
      widths[i] = std::max(widths[i], width_of(row[i].text));
    }
  }
  std::string text;
  const auto line = [&](const std::vector<Cell>& cells) {
    std::size_t pending = 0;  // spaces are written only before the next text
    for (std::size_t i = 0; i < cells.size() && i < widths.size(); ++i) {
      if (!cells[i].text.empty()) {
        text.append(pending, ' ');
        text += tinted(cells[i].text, cells[i].tint, colour);
        pending = 0;
      }
      pending += widths[i] - width_of(cells[i].text) + 2;
    }
    text += '\n';
  };
  std::vector<Cell> titles;
  for (const auto& title : head) titles.push_back({title, Tint::kBold});
  line(titles);
  for (const auto& row : rows) line(row);
  return text;
}

std::string relative_time(long long seconds_from_now) {
  const long long s = std::llabs(seconds_from_now);
  if (s == 0) return "now";
  std::string amount;
  if (s < 120) {
    amount = fmt::format("{} s", s);
  } else if (s < 120 * 60) {
    amount = fmt::format("{} min", s / 60);
  } else if (s < 48 * 3600) {
    amount = fmt::format("{} h", s / 3600);
  } else {
    amount = fmt::format("{} d", s / 86400);
  }
  return seconds_from_now < 0 ? amount + " ago" : "in " + amount;
}

bool confirm(std::string_view question) {
  if (!input_is_terminal()) {
    fmt::print(stderr, "provisioner: {} Without a terminal to ask on, say --yes\n", question);
    return false;
  }
  fmt::print(stderr, "{} [y/N] ", question);
  std::string answer;
  std::getline(std::cin, answer);
  return answer == "y" || answer == "Y" || answer == "yes";
}

}  // namespace provisioner::cli
