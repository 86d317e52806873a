#include "cli/session.hpp"

#include <fmt/format.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/ids.hpp"
#include "cli/yaml.hpp"

namespace provisioner::cli {

Result<ApiClient*> Session::api() {
  if (!client_) {
    auto address = find_api(environment, remote);
    if (!address) return std::unexpected(address.error());
    client_ = std::make_unique<ApiClient>(std::move(*address));
  }
  return client_.get();
}

bool Session::printed(const std::string& json) const {
  if (output == OutputFormat::kTable) return false;
  const auto value = nlohmann::ordered_json::parse(json, nullptr, false);
  if (value.is_discarded()) {
    fmt::print("{}\n", json);
  } else if (output == OutputFormat::kJson) {
    fmt::print("{}\n", value.dump(2));
  } else {
    fmt::print("{}", to_yaml(value.dump()));
  }
  return true;
}

void add_output_option(CLI::App& command, Session& session) {
  const auto choose = [&session](const std::string& format) {
    if (format == "table") {
      session.output = OutputFormat::kTable;
    } else if (format == "json") {
      session.output = OutputFormat::kJson;
    } else if (format == "yaml") {
      session.output = OutputFormat::kYaml;
    } else {
      throw CLI::ValidationError("--output",
                                 fmt::format("\"{}\" is not one of table, json, yaml", format));
    }
  };
  command.add_option_function<std::string>("-o,--output", choose, "table (default), json or yaml")
      ->type_name("FORMAT");
  command.add_flag_callback(
      "--json", [&session] { session.output = OutputFormat::kJson; }, "the same as --output json");
}

CLI::Option* add_workspace_argument(CLI::App& command, std::string& place) {
  return command.add_option("workspace", place, "the name of its folder")
      ->type_name("")
      ->check(CLI::Validator(
          [](const std::string& text) {
            const auto name = parse_workspace_name(text);
            return name ? std::string() : name.error().message;
          },
          ""));
}

void add_yes_option(CLI::App& command, Session& session) {
  command.add_flag("-y,--yes", session.yes, "do not ask");
}

}  // namespace provisioner::cli
