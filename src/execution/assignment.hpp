// What a runner is told to do, made from a run, its definition, the settings and this process's
// environment.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "config/environment.hpp"
#include "config/settings.hpp"
#include "model/run.hpp"
#include "model/workspace_spec.hpp"
#include "runner/protocol.hpp"

namespace provisioner::execution {

// Where secrets come from: the daemon's environment, and files.
struct SecretSources {
  const Environment* environment = nullptr;
  std::filesystem::path base;  // relative paths of {"file"} begin here
  // The content of a file; errors say why it cannot be read.
  std::function<Result<std::string>(const std::filesystem::path&)> read_file;
  std::string whose = "the daemon's environment";  // in errors
};

// Values with their secrets resolved, and the secrets among them.
struct ResolvedValues {
  std::map<std::string, std::string> json;  // name -> JSON text; a secret becomes a JSON string
  std::vector<std::string> secrets;
};

// `field` ("variables", "environment") names the place in errors. kInvalid for the first secret
// that is missing: "variables.db_password: the daemon's environment has no variable DB_PASSWORD".
// One newline at the end of a secret file is not part of the secret.
Result<ResolvedValues> resolve_values(const ConfigValues& values, std::string_view field,
                                      const SecretSources& sources);

// The secrets among them that can be read here and now; a missing one is left out.
std::vector<std::string> readable_secrets(const ConfigValues& values, const SecretSources& sources);

// What a log must not show of these secrets: themselves, each line of one that has several, and
// their spelling inside JSON. Texts of one or two characters are left out: masking them would
// blacken everything and hide nothing.
std::vector<std::string> masks_of(const std::vector<std::string>& secrets);

// What the content's files and the binary say. The caller scanned them.
struct ContentKnowledge {
  std::set<std::string> variables;  // declared
  bool own_backend = false;
};

struct AssignmentInputs {
  Run run;
  WorkspaceSpec spec;  // of run.definition
  ContentKnowledge content;
  std::string binary;  // absolute path
  const Settings* settings = nullptr;
  const Environment* environment = nullptr;  // of the daemon, before it removed its credentials
  SecretSources secrets;
};

// The environment of children in this order, later ones win: what child_environment() passes (for a
// script or command job nothing but the base set), TRACEPARENT, the workspace's `environment`, the
// job's, WORKSPACE_ID and JOB_NAME. The fingerprint of init is left empty.
// kInvalid: a missing secret, a variable that tofu cannot take, or an `environment` entry that
// would lead tofu away from its state.
Result<runner::Assignment> make_assignment(const AssignmentInputs& inputs);

}  // namespace provisioner::execution
