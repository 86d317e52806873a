// What a child is given besides its arguments: the variable file, and the way to our state backend.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>

#include "base/error.hpp"

namespace provisioner::tofu {

// The name of the variable that carries a workspace's mode.
inline constexpr std::string_view kModeVariable = "deployment_mode";

// The text of a `-var-file` named *.tfvars.json. `values` maps names to JSON texts (secrets
// resolved); `declared` are the variables of the content. The mode is passed when it is not empty
// and `deployment_mode` is declared; a variable of that name in `values` loses to it. kInvalid
// names a value that is no JSON, or a variable that is not declared.
Result<std::string> variable_file(const std::map<std::string, std::string>& values,
                                  std::string_view mode, const std::set<std::string>& declared);

// The file that makes tofu use our backend. tofu reads files that end in "_override.tf" last; no
// file of the content has this name.
inline constexpr std::string_view kOverrideFile = "zz_provisioner_backend_override.tf";
std::string override_file_text();

struct BackendAccess {
  std::string address;  // http://127.0.0.1:<port>/state/<workspace>
  std::string username;
  std::string password;
};

// TF_HTTP_*. The retry count is small: the runner holds a request while the store is away, so a
// connection that fails means that the runner is dead, and tofu shall save its state and end.
std::map<std::string, std::string> backend_environment(const BackendAccess& access);

// What every child of ours gets: TF_IN_AUTOMATION, TF_INPUT, and no update checks.
std::map<std::string, std::string> automation_environment();

}  // namespace provisioner::tofu
