// The run that starts a job, whoever asks for it: the schedule, an event or a person. Pure.
#pragma once

#include <optional>

#include "model/job.hpp"
#include "model/run.hpp"
#include "model/workspace.hpp"

namespace provisioner {

// Whether what the workspace deployed last is there, as far as its row tells.
bool is_deployed(const Workspace& workspace);

// Without id, trigger, times and who asked. It works from `bundle`; "" = what is deployed, else the
// present content. `template_content` is that of a template job's template; absent there (it is
// unknown): nullopt.
std::optional<NewRun> job_run(const Workspace& workspace, const JobSpec& spec,
                              const BundleHash& bundle,
                              const std::optional<BundleHash>& template_content);

}  // namespace provisioner
