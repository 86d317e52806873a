// Errors as the API says them: application/problem+json (RFC 9457) with a stable `code`.
#pragma once

#include <string>
#include <vector>

#include "base/error.hpp"
#include "http/message.hpp"

namespace provisioner::server {

struct Problem {
  int status = 500;
  std::string code;                  // stable, for programs: "workspace_busy"
  std::string detail;                // a sentence for people
  std::vector<std::string> choices;  // what would have been accepted; [] = not said
};

// By kind: kInvalid 422 invalid_request, kNotFound 404 not_found, kConflict 409 conflict,
// kVersionConflict 412 version_conflict, kFenced 409, kDenied 403, kUnavailable and kTimeout 503,
// kAmbiguous 503 outcome_unknown, others 500.
Problem problem_of(const Error& error);

http::Response render(const Problem& problem);

}  // namespace provisioner::server
