#include "cli/validate_command.hpp"

#include <fmt/format.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <nlohmann/json.hpp>

#include "cli/exit_code.hpp"
#include "cli/terminal.hpp"
#include "config/folders.hpp"
#include "config/loader.hpp"
#include "config/settings.hpp"
#include "config/workspace_file.hpp"
#include "execution/content_scan.hpp"

namespace provisioner::cli {
namespace {

struct Findings {
  nlohmann::ordered_json workspaces = nlohmann::ordered_json::array();
  bool all_valid = true;

  void add(const std::string& name, const std::vector<std::string>& warnings,
           const std::string& error) {
    workspaces.push_back(
        {{"workspace", name},
         {"valid", error.empty()},
         {"error", error.empty() ? nlohmann::ordered_json() : nlohmann::ordered_json(error)},
         {"warnings", warnings}});
    all_valid = all_valid && error.empty();
  }
};

void check(const std::filesystem::path& directory, const WorkspaceName& name, Findings& findings) {
  const auto loaded = load_workspace(directory, name, tofu_content_scan());
  if (loaded) {
    findings.add(name.value, loaded->warnings, "");
  } else {
    findings.add(name.value, {}, loaded.error().message);
  }
}

// What the folders say of each other needs all of them; a broken one still has its name.
std::map<WorkspaceName, std::string> dependency_problems(
    const std::vector<std::pair<WorkspaceName, Result<LoadedWorkspace>>>& folders) {
  std::vector<WorkspaceSpec> specs;
  for (const auto& [name, loaded] : folders) {
    specs.emplace_back().name = name;
    if (loaded) specs.back().depends_on = loaded->spec.depends_on;
  }
  std::map<WorkspaceName, std::string> problems;
  for (auto& problem : find_dependency_problems(specs)) {
    problems.emplace(problem.workspace, std::move(problem.message));
  }
  return problems;
}

Status check_all(const std::filesystem::path& directory, Findings& findings) {
  const auto scan = scan_workspaces(directory);
  if (!scan) return std::unexpected(scan.error());
  std::vector<std::pair<WorkspaceName, Result<LoadedWorkspace>>> folders;
  for (const auto& name : scan->workspaces) {
    auto loaded = load_workspace(directory, name, tofu_content_scan());
    if (loaded) loaded->bundle.clear();  // thousands of them would fill the memory
    folders.emplace_back(name, std::move(loaded));
  }
  const auto problems = dependency_problems(folders);
  for (const auto& [name, loaded] : folders) {
    const auto problem = problems.find(name);
    const std::string between = problem == problems.end() ? "" : problem->second;
    findings.add(name.value, loaded ? loaded->warnings : std::vector<std::string>(),
                 loaded ? between : loaded.error().message);
  }
  for (const auto& problem : scan->problems) findings.add(problem.folder, {}, problem.message);
  return {};
}

void print(const Findings& findings) {
  const bool colour = output_has_colour();
  for (const auto& workspace : findings.workspaces) {
    const std::string name = workspace["workspace"];
    if (workspace["valid"].get<bool>()) {
      fmt::print("{} {}\n", tinted("valid", Tint::kGreen, colour), name);
    } else {
      fmt::print("{} {}\n", tinted("error", Tint::kRed, colour),
                 workspace["error"].get<std::string>());
    }
    for (const auto& warning : workspace["warnings"]) {
      fmt::print("{} {}\n", tinted("warning", Tint::kYellow, colour), warning.get<std::string>());
    }
  }
}

void validate(const std::string& name, bool all, Session& session) {
  if (name.empty() && !all) {
    session.code = report({ErrorKind::kInvalid, "name a workspace, or say --all"});
    return;
  }
  const auto loaded = load_settings(process_setting_sources({}));
  if (!loaded) {
    session.code = report(loaded.error());
    return;
  }
  Findings findings;
  if (all) {
    if (const auto done = check_all(loaded->settings.workspaces_dir, findings); !done) {
      session.code = report(done.error());
      return;
    }
  } else {
    const auto parsed = parse_workspace_name(name);
    if (!parsed) {
      session.code = report(parsed.error());
      return;
    }
    const auto folder = loaded->settings.workspaces_dir / parsed->value;
    std::error_code unreadable_is_found_later;
    if (!std::filesystem::exists(folder, unreadable_is_found_later)) {
      session.code =
          report({ErrorKind::kNotFound, fmt::format("there is no folder {}", folder.string())});
      return;
    }
    check(loaded->settings.workspaces_dir, *parsed, findings);
  }
  if (!session.printed(findings.workspaces.dump())) print(findings);
  if (!findings.all_valid) session.code = kFailed;
}

}  // namespace

void add_validate_command(CLI::App& noun, Session& session) {
  struct Options {
    std::string name;
    bool all = false;
  };
  auto* command = noun.add_subcommand("validate", "check a workspace's folder; needs no daemon");
  auto options = std::make_shared<Options>();
  add_workspace_argument(*command, options->name);
  command->add_flag("--all", options->all, "every folder of the workspaces directory");
  add_output_option(*command, session);
  command->callback([options, &session] { validate(options->name, options->all, session); });
}

}  // namespace provisioner::cli
