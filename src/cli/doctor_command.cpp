// doctor: what a person would check by hand before asking why nothing is deployed.
#include <fmt/format.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "cli/exit_code.hpp"
#include "cli/session.hpp"
#include "cli/terminal.hpp"
#include "config/folders.hpp"
#include "config/loader.hpp"
#include "config/settings.hpp"
#include "execution/content_scan.hpp"
#include "schedule/zone.hpp"
#include "tofu/binary.hpp"

namespace provisioner::cli {
namespace {

enum class Verdict { kGood, kWarning, kBad };

struct Finding {
  std::string name;
  Verdict verdict = Verdict::kGood;
  std::string message;
};

std::string_view to_string(Verdict verdict) {
  switch (verdict) {
    case Verdict::kGood: return "ok";
    case Verdict::kWarning: return "warning";
    case Verdict::kBad: return "error";
  }
  return "";
}

Finding check_directory(std::string name, const std::filesystem::path& directory, bool writable) {
  std::error_code error;
  if (!std::filesystem::is_directory(directory, error)) {
    return {std::move(name), writable ? Verdict::kWarning : Verdict::kBad,
            writable ? fmt::format("{} does not exist yet; 'serve' makes it", directory.string())
                     : fmt::format("{} does not exist: make it, or set PROVISIONER_WORKSPACES_DIR",
                                   directory.string())};
  }
  if (access(directory.c_str(), writable ? W_OK | X_OK : R_OK | X_OK) != 0) {
    return {std::move(name), Verdict::kBad,
            fmt::format("{} cannot be {} by this user", directory.string(),
                        writable ? "written" : "read")};
  }
  return {std::move(name), Verdict::kGood, directory.string()};
}

// A broken workspace is a warning: the others go on without it.
std::vector<Finding> check_workspaces(const std::filesystem::path& directory) {
  std::vector<Finding> findings;
  const auto scan = scan_workspaces(directory);
  if (!scan) return findings;  // check_directory has said so
  for (const auto& problem : scan->problems) {
    findings.push_back({"workspaces", Verdict::kWarning, problem.message});
  }
  for (const auto& name : scan->workspaces) {
    const auto loaded = load_workspace(directory, name, tofu_content_scan());
    if (!loaded) findings.push_back({"workspaces", Verdict::kWarning, loaded.error().message});
  }
  return findings;
}

Finding check_disk(const std::filesystem::path& directory) {
  struct statvfs disk{};
  if (statvfs(directory.c_str(), &disk) != 0) return {"disk", Verdict::kWarning, "not checked"};
  const std::uint64_t free_mb = disk.f_bavail * disk.f_frsize / (1024 * 1024);
  constexpr std::uint64_t kLittleMb = 1024;
  const std::string message = fmt::format("{} MB free for {}", free_mb, directory.string());
  return {"disk", free_mb < kLittleMb ? Verdict::kWarning : Verdict::kGood, message};
}

std::vector<Finding> check_tofu(const Settings& settings, const Session& session) {
  const auto path = session.environment.find("PATH");
  auto search = tofu::find_binary(settings.tofu.binary,
                                  path == session.environment.end() ? "" : path->second);
  std::vector<Finding> findings;
  for (const auto& step : search.steps) findings.push_back({"tofu search", Verdict::kGood, step});
  if (!search.found) {
    findings.push_back({"tofu", Verdict::kBad, search.found.error().message});
    return findings;
  }
  auto asked = tofu::ask_version(*search.found, std::chrono::seconds(10));
  findings.push_back(asked ? Finding{"tofu", Verdict::kGood, asked->describe()}
                           : Finding{"tofu", Verdict::kBad, asked.error().message});
  return findings;
}

// Only templates need it.
Finding check_git(const Session& session) {
  const auto path = session.environment.find("PATH");
  const std::string_view folders =
      path == session.environment.end() ? std::string_view() : path->second;
  for (const auto folder : split(folders, ':')) {
    const auto program = std::filesystem::path(folder) / "git";
    if (access(program.c_str(), X_OK) == 0) return {"git", Verdict::kGood, program.string()};
  }
  return {"git", Verdict::kWarning, "not on PATH: templates cannot be fetched without it"};
}

// The programs of an attempt. `name` is "guard" or "runner".
Finding check_program(const std::string& name) {
  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  const auto program = self.parent_path() / ("provisioner-" + name);
  if (access(program.c_str(), X_OK) == 0) return {name, Verdict::kGood, program.string()};
  return {name, Verdict::kBad,
          fmt::format("{} is missing: install it beside provisioner", program.string())};
}

Finding check_daemon(Session& session) {
  auto api = session.api();
  if (!api) return {"daemon", Verdict::kBad, api.error().message};
  auto answer = (*api)->get("/api/v1/cluster");
  if (!answer) return {"daemon", Verdict::kWarning, answer.error().message};
  return {"daemon", Verdict::kGood, "running"};
}

std::vector<Finding> examine(Session& session) {
  std::vector<Finding> findings;
  const auto loaded = load_settings(process_setting_sources({}));
  if (!loaded) return {{"settings", Verdict::kBad, loaded.error().message}};
  const Settings& settings = loaded->settings;
  findings.push_back({"settings", Verdict::kGood, "valid"});
  for (const auto& warning : loaded->warnings) {
    findings.push_back({"settings", Verdict::kWarning, warning});
  }
  const auto zone_data = check_zone_data();
  findings.push_back(zone_data ? Finding{"time zones", Verdict::kGood, "the zone data is right"}
                               : Finding{"time zones", Verdict::kBad, zone_data.error().message});
  findings.push_back(check_directory("workspaces", settings.workspaces_dir, false));
  for (auto& finding : check_workspaces(settings.workspaces_dir)) {
    findings.push_back(std::move(finding));
  }
  findings.push_back(check_directory("state", settings.state_dir, true));
  findings.push_back(check_directory("logs", settings.log_dir, true));
  findings.push_back(check_disk(settings.state_dir));
  for (auto& finding : check_tofu(settings, session)) findings.push_back(std::move(finding));
  findings.push_back(check_git(session));
  findings.push_back(check_program("guard"));
  findings.push_back(check_program("runner"));
  findings.push_back(check_daemon(session));
  return findings;
}

void doctor(Session& session) {
  auto json = nlohmann::ordered_json::array();
  std::vector<std::vector<Cell>> rows;
  for (const auto& finding : examine(session)) {
    json.push_back({{"name", finding.name},
                    {"status", to_string(finding.verdict)},
                    {"message", finding.message}});
    const Tint tint = finding.verdict == Verdict::kGood      ? Tint::kGreen
                      : finding.verdict == Verdict::kWarning ? Tint::kYellow
                                                             : Tint::kRed;
    rows.push_back(
        {{finding.name}, {std::string(to_string(finding.verdict)), tint}, {finding.message}});
    if (finding.verdict == Verdict::kBad) session.code = kFailed;
  }
  if (!session.printed(json.dump())) {
    fmt::print("{}", render_table({"CHECK", "RESULT", "MESSAGE"}, rows, output_has_colour()));
  }
}

}  // namespace

void add_doctor_command(CLI::App& root, Session& session) {
  auto* command = root.add_subcommand(
      "doctor",
      "check settings, directories, time zones, tofu and the daemon, and say what to mend");
  add_output_option(*command, session);
  command->callback([&session] { doctor(session); });
}

}  // namespace provisioner::cli
