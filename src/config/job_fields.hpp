// Readers of jobs: of the array `jobs` in config.json, and of one job. For this room.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/workspace_fields.hpp"
#include "model/job.hpp"
#include "model/workspace_spec.hpp"

namespace provisioner {

// How messages name a job: by its place in `jobs`, or not at all, since the file holds nothing
// else.
enum class JobPlace { kInArray, kFileOfItsOwn };

// `document` is the whole config.json; `spec` holds what it says beside its jobs: its name, zone
// and policy. Fills spec.jobs; notes what is wrong and goes on.
void read_jobs(const nlohmann::json& document, WorkspaceSpec& spec, FileProblems& problems,
               JobPlace place = JobPlace::kInArray);

// The fields of a job.
std::span<const std::string_view> job_fields();

}  // namespace provisioner
