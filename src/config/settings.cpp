#include "config/settings.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <limits.h>
#include <toml++/toml.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <set>
#include <thread>

#include "base/text.hpp"
#include "config/environment.hpp"
#include "config/files.hpp"
#include "config/settings_rows.hpp"

namespace provisioner {
namespace {

// A value from provisioner.toml.
struct FileValue {
  std::string text;
  std::string place;  // "/etc/provisioner/provisioner.toml line 3"
};

struct FileSettings {
  std::map<std::string, FileValue> values;  // by dotted key
  std::vector<std::string> errors;
};

std::optional<std::string> text_of(const toml::node& node) {
  if (const auto* text = node.as_string()) return text->get();
  if (const auto* number = node.as_integer()) return std::to_string(number->get());
  const auto* array = node.as_array();
  if (array == nullptr) return std::nullopt;
  std::vector<std::string> parts;
  for (const auto& item : *array) {
    const auto* text = item.as_string();
    if (text == nullptr) return std::nullopt;
    parts.push_back(text->get());
  }
  return join(parts, ", ");
}

std::string unknown_key(const std::string& key) {
  for (const std::string_view other : {"consul", "redis", "cache"}) {
    if (key == other || key.starts_with(fmt::format("{}.", other))) {
      return fmt::format("{} is not available in this version", key);
    }
  }
  std::vector<std::string_view> known;
  for (const auto& row : setting_rows()) {
    if (!row.info.key.empty()) known.push_back(row.info.key);
  }
  const auto meant = nearest(key, known);
  return meant.empty() ? fmt::format("unknown key {}", key)
                       : fmt::format("unknown key {}; did you mean {}?", key, meant);
}

void read_table(const toml::table& table, const std::string& prefix, const std::string& file,
                FileSettings& settings) {
  for (const auto& [name, node] : table) {
    const auto key =
        prefix.empty() ? std::string(name.str()) : fmt::format("{}.{}", prefix, name.str());
    const auto place = fmt::format("{} line {}", file, node.source().begin.line);
    const auto known = std::ranges::find(setting_rows(), std::string_view(key),
                                         [](const SettingRow& row) { return row.info.key; });
    if (known != setting_rows().end() && !key.empty()) {
      if (auto text = text_of(node)) {
        settings.values.emplace(key, FileValue{std::move(*text), place});
      } else {
        settings.errors.push_back(fmt::format(
            "{}: {}: expected a string, a whole number or an array of strings", place, key));
      }
    } else if (const auto* inner = node.as_table(); inner != nullptr && !inner->empty()) {
      read_table(*inner, key, file, settings);
    } else if (inner == nullptr) {
      settings.errors.push_back(fmt::format("{}: {}", place, unknown_key(key)));
    }
  }
}

Result<FileSettings> read_file(const std::string& file) {
  FileSettings settings;
  std::string text;
  if (const auto read = append_file(AT_FDCWD, file.c_str(), true, 1024 * 1024, file, text); !read) {
    if (read.error().kind == ErrorKind::kNotFound) return settings;
    return std::unexpected(read.error());
  }
  try {
    read_table(toml::parse(text, file), "", file, settings);
  } catch (const toml::parse_error& error) {
    return fail(ErrorKind::kInvalid,
                fmt::format("{} line {}, column {}: {}", file, error.source().begin.line,
                            error.source().begin.column, error.description()));
  }
  return settings;
}

// Settings of other backends select them. Ignoring them silently would let a cluster's instance
// start alone.
void refuse_other_backends(const Environment& environment, std::vector<std::string>& errors) {
  for (const std::string_view name : {"CONSUL_HTTP_ADDR", "REDIS_NODES"}) {
    const auto found = environment.find(std::string(name));
    if (found == environment.end() || found->second.empty()) continue;
    errors.push_back(
        fmt::format("environment {}: this version has no such backend; unset {}", name, name));
  }
}

void warn_of_unknown_variables(const Environment& environment, std::vector<std::string>& warnings) {
  std::vector<std::string_view> known{"PROVISIONER_URL",        "PROVISIONER_TOKEN",
                                      "PROVISIONER_TOKEN_FILE", "PROVISIONER_CA",
                                      "PROVISIONER_CERT",       "PROVISIONER_KEY"};
  for (const auto& row : setting_rows()) known.push_back(row.info.variable);
  for (const auto& [name, value] : environment) {
    if (!name.starts_with("PROVISIONER_")) continue;
    if (std::ranges::find(known, name) != known.end()) continue;
    const auto meant = nearest(name, known);
    if (meant.empty()) continue;
    warnings.push_back(
        fmt::format("environment {} is not a setting; did you mean {}?", name, meant));
  }
}

struct Chosen {
  std::string text;
  std::string origin;
};

Chosen choose(const SettingRow& row, const SettingSources& sources, const FileSettings& file,
              const Settings& so_far) {
  const auto& info = row.info;
  if (const auto flag = sources.flags.find(std::string(info.flag));
      !info.flag.empty() && flag != sources.flags.end()) {
    return {flag->second, fmt::format("flag --{}", info.flag)};
  }
  const auto variable = sources.environment.find(std::string(info.variable));
  if (variable != sources.environment.end() && !variable->second.empty()) {
    return {variable->second, fmt::format("environment {}", info.variable)};
  }
  if (const auto value = file.values.find(std::string(info.key)); value != file.values.end()) {
    auto text = value->second.text;
    if (row.is_path && !text.empty()) text = (so_far.config_dir / text).string();
    return {std::move(text), value->second.place};
  }
  return {row.fallback(so_far, sources), "default"};
}

std::string escape_markdown(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '*' || c == '_' || c == '|') escaped += '\\';
    escaped += c;
  }
  return escaped;
}

}  // namespace

Result<std::optional<ListenAddress>> parse_listen_address(std::string_view text) {
  if (text == "off") return std::nullopt;
  const auto wrong = [&] {
    return fail(ErrorKind::kInvalid,
                fmt::format("\"{}\" is not HOST:PORT, such as 127.0.0.1:8080, [::1]:8080 or :8080 "
                            "for all interfaces; off to disable",
                            text));
  };
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) return wrong();
  ListenAddress address;
  const auto port = text.substr(colon + 1);
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), address.port);
  if (port.empty() || error != std::errc() || end != port.data() + port.size()) return wrong();
  auto host = text.substr(0, colon);
  if (host.empty() || host == "*") {
    host = "::";
  } else if (host.starts_with('[') && host.ends_with(']') && host.size() > 2) {
    host = host.substr(1, host.size() - 2);
  } else if (host.find_first_of(":[] ") != std::string_view::npos) {
    return wrong();
  }
  address.host = host;
  return address;
}

std::span<const SettingInfo> setting_table() {
  static const auto table = [] {
    std::vector<SettingInfo> infos;
    for (const auto& row : setting_rows()) infos.push_back(row.info);
    return infos;
  }();
  return table;
}

std::string settings_table_markdown() {
  std::string text =
      "# Settings\n\n"
      "A flag of `provisioner serve` wins over the environment, the environment over "
      "`provisioner.toml` in the\nconfig directory, that over the default. `provisioner config "
      "show` "
      "prints every value with its origin.\n\n"
      "| key in provisioner.toml | flag | variable | default | meaning |\n"
      "| --- | --- | --- | --- | --- |\n";
  for (const auto& info : setting_table()) {
    text += fmt::format("| {} | {} | `{}` | {} | {} |\n",
                        info.key.empty() ? "" : fmt::format("`{}`", info.key),
                        info.flag.empty() ? "" : fmt::format("`--{}`", info.flag), info.variable,
                        escape_markdown(info.default_text), escape_markdown(info.description));
  }
  text +=
      "\nDurations are written as `250ms`, `90s`, `30m`, `1h30m`, `7d`; lists as `[\"A\", \"B\"]` "
      "in "
      "the file and\n`A,B` elsewhere. A key with a dot belongs to a table: `runs.lease` is `lease` "
      "below `[runs]`. Relative\npaths in the file start at the config directory.\n";
  return text;
}

SettingSources process_setting_sources(std::map<std::string, std::string> flags) {
  SettingSources sources{.flags = std::move(flags), .environment = process_environment()};
  char name[HOST_NAME_MAX + 1] = {};
  if (::gethostname(name, sizeof name - 1) == 0) sources.host_name = name;
  sources.cores = std::max(1u, std::thread::hardware_concurrency());
  return sources;
}

Result<LoadedSettings> load_settings(const SettingSources& sources) {
  LoadedSettings loaded;
  std::vector<std::string> errors;
  refuse_other_backends(sources.environment, errors);
  warn_of_unknown_variables(sources.environment, loaded.warnings);
  for (const auto& [flag, value] : sources.flags) {
    if (std::ranges::find(setting_table(), flag, &SettingInfo::flag) == setting_table().end()) {
      errors.push_back(fmt::format("unknown flag --{}", flag));
    }
  }

  // The first row says where the file is.
  FileSettings file;
  for (const auto& row : setting_rows()) {
    const auto chosen = choose(row, sources, file, loaded.settings);
    const std::string key(row.info.key.empty() ? row.info.flag : row.info.key);
    if (const auto set = row.set(loaded.settings, chosen.text); !set) {
      errors.push_back(fmt::format("{}: {}: {}", chosen.origin, key, set.error().message));
    }
    const bool masked = row.is_secret && !chosen.text.empty();
    loaded.origins.push_back({key, masked ? "(set)" : chosen.text, chosen.origin});
    if (&row == &setting_rows().front()) {
      auto read = read_file((loaded.settings.config_dir / "provisioner.toml").string());
      if (!read) return std::unexpected(read.error());
      file = std::move(*read);
    }
  }
  errors.insert(errors.end(), file.errors.begin(), file.errors.end());
  if (errors.empty()) errors = broken_relations(loaded.settings);
  if (!errors.empty()) return fail(ErrorKind::kInvalid, join(errors, "\n"));
  for (auto& doubt : doubtful_values(loaded.settings)) loaded.warnings.push_back(std::move(doubt));
  return loaded;
}

}  // namespace provisioner
