// A whole installation in a temporary directory: real daemon, real command line, real tofu.
#pragma once

#include <chrono>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/program.hpp"
#include "tests/support/temp_directory.hpp"

namespace provisioner::testing {

using Json = nlohmann::json;

// Not started by itself. The destructor kills what is left of it: daemon, guards, runners, tofu.
class Installation {
 public:
  Installation();
  ~Installation();

  // workspaces/<name>/<file>; makes the folder.
  void write(const std::string& workspace, const std::string& file, std::string_view text);
  // config.json and main.tf of a workspace; `tf` defaults to one terraform_data resource.
  void add_workspace(const std::string& name, const Json& config,
                     std::string_view tf = kOneResource);
  std::filesystem::path workspace_dir(const std::string& name) const;

  // Additional environment of the daemon and the commands, e.g. PROVISIONER_RUNS_LEASE.
  Environment environment;

  // Starts `serve`. Without a parent that watches over it, unless PROVISIONER_SUPERVISE is on.
  void launch();
  // Starts `serve` and waits until it answers (throws with its log when it does not).
  void start();
  // SIGKILL; runs go on.
  void kill_daemon();
  // SIGTERM; returns the exit code.
  int stop_daemon();
  Background& daemon() { return *daemon_; }
  bool has_daemon() const { return daemon_ != nullptr; }

  // `provisioner <arguments>` to its end.
  Finished command(const std::vector<std::string>& arguments,
                   std::chrono::milliseconds patience = std::chrono::seconds(60)) const;
  // The same with --output json, parsed; throws with its error text unless it exits with 0.
  Json query(std::vector<std::string> arguments) const;

  Json workspace(const std::string& name) const;
  std::vector<Json> runs(const std::string& workspace) const;  // newest first
  Json run(const std::string& id) const;

  // Waits until the workspace has `status`; the last JSON seen either way.
  Json wait_for_status(const std::string& workspace, const std::string& status,
                       std::chrono::milliseconds patience = std::chrono::seconds(60)) const;
  // Waits until the run has ended; the last JSON seen either way.
  Json wait_for_end(const std::string& run,
                    std::chrono::milliseconds patience = std::chrono::seconds(60)) const;

  // All processes of one run (guard, runner, tofu, local-exec), found from outside by the tag in
  // their environment.
  std::vector<pid_t> processes_of(const std::string& run) const;
  // Those whose command line contains `text`.
  std::vector<pid_t> processes_of(const std::string& run, std::string_view text) const;

  std::string log() const;  // of all daemons so far
  const std::filesystem::path& root() const { return directory_.path(); }
  std::filesystem::path state_dir() const { return directory_ / "state"; }
  std::filesystem::path config_dir() const { return directory_ / "config"; }

  static constexpr std::string_view kOneResource = R"(resource "terraform_data" "one" {
  input = "one"
}
)";

 private:
  Environment whole_environment() const;

  TempDirectory directory_;
  std::unique_ptr<Background> daemon_;
};

// The programs that the tests drive.
std::filesystem::path built(std::string_view program);
// tofu, or terraform where there is none; throws where there is neither.
std::string tofu_on_path();

}  // namespace provisioner::testing
