#include "config/placeholders.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "base/text.hpp"

namespace provisioner {
namespace {

constexpr Placeholder kPlaceholders[] = {
    {"workspace_name", "the workspace, `_standalone_` for standalone jobs"},
    {"job_name", "the job"},
    {"run_id", "the run"},
    {"mode", "the mode the run was given, empty without one"},
    {"trigger", "why it runs: `schedule`, `event` or `manual`"},
};

bool is_bare_name(std::string_view text) {
  const auto in_name = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  };
  return !text.empty() && std::ranges::all_of(text, in_name);
}

struct Found {
  std::size_t begin = 0, end = 0;  // with its braces
  std::string_view name;
};

std::optional<Found> find_placeholder(std::string_view text, std::size_t from) {
  while (true) {
    const auto begin = text.find("{{", from);
    if (begin == std::string_view::npos) return std::nullopt;
    const auto end = text.find("}}", begin + 2);
    if (end == std::string_view::npos) return std::nullopt;
    const auto name = trim(text.substr(begin + 2, end - begin - 2));
    if (is_bare_name(name)) return Found{begin, end + 2, name};
    from = begin + 1;
  }
}

}  // namespace

std::span<const Placeholder> placeholders() { return kPlaceholders; }

Status check_placeholders(std::string_view text) {
  std::size_t from = 0;
  while (const auto found = find_placeholder(text, from)) {
    from = found->end;
    if (std::ranges::find(kPlaceholders, found->name, &Placeholder::name) !=
        std::end(kPlaceholders)) {
      continue;
    }
    std::vector<std::string_view> known;
    for (const auto& each : kPlaceholders) known.push_back(each.name);
    const auto meant = nearest(found->name, known);
    if (!meant.empty()) {
      return fail(ErrorKind::kInvalid,
                  fmt::format("there is no placeholder {{{{{}}}}}; did you mean {{{{{}}}}}?",
                              found->name, meant));
    }
    return fail(ErrorKind::kInvalid,
                fmt::format("there is no placeholder {{{{{}}}}}, there are {}; a script may hold "
                            "any text",
                            found->name, fmt::join(known, ", ")));
  }
  return {};
}

std::string fill_placeholders(std::string_view text, std::span<const PlaceholderValue> values) {
  std::string filled;
  std::size_t from = 0;
  while (const auto found = find_placeholder(text, from)) {
    filled += text.substr(from, found->begin - from);
    from = found->end;
    const auto value = std::ranges::find(values, found->name, &PlaceholderValue::first);
    filled += value == values.end() ? text.substr(found->begin, found->end - found->begin)
                                    : std::string_view(value->second);
  }
  return filled += text.substr(from);
}

}  // namespace provisioner
