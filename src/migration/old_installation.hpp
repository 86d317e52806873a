// What the file-based version left in its state directory. Nothing here changes a file. Blocking.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "base/time.hpp"
#include "model/tofu_state.hpp"

namespace provisioner::migration {

// The terraform.tfstate of a workspace.
struct OldState {
  std::filesystem::path file;
  std::string body;
  StateMeta meta;
  std::string problem;  // not empty: it cannot be read, and the two above say nothing
};

struct OldWorkspace {
  // Of scheduler.json. "" = it does not know the workspace.
  std::string status;
  std::string mode;
  std::optional<Instant> last_deployed, last_destroyed, last_config_modified;
  std::string last_deploy_error, last_destroy_error;

  std::filesystem::path directory;  // its working directory; "" = none
  std::optional<OldState> state;    // absent: there is no terraform.tfstate
  std::string lock_file;            // the text of .terraform.lock.hcl
  // *.tfvars and *.tfvars.json that somebody put there.
  std::vector<std::filesystem::path> variable_files;
};

// A row of jobs.json: how a job fared.
struct OldJob {
  std::string workspace;  // "_standalone_" for one without
  std::string name;
  std::string status;
  std::optional<Instant> last_run, last_success, last_failure;
  std::string last_error;
  std::optional<std::int64_t> last_exit_code;
  std::int64_t run_count = 0, success_count = 0, failure_count = 0;
};

// A row of templates/registry.json, and where its content lies.
struct OldTemplate {
  std::string name;
  std::string url, path, ref;
  std::string description;
  std::optional<Instant> created_at, updated_at;
  std::filesystem::path directory;  // templates/<name>; "" = there is none
};

struct OldInstallation {
  std::map<std::string, OldWorkspace> workspaces;  // by name
  std::vector<OldJob> jobs;
  std::vector<OldTemplate> templates;
};

// kNotFound: the directory holds neither scheduler.json nor deployments/. kInvalid: a file that is
// not what it should be, with its name; half of an installation is never taken for the whole.
Result<OldInstallation> read_old_installation(const std::filesystem::path& state_dir);

}  // namespace provisioner::migration
