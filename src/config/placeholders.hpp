// {{workspace_name}} and its like, in what jobs are given.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "base/error.hpp"

namespace provisioner {

// A name in double braces, spaces around it allowed. What is no bare name ({{.Names}}, {{ a | b }})
// is text, so that the templates of other tools pass through. All values are made of letters,
// digits and "._-": a shell takes them as they are.
struct Placeholder {
  std::string_view name;
  std::string_view meaning;
};

// Those that exist: workspace_name, job_name, run_id, mode, trigger.
std::span<const Placeholder> placeholders();

// kInvalid names the first unknown one, and the nearest.
Status check_placeholders(std::string_view text);

// Each placeholder gives way to `value_of` its name; unknown ones stay.
using PlaceholderValue = std::pair<std::string_view, std::string>;
std::string fill_placeholders(std::string_view text, std::span<const PlaceholderValue> values);

}  // namespace provisioner
