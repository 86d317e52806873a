// The one step of a script or command job.
#pragma once

#include "runner/steps.hpp"

namespace provisioner::runner {

// Runs `parts.assignment.job` to its end, or until the course stops it. A script is written beside
// the content, so that no file of the workspace can be in its way. What ends with another exit code
// than 0, or by a signal of its own, has failed; nobody tries it again. Children may still live
// when it returns.
Task<AttemptResult> run_job(Steps::Parts parts);

// What a stopped course makes of an attempt.
AttemptResult stopped_result(const Course& course, const Assignment& assignment);

}  // namespace provisioner::runner
