#include "tofu/state_body.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "tofu/digest.hpp"
#include "tofu/json_depth.hpp"

namespace provisioner::tofu {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kHidden = "(sensitive)";
// Shorter secrets are too likely to equal something that is none, as "true" or "a".
constexpr std::size_t kShortestSecret = 6;

std::unexpected<Error> no_state(std::string_view why) {
  return fail(ErrorKind::kInvalid, fmt::format("this is no tofu state: {}", why));
}

const Json& member(const Json& json, const std::string& name) {
  static const Json kNothing;
  if (!json.is_object()) return kNothing;
  const auto found = json.find(name);
  return found == json.end() ? kNothing : *found;
}

std::string text_of(const Json& json, const std::string& name) {
  const Json& value = member(json, name);
  return value.is_string() ? value.get<std::string>() : "";
}

std::string dump(const Json& json, int indent = -1) {
  return json.dump(indent, ' ', false, Json::error_handler_t::replace);
}

// What a state of version 4 must have; the sentence names what is missing.
Status check_head(const Json& state) {
  if (!state.is_object()) return no_state("it is no JSON object");
  const Json& version = member(state, "version");
  if (!version.is_number_integer()) return no_state("it has no \"version\"");
  if (version != 4) {
    return no_state(fmt::format("its version is {}, and only 4 is known", dump(version)));
  }
  if (text_of(state, "lineage").empty()) return no_state("it has no \"lineage\"");
  const Json& serial = member(state, "serial");
  const bool is_serial = serial.is_number_integer() &&
                         (!serial.is_number_unsigned() ||
                          serial.get<std::uint64_t>() <= std::numeric_limits<std::int64_t>::max());
  if (!is_serial || serial.get<std::int64_t>() < 0) return no_state("it has no usable \"serial\"");
  if (!member(state, "resources").is_array()) return no_state("it has no \"resources\"");
  return {};
}

Result<Json> parse_whole(std::string_view body) {
  if (nests_too_deep(body)) return no_state("it nests too deep");
  Json state = Json::parse(body, nullptr, false);
  if (state.is_discarded()) return no_state("it is no JSON");
  if (auto head = check_head(state); !head) return std::unexpected(head.error());
  return state;
}

// A value of a dynamic type is kept as {"value": ..., "type": ...}.
bool is_wrapped(const Json& value) {
  return value.is_object() && value.size() == 2 && value.contains("value") &&
         value.contains("type");
}

void collect_texts(const Json& value, std::set<std::string>& secrets) {
  if (value.is_string()) {
    const auto& text = value.get_ref<const std::string&>();
    if (text.size() >= kShortestSecret) secrets.insert(text);
  } else if (is_wrapped(value)) {
    collect_texts(value["value"], secrets);
  } else if (value.is_structured()) {
    for (const Json& part : value) collect_texts(part, secrets);
  }
}

// Follows a path of sensitive_attributes; null when it leads nowhere.
Json* follow(Json& attributes, const Json& path) {
  Json* at = &attributes;
  for (const Json& step : path) {
    if (is_wrapped(*at)) at = &(*at)["value"];
    const Json& key = member(step, "value");
    const Json& index = is_wrapped(key) ? key["value"] : key;
    if (at->is_object() && index.is_string() && at->contains(index.get<std::string>())) {
      at = &(*at)[index.get<std::string>()];
    } else if (at->is_array() && index.is_number_unsigned() &&
               index.get<std::size_t>() < at->size()) {
      at = &(*at)[index.get<std::size_t>()];
    } else {
      // An element of a set has no path of its own: hide what it is in.
      return at == &attributes ? nullptr : at;
    }
  }
  return at == &attributes ? nullptr : at;
}

void hide(Json& value, std::set<std::string>& secrets) {
  if (value.is_null()) return;
  collect_texts(value, secrets);
  value = kHidden;
}

void hide_equals(Json& value, const std::set<std::string>& secrets) {
  if (value.is_string()) {
    if (secrets.contains(value.get_ref<const std::string&>())) value = kHidden;
  } else if (value.is_structured()) {
    for (Json& part : value) hide_equals(part, secrets);
  }
}

template <typename Visit>
void for_each_instance(Json& state, Visit visit) {
  for (Json& resource : state["resources"]) {
    if (!resource.is_object() || !resource.contains("instances")) continue;
    for (Json& instance : resource["instances"]) {
      if (instance.is_object()) visit(resource, instance);
    }
  }
}

// Hides what providers and authors marked, then every other text equal to something hidden: a
// computed attribute often repeats a secret that only its source was marked for.
void mask(Json& state) {
  std::set<std::string> secrets;
  if (Json& outputs = state["outputs"]; outputs.is_object()) {
    for (Json& output : outputs) {
      if (member(output, "sensitive") == Json(true)) hide(output["value"], secrets);
    }
  }
  for_each_instance(state, [&](Json&, Json& instance) {
    instance.erase("private");
    if (!instance.contains("attributes")) return;
    for (const Json& path : member(instance, "sensitive_attributes")) {
      if (Json* value = follow(instance["attributes"], path)) hide(*value, secrets);
    }
  });
  for_each_instance(state, [&](Json&, Json& instance) {
    if (instance.contains("attributes")) hide_equals(instance["attributes"], secrets);
  });
  if (state["outputs"].is_object()) hide_equals(state["outputs"], secrets);
}

std::string address_of(const Json& resource, const Json& instance) {
  std::string address = text_of(resource, "module");
  if (!address.empty()) address += '.';
  if (text_of(resource, "mode") == "data") address += "data.";
  address += text_of(resource, "type") + "." + text_of(resource, "name");
  if (const Json& key = member(instance, "index_key"); !key.is_null()) {
    address += "[" + dump(key) + "]";
  }
  if (const std::string deposed = text_of(instance, "deposed"); !deposed.empty()) {
    address += " (deposed " + deposed + ")";
  }
  return address;
}

// The parts of a state that people compare, once as they are and once as they may be shown.
struct Shown {
  Json real;
  Json masked;
};
using Parts = std::map<std::string, std::map<std::string, Shown>>;  // thing -> attribute

void add_parts(Json& state, Parts& parts, Json Shown::* which) {
  for_each_instance(state, [&](Json& resource, Json& instance) {
    auto& attributes = parts[address_of(resource, instance)];
    const Json& values = member(instance, "attributes");
    if (!values.is_object()) return;
    for (const auto& [name, value] : values.items()) attributes[name].*which = value;
  });
  if (!state["outputs"].is_object()) return;
  for (const auto& [name, output] : state["outputs"].items()) {
    parts["output " + name]["value"].*which = member(output, "value");
  }
}

Result<Parts> parts_of(std::string_view body) {
  Parts parts;
  if (body.empty()) return parts;
  Result<Json> state = parse_whole(body);
  if (!state) return std::unexpected(state.error());
  add_parts(*state, parts, &Shown::real);
  mask(*state);
  add_parts(*state, parts, &Shown::masked);
  return parts;
}

std::string change_line(const std::string& thing, const std::string& attribute, const Shown& before,
                        const Shown& after) {
  const std::string from = dump(before.masked), to = dump(after.masked);
  const std::string what =
      from == to ? fmt::format("{} changed", to) : fmt::format("{} -> {}", from, to);
  return fmt::format("~ {}: {}: {}", thing, attribute, what);
}

// Where the value of a member of the outermost object begins; npos when there is none.
std::size_t value_of_top_level(std::string_view body, std::string_view name) {
  int depth = 0;
  for (std::size_t i = 0; i < body.size(); ++i) {
    if (body[i] == '{' || body[i] == '[') ++depth;
    if (body[i] == '}' || body[i] == ']') --depth;
    if (body[i] != '"') continue;
    const std::size_t begin = ++i;
    while (i < body.size() && body[i] != '"') i += body[i] == '\\' ? 2 : 1;
    if (i >= body.size()) break;
    const std::size_t colon = body.find_first_not_of(" \t\r\n", i + 1);
    const bool is_key = colon != std::string_view::npos && body[colon] == ':';
    if (depth == 1 && is_key && body.substr(begin, i - begin) == name) {
      return body.find_first_not_of(" \t\r\n", colon + 1);
    }
  }
  return std::string_view::npos;
}

// A lineage in the form of tofu's own, the same for the same bytes.
std::string lineage_for(std::string_view body) {
  const std::string hash = sha256_hex(body);
  const std::string_view hex = hash;
  return fmt::format("{}-{}-{}-{}-{}", hex.substr(0, 8), hex.substr(8, 4), hex.substr(12, 4),
                     hex.substr(16, 4), hex.substr(20, 12));
}

}  // namespace

Result<StateMeta> parse_state(std::string_view body) {
  if (body.empty()) return no_state("it is empty");
  if (nests_too_deep(body)) return no_state("it nests too deep");
  // Attributes and outputs are most of a state and of no interest here: they are not kept.
  const auto keep = [](int, Json::parse_event_t event, Json& parsed) {
    return event != Json::parse_event_t::key || (parsed != "attributes" && parsed != "outputs");
  };
  const Json state = Json::parse(body, keep, false);
  if (state.is_discarded()) return no_state("it is no JSON");
  if (auto head = check_head(state); !head) return std::unexpected(head.error());
  StateMeta meta;
  meta.lineage = text_of(state, "lineage");
  meta.serial = state["serial"].get<std::int64_t>();
  meta.sha256 = sha256_hex(body);
  for (const Json& resource : state["resources"]) {
    const Json& instances = member(resource, "instances");
    if (text_of(resource, "mode") == "managed" && instances.is_array()) {
      meta.resources += static_cast<std::int64_t>(instances.size());
    }
  }
  return meta;
}

Result<std::string> masked_state_text(std::string_view body) {
  Result<Json> state = parse_whole(body);
  if (!state) return std::unexpected(state.error());
  mask(*state);
  return dump(*state, 2) + "\n";
}

Result<std::vector<std::string>> state_diff(std::string_view before, std::string_view after) {
  const Result<Parts> old_parts = parts_of(before);
  if (!old_parts) return fail("the older state", old_parts.error());
  const Result<Parts> new_parts = parts_of(after);
  if (!new_parts) return fail("the newer state", new_parts.error());

  std::vector<std::string> lines;
  std::set<std::string> things;
  for (const auto& [thing, attributes] : *old_parts) things.insert(thing);
  for (const auto& [thing, attributes] : *new_parts) things.insert(thing);
  for (const std::string& thing : things) {
    const auto was = old_parts->find(thing);
    const auto is = new_parts->find(thing);
    if (was == old_parts->end()) {
      lines.push_back("+ " + thing);
    } else if (is == new_parts->end()) {
      lines.push_back("- " + thing);
    } else {
      std::map<std::string, Shown> all = was->second;
      all.insert(is->second.begin(), is->second.end());
      for (const auto& [attribute, unused] : all) {
        const auto find = [&name = attribute](const std::map<std::string, Shown>& attributes) {
          const auto found = attributes.find(name);
          return found == attributes.end() ? Shown{} : found->second;
        };
        const Shown from = find(was->second), to = find(is->second);
        if (from.real != to.real) lines.push_back(change_line(thing, attribute, from, to));
      }
    }
  }
  return lines;
}

Result<std::string> with_serial(std::string_view body, std::int64_t serial) {
  if (auto meta = parse_state(body); !meta) return std::unexpected(meta.error());
  // As text, so that everything else stays byte for byte: numbers keep every digit.
  const std::size_t begin = value_of_top_level(body, "serial");
  const std::size_t end = std::min(body.find_first_not_of("0123456789", begin), body.size());
  if (begin == end) return no_state("its serial is not where it should be");
  std::string numbered = fmt::format("{}{}{}", body.substr(0, begin), serial, body.substr(end));
  // A second "serial" further on would be the one that counts.
  const auto meta = parse_state(numbered);
  if (!meta || meta->serial != serial) return no_state("it has more than one serial");
  return numbered;
}

Result<std::string> completed_state(std::string_view body) {
  constexpr std::string_view kNone = "\"\"";
  const std::size_t begin = value_of_top_level(body, "lineage");
  if (begin == std::string_view::npos || !body.substr(begin).starts_with(kNone)) {
    if (auto meta = parse_state(body); !meta) return std::unexpected(meta.error());
    return std::string(body);
  }
  std::string completed = fmt::format("{}\"{}\"{}", body.substr(0, begin), lineage_for(body),
                                      body.substr(begin + kNone.size()));
  if (auto meta = parse_state(completed); !meta) return std::unexpected(meta.error());
  return completed;
}

}  // namespace provisioner::tofu
