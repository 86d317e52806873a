// jobs/<name>.json: a standalone job. Pure, as workspace_file.hpp is.
#pragma once

#include <string_view>

#include "config/workspace_file.hpp"

namespace provisioner {

// The file holds the fields of a job, and `timezone` and `dst`. `name` may be left out, else it
// equals the file's. The value is that of a workspace home_of(job) with this one job: its
// normalised text is a config.json that parse_workspace() reads for that name, so whoever works
// from definitions need not know that there are two kinds of files.
Result<ParsedWorkspace> parse_standalone_job(const JobName& job, std::string_view json,
                                             std::string_view file_label);

}  // namespace provisioner
