#include "cli/yaml.hpp"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <string_view>

namespace provisioner::cli {
namespace {

using Json = nlohmann::ordered_json;

// Letters first, then letters, digits, '_', '-', '.', '/': and none of YAML 1.1's booleans or
// nulls.
bool is_plain_word(std::string_view text) {
  constexpr std::array<std::string_view, 9> kTaken = {"y",   "n",    "yes",   "no",  "on",
                                                      "off", "true", "false", "null"};
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  if (text.empty() || !letter(text.front())) return false;
  std::string lower;
  for (const char c : text) {
    const bool fine =
        letter(c) || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.' || c == '/';
    if (!fine) return false;
    lower += static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  }
  return std::find(kTaken.begin(), kTaken.end(), lower) == kTaken.end();
}

std::string scalar(const Json& value) {
  if (value.is_string() && is_plain_word(value.get_ref<const std::string&>())) {
    return value.get<std::string>();
  }
  return value.dump();  // numbers, true, false, null, "quoted", and the empty {} and []
}

bool is_nested(const Json& value) { return value.is_structured() && !value.empty(); }

void write(const Json& value, std::size_t indent, std::string& out) {
  const std::string margin(indent, ' ');
  if (value.is_object()) {
    bool first = true;
    for (const auto& [key, item] : value.items()) {
      // The first key of a list item stands behind its dash.
      if (!first || out.empty() || out.back() == '\n') out += margin;
      first = false;
      out += (is_plain_word(key) ? key : Json(key).dump()) + ":";
      if (is_nested(item)) {
        out += '\n';
        write(item, indent + (item.is_array() ? 0 : 2), out);
      } else {
        out += " " + scalar(item) + "\n";
      }
    }
  } else if (value.is_array()) {
    for (const auto& item : value) {
      if (out.empty() || out.back() == '\n') out += margin;
      out += "- ";
      if (is_nested(item)) {
        write(item, indent + 2, out);
      } else {
        out += scalar(item) + "\n";
      }
    }
  }
}

}  // namespace

std::string to_yaml(const std::string& json) {
  const Json value = Json::parse(json);
  if (!is_nested(value)) return scalar(value) + "\n";
  std::string out;
  write(value, 0, out);
  return out;
}

}  // namespace provisioner::cli
