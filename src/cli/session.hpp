// What the commands of one invocation share.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "base/error.hpp"
#include "cli/api_client.hpp"

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace provisioner::cli {

enum class OutputFormat { kTable, kJson, kYaml };

struct Session {
  std::map<std::string, std::string> environment;
  RemoteOptions remote;
  OutputFormat output = OutputFormat::kTable;
  bool yes = false;       // destructive commands do not ask
  bool old_name = false;  // called as the file-based version's program, with its habits
  int code = 0;           // what the process exits with

  // The daemon's client, made at first use. kInvalid when PROVISIONER_URL is no address.
  Result<ApiClient*> api();

  // Prints JSON text in the chosen format; true when it did, false when a table is wanted.
  bool printed(const std::string& json) const;

 private:
  std::unique_ptr<ApiClient> client_;
};

// Adds `--output` and `--yes` where they mean something.
void add_output_option(CLI::App& command, Session& session);
void add_yes_option(CLI::App& command, Session& session);

// The argument that names a workspace. What can be no name is refused as wrong usage, with the
// reason.
CLI::Option* add_workspace_argument(CLI::App& command, std::string& place);

// One function a noun; each says in its file what its verbs do.
void add_workspace_commands(CLI::App& noun, Session& session);
void add_run_commands(CLI::App& noun, Session& session);
void add_job_commands(CLI::App& noun, Session& session);
void add_schedule_commands(CLI::App& noun, Session& session);
void add_state_commands(CLI::App& noun, Session& session);
void add_cluster_commands(CLI::App& noun, Session& session);
void add_template_commands(CLI::App& noun, Session& session);
void add_token_commands(CLI::App& noun, Session& session);
void add_config_commands(CLI::App& noun, Session& session);
void add_tofu_command(CLI::App& root, Session& session);
void add_doctor_command(CLI::App& root, Session& session);
void add_completion_command(CLI::App& root, Session& session);

}  // namespace provisioner::cli
