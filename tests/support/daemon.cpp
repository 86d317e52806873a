#include "tests/support/daemon.hpp"

#include <signal.h>

#include <stdexcept>

#include "tests/support/eventually.hpp"

namespace provisioner::testing {

using std::chrono::milliseconds;
using std::chrono::seconds;

std::filesystem::path built(std::string_view program) {
  return std::filesystem::path(PROVISIONER_BIN_DIR) / program;
}

std::string tofu_on_path() {
  std::string found = run_program({"sh", "-c", "command -v tofu || command -v terraform"}).out;
  while (found.ends_with('\n')) found.pop_back();
  if (found.empty()) throw std::runtime_error("neither tofu nor terraform is on PATH");
  return found;
}

Installation::Installation() {
  std::filesystem::create_directories(config_dir() / "workspaces");
  std::filesystem::create_directories(state_dir());
  // Edits are to be seen at once; leases short enough to see their end.
  environment = {{"PROVISIONER_CHANGE_SETTLE", "200ms"}};
}

Installation::~Installation() {
  if (daemon_) kill_daemon();
  // Whatever belongs to this installation carries its directory in its environment or arguments.
  for (int round = 0; round < 3; ++round) {
    for (const pid_t pid : processes_with("PROVISIONER_TEST_ROOT", root().string()))
      kill(pid, SIGKILL);
    for (const pid_t pid : processes_with("WORKSPACE_DEPLOYMENT_DIR", root().string()))
      kill(pid, SIGKILL);
    for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
      const std::string name = entry.path().filename();
      if (name.find_first_not_of("0123456789") != std::string::npos) continue;
      const pid_t pid = static_cast<pid_t>(std::stol(name));
      if (command_of(pid).find(root().string()) != std::string::npos) kill(pid, SIGKILL);
    }
  }
}

std::filesystem::path Installation::workspace_dir(const std::string& name) const {
  return config_dir() / "workspaces" / name;
}

void Installation::write(const std::string& workspace, const std::string& file,
                         std::string_view text) {
  write_file(workspace_dir(workspace) / file, text);
}

void Installation::add_workspace(const std::string& name, const Json& config, std::string_view tf) {
  // Built beside the directory and moved in, so that the daemon never sees half of it.
  const auto staged = root() / ("staged-" + name);
  write_file(staged / "config.json", config.dump(2));
  if (!tf.empty()) write_file(staged / "main.tf", tf);
  std::filesystem::rename(staged, workspace_dir(name));
}

Environment Installation::whole_environment() const {
  Environment all = {{"PROVISIONER_CONFIG_DIR", config_dir().string()},
                     {"PROVISIONER_STATE_DIR", state_dir().string()},
                     {"PROVISIONER_LOG_DIR", (root() / "log").string()},
                     {"PROVISIONER_LISTEN", "off"},
                     {"PROVISIONER_METRICS_LISTEN", "off"},
                     {"PROVISIONER_LOG_FORMAT", "json"},
                     {"PROVISIONER_SUPERVISE", "off"},
                     {"PROVISIONER_TEST_ROOT", root().string()},
                     {"TF_CLI_CONFIG_FILE", ""}};
  for (const auto& [name, value] : environment) all[name] = value;
  return all;
}

void Installation::launch() {
  daemon_ = std::make_unique<Background>(std::vector<std::string>{built("provisioner"), "serve"},
                                         whole_environment(), root() / "daemon.log");
}

void Installation::start() {
  launch();
  const bool answers = eventually(
      seconds(60), [&] { return !daemon_->running() || command({"cluster", "status"}).code == 0; });
  if (!answers || !daemon_->running())
    throw std::runtime_error("the daemon did not start:\n" + log());
}

void Installation::kill_daemon() {
  daemon_->signal(SIGKILL);
  daemon_->wait();
  daemon_.reset();
}

int Installation::stop_daemon() {
  daemon_->signal(SIGTERM);
  const int code = daemon_->wait(seconds(60));
  daemon_.reset();
  return code;
}

Finished Installation::command(const std::vector<std::string>& arguments,
                               milliseconds patience) const {
  std::vector<std::string> all = {built("provisioner")};
  all.insert(all.end(), arguments.begin(), arguments.end());
  return run_program(all, whole_environment(), patience);
}

Json Installation::query(std::vector<std::string> arguments) const {
  arguments.insert(arguments.end(), {"--output", "json"});
  const Finished finished = command(arguments);
  if (finished.code != 0)
    throw std::runtime_error(arguments[0] + " " + arguments[1] + ": " + finished.err);
  return Json::parse(finished.out);
}

Json Installation::workspace(const std::string& name) const {
  return query({"workspace", "show", name});
}

std::vector<Json> Installation::runs(const std::string& workspace) const {
  return query({"run", "list", workspace, "--limit", "500"})["items"];
}

Json Installation::run(const std::string& id) const { return query({"run", "show", id}); }

Json Installation::wait_for_status(const std::string& workspace_name, const std::string& status,
                                   milliseconds patience) const {
  Json seen;
  eventually(patience, [&] {
    const Finished shown = command({"workspace", "show", workspace_name, "--output", "json"});
    if (shown.code == 0) seen = Json::parse(shown.out);
    return seen.is_object() && seen["status"] == status;
  });
  return seen;
}

Json Installation::wait_for_end(const std::string& id, milliseconds patience) const {
  Json seen;
  eventually(patience, [&] {
    const Finished shown = command({"run", "show", id, "--output", "json"});
    if (shown.code == 0) seen = Json::parse(shown.out);
    return seen.is_object() && seen["status"] != "queued" && seen["status"] != "running";
  });
  return seen;
}

std::vector<pid_t> Installation::processes_of(const std::string& run) const {
  return processes_with("PROVISIONER_ATTEMPT", run + ".");
}

std::vector<pid_t> Installation::processes_of(const std::string& run, std::string_view text) const {
  std::vector<pid_t> found;
  for (const pid_t pid : processes_of(run)) {
    if (command_of(pid).find(text) != std::string::npos) found.push_back(pid);
  }
  return found;
}

std::string Installation::log() const { return read_file(root() / "daemon.log"); }

}  // namespace provisioner::testing
