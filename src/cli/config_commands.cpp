// config show | settings | metrics
#include <fmt/format.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <nlohmann/json.hpp>

#include "cli/exit_code.hpp"
#include "cli/session.hpp"
#include "cli/terminal.hpp"
#include "config/settings.hpp"
#include "telemetry/metric_catalogue.hpp"

namespace provisioner::cli {
namespace {

void show(Session& session) {
  const auto loaded = load_settings(process_setting_sources({}));
  if (!loaded) {
    session.code = report(loaded.error());
    return;
  }
  auto json = nlohmann::ordered_json::array();
  std::vector<std::vector<Cell>> rows;
  for (std::size_t i = 0; i < loaded->origins.size(); ++i) {  // in the order of the table
    const SettingOrigin& origin = loaded->origins[i];
    json.push_back({{"key", origin.key}, {"value", origin.value}, {"origin", origin.origin}});
    const bool is_default = origin.origin == "default";
    const std::string unset = fmt::format("({})", setting_table()[i].default_text);
    rows.push_back({{origin.key},
                    {origin.value.empty() && is_default ? unset : origin.value},
                    {origin.origin, is_default ? Tint::kDim : Tint::kNone}});
  }
  if (!session.printed(json.dump())) {
    fmt::print("{}", render_table({"KEY", "VALUE", "ORIGIN"}, rows, output_has_colour()));
  }
  for (const auto& warning : loaded->warnings) fmt::print(stderr, "warning: {}\n", warning);
}

}  // namespace

void add_config_commands(CLI::App& noun, Session& session) {
  auto* show_command =
      noun.add_subcommand("show", "print every setting with its value and where it came from");
  add_output_option(*show_command, session);
  show_command->callback([&session] { show(session); });

  auto* settings_command =
      noun.add_subcommand("settings", "print the table of all settings as Markdown");
  settings_command->callback([] { fmt::print("{}", settings_table_markdown()); });

  auto* metrics_command =
      noun.add_subcommand("metrics", "print the table of all metrics as Markdown");
  metrics_command->callback([] { fmt::print("{}", metrics_table_markdown()); });
}

}  // namespace provisioner::cli
