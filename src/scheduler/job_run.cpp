#include "scheduler/job_run.hpp"

namespace provisioner {

bool is_deployed(const Workspace& w) {
  switch (w.status) {
    case WorkspaceStatus::kDeployed:
    case WorkspaceStatus::kNeedsConfirmation: return true;
    case WorkspaceStatus::kDeploying:
    case WorkspaceStatus::kDeployFailed:  // it may be the redeploy of what is there
      return w.last_deployed && (!w.last_destroyed || *w.last_destroyed < *w.last_deployed);
    default: return false;
  }
}

std::optional<NewRun> job_run(const Workspace& workspace, const JobSpec& spec,
                              const BundleHash& bundle,
                              const std::optional<BundleHash>& template_content) {
  NewRun run;
  run.workspace = workspace.name;
  run.job = spec.name;
  run.operation = Operation::kJob;
  run.mode = workspace.deployed_mode;
  run.definition = {.config = spec.definition,
                    .bundle = !bundle.empty()      ? bundle
                              : workspace.deployed ? workspace.deployed->bundle
                                                   : workspace.current.bundle,
                    .inputs_hash = spec.inputs_hash};
  if (spec.type == JobType::kTemplate) {
    if (!template_content) return std::nullopt;
    run.operation = Operation::kDeploy;
    run.definition.bundle = *template_content;
  }
  run.concurrent = spec.overlap == Overlap::kAllow && spec.type != JobType::kTemplate;
  return run;
}

}  // namespace provisioner
