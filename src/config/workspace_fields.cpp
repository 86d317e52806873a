#include "config/workspace_fields.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "config/json_document.hpp"

namespace provisioner {
namespace {

using nlohmann::json;

const json* find(const json& object, std::string_view field) {
  const auto found = object.find(field);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

std::string dotted(std::string_view path, std::string_view field) {
  return path.empty() ? std::string(field) : fmt::format("{}.{}", path, field);
}

bool is_identifier(std::string_view text, std::string_view also) {
  const auto is_letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  if (text.empty() || !(is_letter(text[0]) || text[0] == '_')) return false;
  return std::ranges::all_of(text, [&](char c) {
    return is_letter(c) || (c >= '0' && c <= '9') || c == '_' ||
           also.find(c) != std::string_view::npos;
  });
}

bool holds_nul(std::string_view text) { return text.find('\0') != std::string_view::npos; }

}  // namespace

void FileProblems::error(std::string_view field, std::string_view reason) {
  errors_.push_back(field.empty() ? fmt::format("{}: {}", file_, reason)
                                  : fmt::format("{}: {}: {}", file_, field, reason));
}

void FileProblems::warning(std::string_view field, std::string_view reason) {
  warnings_.push_back(field.empty() ? fmt::format("{}: {}", file_, reason)
                                    : fmt::format("{}: {}: {}", file_, field, reason));
}

void check_known_fields(const json& object, std::string_view path,
                        std::span<const std::string_view> known, FileProblems& problems) {
  for (const auto& [key, value] : object.items()) {
    if (std::ranges::find(known, key) != known.end()) continue;
    const auto meant = nearest(key, known);
    problems.warning(path, meant.empty() ? fmt::format("unknown field {} is ignored", quote(key))
                                         : fmt::format("unknown field {} is ignored; did you mean "
                                                       "\"{}\"?",
                                                       quote(key), meant));
  }
}

void read_flag(const json& object, std::string_view path, std::string_view field, bool& value,
               FileProblems& problems) {
  const auto* member = find(object, field);
  if (member == nullptr) return;
  if (!member->is_boolean()) {
    problems.error(dotted(path, field),
                   fmt::format("expected true or false, found {}", describe_json(*member)));
    return;
  }
  value = member->get<bool>();
}

std::optional<std::string> read_text(const json& object, std::string_view path,
                                     std::string_view field, FileProblems& problems) {
  const auto* member = find(object, field);
  if (member == nullptr) return std::nullopt;
  if (!member->is_string()) {
    problems.error(dotted(path, field),
                   fmt::format("expected a string, found {}", describe_json(*member)));
    return std::nullopt;
  }
  auto text = member->get<std::string>();
  if (holds_nul(text)) {
    problems.error(dotted(path, field), "holds a NUL character");
    return std::nullopt;
  }
  return text;
}

std::optional<Duration> read_duration(const json& object, std::string_view path,
                                      std::string_view field, FileProblems& problems) {
  const auto* member = find(object, field);
  if (member == nullptr) return std::nullopt;
  if (!member->is_string()) {
    problems.error(dotted(path, field),
                   fmt::format("expected a duration such as \"30m\" or \"1h30m\", found {}",
                               describe_json(*member)));
    return std::nullopt;
  }
  const auto duration = parse_duration(member->get_ref<const std::string&>());
  if (!duration) {
    problems.error(dotted(path, field), duration.error().message);
    return std::nullopt;
  }
  if (*duration <= Duration::zero()) {
    problems.error(dotted(path, field), "must be longer than 0s");
    return std::nullopt;
  }
  return *duration;
}

std::vector<std::string> read_texts(const json& object, std::string_view path,
                                    std::string_view field, FileProblems& problems) {
  const auto* member = find(object, field);
  if (member == nullptr) return {};
  if (!member->is_array()) {
    problems.error(dotted(path, field),
                   fmt::format("expected an array of strings (write [\"...\"]), found {}",
                               describe_json(*member)));
    return {};
  }
  std::vector<std::string> texts;
  for (std::size_t i = 0; i < member->size(); ++i) {
    const auto& item = (*member)[i];
    if (!item.is_string()) {
      problems.error(fmt::format("{}[{}]", dotted(path, field), i),
                     fmt::format("expected a string, found {}", describe_json(item)));
    } else if (holds_nul(item.get_ref<const std::string&>())) {
      problems.error(fmt::format("{}[{}]", dotted(path, field), i), "holds a NUL character");
    } else {
      texts.push_back(item.get<std::string>());
    }
  }
  return texts;
}

std::optional<std::size_t> read_choice(const json& object, std::string_view path,
                                       std::string_view field,
                                       std::span<const std::string_view> choices,
                                       FileProblems& problems) {
  const auto* member = find(object, field);
  if (member == nullptr) return std::nullopt;
  if (member->is_string()) {
    const auto found = std::ranges::find(choices, member->get_ref<const std::string&>());
    if (found != choices.end()) return static_cast<std::size_t>(found - choices.begin());
  }
  std::string names;
  for (std::size_t i = 0; i < choices.size(); ++i) {
    names += fmt::format("{}\"{}\"",
                         i == 0                    ? ""
                         : i + 1 == choices.size() ? " or "
                                                   : ", ",
                         choices[i]);
  }
  problems.error(dotted(path, field),
                 fmt::format("expected {}, found {}", names,
                             member->is_string() ? quote(member->get_ref<const std::string&>())
                                                 : std::string(describe_json(*member))));
  return std::nullopt;
}

void read_schedule(const json& value, const std::string& field, Action action,
                   const std::string& mode, std::vector<TimelineRule>& rules,
                   FileProblems& problems) {
  if (value.is_null()) return;
  if (value.is_boolean()) {
    if (value.get<bool>()) {
      problems.error(
          field,
          "true is not a schedule: write a cron expression such as \"0 18 * * MON-FRI\", "
          "an array of them, or false for never");
    }
    return;
  }
  if (value.is_array()) {
    for (std::size_t i = 0; i < value.size(); ++i) {
      const auto item_field = fmt::format("{}[{}]", field, i);
      if (value[i].is_string()) {
        read_schedule(value[i], item_field, action, mode, rules, problems);
      } else {
        problems.error(item_field, fmt::format("expected a cron expression, found {}",
                                               describe_json(value[i])));
      }
    }
    return;
  }
  if (!value.is_string()) {
    problems.error(field, fmt::format("expected a cron expression, an array of them or false, "
                                      "found {}",
                                      describe_json(value)));
    return;
  }
  const auto& text = value.get_ref<const std::string&>();
  if (trim(text).empty()) {
    problems.warning(field, "is empty and counts as false (never)");
    return;
  }
  auto cron = CronExpression::parse(text);
  if (!cron) {
    problems.error(field, cron.error().message);
    return;
  }
  rules.push_back({.label = field, .action = action, .mode = mode, .cron = std::move(*cron)});
}

namespace {

// {"env": "NAME"} and {"file": "/path"}; anything else is a literal.
std::optional<ConfigValue> read_secret(const json& value, const std::string& field,
                                       FileProblems& problems) {
  if (!value.is_object() || value.size() != 1) return std::nullopt;
  const auto& key = value.begin().key();
  const auto& place = value.begin().value();
  if (key != "env" && key != "file") return std::nullopt;
  if (!place.is_string() || place.get_ref<const std::string&>().empty() ||
      holds_nul(place.get_ref<const std::string&>())) {
    problems.error(field, fmt::format("{{\"{}\": ...}} refers to a secret and takes a {}", key,
                                      key == "env" ? "variable's name" : "file's path"));
    return ConfigValue{};
  }
  auto text = place.get<std::string>();
  if (key == "env") {
    if (!is_identifier(text, "")) {
      problems.error(field, fmt::format("{} is not a variable's name", quote(text)));
    }
    return ConfigValue{.source = ConfigValue::Source::kEnv, .text = std::move(text)};
  }
  if (text[0] != '/') {
    problems.error(field, fmt::format("{}: write the absolute path of a file outside the "
                                      "workspace's folder, whose content others may read",
                                      quote(text)));
  }
  return ConfigValue{.source = ConfigValue::Source::kFile, .text = std::move(text)};
}

void check_variable_name(const std::string& name, const std::string& field,
                         FileProblems& problems) {
  if (!is_identifier(name, "-")) {
    problems.error(field, "is not a variable name that tofu accepts (letters, digits, _ and -)");
  }
}

void check_environment_name(const std::string& name, const std::string& field,
                            FileProblems& problems) {
  if (!is_identifier(name, "")) {
    problems.error(field, "is not a name of an environment variable (letters, digits and _)");
  } else if (name == "TF_DATA_DIR" || name == "RUN_ID" || name == "WORKSPACE_ID" ||
             name == "WORKSPACE_DEPLOYMENT_DIR" || name.starts_with("PROVISIONER_")) {
    problems.error(field, "is set by the daemon itself: remove it");
  } else if (name.starts_with("TF_CLI_ARGS")) {
    problems.warning(field,
                     "changes how tofu is called: runs may fail in ways that are hard to "
                     "understand");
  }
}

}  // namespace

ConfigValues read_values(const json& object, std::string_view path, std::string_view field,
                         ValuesOf what, FileProblems& problems) {
  const auto* member = find(object, field);
  if (member == nullptr) return {};
  if (!member->is_object()) {
    problems.error(
        dotted(path, field),
        fmt::format("expected an object of names and values, found {}", describe_json(*member)));
    return {};
  }
  ConfigValues values;
  for (const auto& [name, value] : member->items()) {
    const auto value_field = fmt::format("{}.{}", dotted(path, field), name);
    if (what == ValuesOf::kVariables) {
      check_variable_name(name, value_field, problems);
    } else {
      check_environment_name(name, value_field, problems);
    }
    if (auto secret = read_secret(value, value_field, problems)) {
      values.emplace(name, std::move(*secret));
      continue;
    }
    if (what == ValuesOf::kEnvironment) {
      if (!value.is_string()) {
        problems.error(value_field, fmt::format("expected a string, {{\"env\": \"NAME\"}} or "
                                                "{{\"file\": \"/path\"}}, found {}",
                                                describe_json(value)));
        continue;
      }
      if (holds_nul(value.get_ref<const std::string&>())) {
        problems.error(value_field, "holds a NUL character");
        continue;
      }
    }
    values.emplace(name,
                   ConfigValue{.source = ConfigValue::Source::kLiteral, .text = value.dump()});
  }
  return values;
}

void read_zone_and_dst(const json& document, WorkspaceSpec& spec, FileProblems& problems) {
  spec.timezone = read_text(document, "", "timezone", problems);
  if (spec.timezone) {
    if (const auto zone = Zone::find(*spec.timezone); !zone) {
      problems.error("timezone", zone.error().message);
      spec.timezone.reset();
    }
  }
  const auto dst = document.find("dst");
  if (dst == document.end() || dst->is_null()) return;
  if (!dst->is_object()) {
    problems.error("dst", fmt::format("expected an object such as {{\"gap\": \"shift\", "
                                      "\"overlap\": \"first\"}}, found {}",
                                      describe_json(*dst)));
    return;
  }
  static constexpr std::string_view kGaps[] = {"shift", "skip"};
  static constexpr std::string_view kOverlaps[] = {"first", "last", "both"};
  static constexpr std::string_view kFields[] = {"gap", "overlap"};
  check_known_fields(*dst, "dst", kFields, problems);
  if (const auto gap = read_choice(*dst, "dst", "gap", kGaps, problems)) {
    spec.dst.gap = static_cast<DstPolicy::Gap>(*gap);
  }
  if (const auto overlap = read_choice(*dst, "dst", "overlap", kOverlaps, problems)) {
    spec.dst.overlap = static_cast<DstPolicy::Overlap>(*overlap);
  }
}

}  // namespace provisioner
