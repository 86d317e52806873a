// What people see: tables and colour.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace provisioner::cli {

// By NO_COLOR and TERM.
bool colour_is_wanted();
// Whether standard output is a terminal that wants colour.
bool output_has_colour();
bool input_is_terminal();
bool error_is_terminal();

enum class Tint { kNone, kGreen, kYellow, kRed, kDim, kBold };
std::string tinted(std::string_view text, Tint tint, bool colour);

// The tint of a workspace's or run's status: green when well, red when failed, yellow between.
Tint tint_of_status(std::string_view status);

struct Cell {
  std::string text;
  Tint tint = Tint::kNone;
};

// Columns as wide as their content, two spaces between, no trailing space. An empty table prints
// its head only. Width counts code points.
std::string render_table(const std::vector<std::string>& head,
                         const std::vector<std::vector<Cell>>& rows, bool colour);

// "now", "12 s ago", "in 3 min", "2 d ago": for tables.
std::string relative_time(long long seconds_from_now);

// Asks on the terminal; true for y or yes. Without a terminal: false, after saying that --yes is
// needed.
bool confirm(std::string_view question);

}  // namespace provisioner::cli
