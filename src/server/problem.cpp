#include "server/problem.hpp"

#include <nlohmann/json.hpp>

namespace provisioner::server {

Problem problem_of(const Error& error) {
  const auto problem = [&](int status, const char* code) {
    return Problem{.status = status, .code = code, .detail = error.message};
  };
  switch (error.kind) {
    case ErrorKind::kInvalid: return problem(422, "invalid_request");
    case ErrorKind::kNotFound: return problem(404, "not_found");
    case ErrorKind::kConflict: return problem(409, "conflict");
    case ErrorKind::kVersionConflict: return problem(412, "version_conflict");
    case ErrorKind::kFenced: return problem(409, "fenced");
    case ErrorKind::kDenied: return problem(403, "forbidden");
    case ErrorKind::kUnavailable:
    case ErrorKind::kTimeout: return problem(503, "store_unavailable");
    case ErrorKind::kAmbiguous: return problem(503, "outcome_unknown");
    case ErrorKind::kCancelled: return problem(503, "stopping");
    case ErrorKind::kIo: return problem(503, "storage_failed");
    case ErrorKind::kCorrupt: return problem(500, "stored_data_corrupt");
    case ErrorKind::kInternal: break;
  }
  return problem(500, "internal_error");
}

http::Response render(const Problem& problem) {
  nlohmann::ordered_json json = {{"type", "about:blank"},
                                 {"title", http::reason_phrase(problem.status)},
                                 {"status", problem.status},
                                 {"code", problem.code},
                                 {"detail", problem.detail}};
  if (!problem.choices.empty()) json["choices"] = problem.choices;
  http::Response response = http::json_response(
      problem.status,
      json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n");
  response.headers["Content-Type"] = "application/problem+json";
  if (problem.status == 503 || problem.status == 429) response.headers["Retry-After"] = "1";
  if (problem.status == 401) response.headers["WWW-Authenticate"] = "Bearer";
  return response;
}

}  // namespace provisioner::server
