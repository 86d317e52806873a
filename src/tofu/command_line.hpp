// The arguments of each step, without the binary. What both OpenTofu >= 1.6 and Terraform >= 1.5
// understand. None of them ever asks a person, and none holds a secret.
#pragma once

#include <string>
#include <vector>

namespace provisioner::tofu {

using Arguments = std::vector<std::string>;

struct InitOptions {
  bool upgrade = false;  // newest versions that the constraints allow; renews the lock file
  // Forget which backend the directory was initialised with. For our own backend, whose address is
  // new in each attempt; never for one that the workspace declares, which init must compare.
  bool own_backend = true;
};

struct PlanOptions {
  bool destroy = false;   // plan the removal of everything
  std::string var_file;   // "" = no variables
  std::string plan_file;  // where the plan is saved
};

// Prints text: `init -json` exists only in newer versions.
Arguments init_arguments(const InitOptions& options);

// Prints JSON lines (output.hpp). A destroy is a saved plan as well, so both operations are
// "init, plan, apply": the plan says what will go before anything goes, and only the plan reads the
// variables.
Arguments plan_arguments(const PlanOptions& options);

// Prints JSON lines.
Arguments apply_arguments(const std::string& plan_file);

// Prints one JSON object: the values of all outputs, sensitive ones included.
Arguments output_arguments();

// Prints the state.
Arguments state_pull_arguments();

Arguments force_unlock_arguments(const std::string& lock_id);

Arguments version_arguments();

}  // namespace provisioner::tofu
