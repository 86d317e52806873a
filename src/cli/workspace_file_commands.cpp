#include "cli/workspace_file_commands.hpp"

#include <fcntl.h>
#include <fmt/format.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/exit_code.hpp"
#include "config/files.hpp"
#include "config/loader.hpp"
#include "config/settings.hpp"
#include "config/workspace_edit.hpp"
#include "config/workspace_file.hpp"
#include "execution/content_scan.hpp"

namespace provisioner::cli {
namespace {

namespace fs = std::filesystem;

struct FileOptions {
  std::string name;
  WorkspaceEdit edit;
};

struct Place {
  fs::path workspaces_dir, folder, file;
  WorkspaceName name;
  std::string label;  // for messages: "workspaces/shop/config.json"
};

Result<Place> place_of(const std::string& name) {
  const auto loaded = load_settings(process_setting_sources({}));
  if (!loaded) return std::unexpected(loaded.error());
  auto parsed = parse_workspace_name(name);
  if (!parsed) return std::unexpected(parsed.error());
  const fs::path dir = loaded->settings.workspaces_dir;
  return Place{.workspaces_dir = dir,
               .folder = dir / name,
               .file = dir / name / "config.json",
               .name = std::move(*parsed),
               .label = (dir.filename() / name / "config.json").string()};
}

// What a folder still lacks, or "".
std::string problem_with(const Place& place, std::string_view config) {
  auto folder = read_workspace_folder_with(place.workspaces_dir, place.name, config);
  if (!folder) return folder.error().message;
  const auto loaded = load_workspace(*std::move(folder), tofu_content_scan(), nullptr);
  return loaded ? "" : loaded.error().message;
}

struct Written {
  std::string verb;  // "added"
  std::vector<std::string> warnings;
  std::string problem;
};

void tell(Session& session, const Place& place, const Written& written) {
  const nlohmann::ordered_json answer = {
      {"workspace", place.name.value},
      {"file", place.file.string()},
      {"warnings", written.warnings},
      {"problem", written.problem.empty() ? nlohmann::json() : nlohmann::json(written.problem)}};
  if (session.printed(answer.dump())) return;
  fmt::print("workspace {} is {}: {}\n", place.name.value, written.verb, place.file.string());
  for (const auto& warning : written.warnings) fmt::print(stderr, "warning: {}\n", warning);
  if (!written.problem.empty()) {
    fmt::print(stderr, "until this is mended the daemon does not take it: {}\n", written.problem);
  }
}

Result<Written> add(const Place& place, const WorkspaceEdit& edit) {
  std::error_code ignored;
  if (fs::exists(fs::symlink_status(place.file, ignored))) {
    return fail(ErrorKind::kConflict,
                fmt::format("{} is there already: `workspace update {}` changes it",
                            place.file.string(), place.name.value));
  }
  const auto text = edited_config("", edit);
  if (!text) return std::unexpected(text.error());
  auto parsed = parse_workspace(place.name, *text, place.label);
  if (!parsed) return std::unexpected(parsed.error());
  const bool had_folder = fs::exists(place.folder, ignored);
  std::error_code error;
  fs::create_directories(place.folder, error);
  if (error) return fail_errno(fmt::format("making {}", place.folder.string()), error.value());
  if (auto done = replace_file(place.file, *text); !done) {
    if (!had_folder) fs::remove(place.folder, ignored);
    return std::unexpected(done.error());
  }
  Written written{.verb = "added", .warnings = std::move(parsed->warnings)};
  written.problem = problem_with(place, *text);
  if (!written.problem.empty() && !edit.template_name) {
    written.problem += fmt::format("\nput the tofu files (*.tf) into {}", place.folder.string());
  }
  return written;
}

Result<Written> update(const Place& place, const WorkspaceEdit& edit) {
  std::string before;
  if (auto read = append_file(AT_FDCWD, place.file.c_str(), true, kMostConfigBytes,
                              place.file.string(), before);
      !read) {
    return std::unexpected(read.error());
  }
  const auto text = edited_config(before, edit);
  if (!text) return fail(place.label, text.error());
  auto parsed = parse_workspace(place.name, *text, place.label);
  if (!parsed) return std::unexpected(parsed.error());
  Written written{.verb = "updated", .warnings = std::move(parsed->warnings)};
  written.problem = problem_with(place, *text);
  // Content that is broken anyway does not stand in the way of a schedule.
  if (!written.problem.empty() && problem_with(place, before).empty()) {
    return fail(ErrorKind::kInvalid, written.problem);
  }
  if (auto done = replace_file(place.file, *text); !done) return std::unexpected(done.error());
  return written;
}

using Work = Result<Written> (*)(const Place&, const WorkspaceEdit&);

void carry_out(Session& session, const FileOptions& options, Work work) {
  const auto place = place_of(options.name);
  const auto written =
      place ? work(*place, options.edit) : Result<Written>(std::unexpected(place.error()));
  if (!written) {
    session.code = report(written.error());
  } else {
    tell(session, *place, *written);
  }
}

void add_mode(WorkspaceEdit& edit, const std::string& text) {
  const auto equals = text.find('=');
  if (equals == std::string::npos || equals == 0) {
    throw CLI::ValidationError("--mode-schedule", "write it as MODE=CRON");
  }
  edit.mode_schedules[text.substr(0, equals)].push_back(text.substr(equals + 1));
}

CLI::App* add_command(CLI::App& noun, Session& session, const char* verb, const char* description,
                      const std::shared_ptr<FileOptions>& options) {
  auto* command = noun.add_subcommand(verb, description);
  add_workspace_argument(*command, options->name)->required();
  WorkspaceEdit& edit = options->edit;
  const auto text = [&](const char* flag, std::optional<std::string>& place, const char* meaning) {
    command
        ->add_option_function<std::string>(
            flag, [&place](const std::string& value) { place = value; }, meaning)
        ->type_name("TEXT");
  };
  const auto schedule = [&](const char* flag, std::optional<std::vector<std::string>>& place,
                            const char* meaning) {
    command
        ->add_option_function<std::vector<std::string>>(
            flag, [&place](const std::vector<std::string>& value) { place = value; }, meaning)
        ->type_name("CRON")
        ->allow_extra_args(false);
  };
  text("--template", edit.template_name, "a managed template");
  text("--description", edit.description, "for people");
  schedule("--deploy-schedule", edit.deploy_schedule,
           "when to deploy; again for several; \"never\" for false");
  schedule("--destroy-schedule", edit.destroy_schedule,
           "when to destroy; again for several; \"never\" for false");
  command
      ->add_option_function<std::vector<std::string>>(
          "--mode-schedule",
          [&edit](const std::vector<std::string>& values) {
            for (const auto& value : values) add_mode(edit, value);
          },
          "when to deploy in a mode; again for several")
      ->type_name("MODE=CRON")
      ->allow_extra_args(false);
  text("--timezone", edit.timezone, "IANA name, such as Europe/Berlin");
  add_output_option(*command, session);
  return command;
}

}  // namespace

void add_workspace_file_commands(CLI::App& noun, Session& session) {
  auto added = std::make_shared<FileOptions>();
  auto* add_it = add_command(noun, session, "add",
                             "make workspaces/<name>/config.json; needs no daemon", added);
  add_it->add_flag_callback(
      "--disabled", [added] { added->edit.enabled = false; }, "its schedule does not count yet");
  add_it->callback([added, &session] { carry_out(session, *added, add); });

  auto updated = std::make_shared<FileOptions>();
  auto* update_it = add_command(
      noun, session, "update",
      "change workspaces/<name>/config.json; \"\" takes a field out; needs no daemon", updated);
  auto* enable = update_it->add_flag_callback(
      "--enable", [updated] { updated->edit.enabled = true; }, "its schedule counts");
  update_it
      ->add_flag_callback(
          "--disable", [updated] { updated->edit.enabled = false; }, "its schedule does not count")
      ->excludes(enable);
  update_it->callback([updated, &session] {
    if (updated->edit.is_empty()) {
      session.code = report({ErrorKind::kInvalid, "say what to change, for example --description"});
      return;
    }
    carry_out(session, *updated, update);
  });
}

}  // namespace provisioner::cli
