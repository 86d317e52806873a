// How people name a job: workspace:job, or its name alone.
#pragma once

#include <string>

#include "base/error.hpp"
#include "cli/session.hpp"

namespace provisioner::cli {

struct JobReference {
  std::string workspace;  // "_standalone_" of a standalone job
  std::string name;

  std::string path() const;  // "/api/v1/jobs/shop/backup"
};

// `text` is workspace:job, or a name: of a job of `workspace`, else ("") of whichever job has it.
// The API is asked for a mere name only. kNotFound; kInvalid for a name that several have.
Result<JobReference> find_job(Session& session, const std::string& text,
                              const std::string& workspace);

// Every job, or those of `workspace`, as the API's list of all pages. kNotFound for a workspace
// that nobody knows.
Result<std::string> all_jobs(Session& session, const std::string& workspace);

}  // namespace provisioner::cli
