// Gathers what an assignment is made of: the run's definition, its unpacked content, the binary and
// the secrets as they are now.
#pragma once

#include <functional>
#include <string>

#include "config/environment.hpp"
#include "config/settings.hpp"
#include "model/run.hpp"
#include "model/workspace_spec.hpp"
#include "runner/protocol.hpp"
#include "runtime/offload.hpp"
#include "tofu/hcl_scanner.hpp"

namespace provisioner::execution {

class AssignmentSource {
 public:
  // `environment` is the daemon's as it was started, before it removed its credentials; or another
  // program's, and `whose` names it in errors. Everything outlives this object.
  AssignmentSource(const Settings& settings, const Environment& environment, Offload& offload,
                   std::string whose = "the daemon's environment")
      : settings_(settings),
        environment_(environment),
        offload_(offload),
        whose_(std::move(whose)) {}

  // `directory` is the attempt's, prepared. kInvalid and kNotFound are the run's own fault (a
  // missing secret, no tofu): their sentences say what to mend.
  Task<Result<runner::Assignment>> assign(Run run, std::string directory);

  // What takes the secrets out of a text that the workspace's present and last deployed definition
  // name, as far as this machine has them.
  Task<std::function<std::string(std::string)>> masking(Workspace workspace);

 private:
  Status check_local_state(const Run& run, const std::string& directory,
                           const tofu::ContentFacts& facts) const;
  std::vector<std::string> masks(const Workspace& workspace) const;
  Result<runner::Assignment> gather(const Run& run, const std::string& directory) const;
  Result<runner::Assignment> gather_for_job(const Run& run, WorkspaceSpec spec) const;

  const Settings& settings_;
  const Environment& environment_;
  Offload& offload_;
  std::string whose_;
};

}  // namespace provisioner::execution
