#include "server/problem.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace provisioner::server {
namespace {

TEST(Problem, HasAStatusAndAStableCodeForEachKindOfError) {
  struct Case {
    ErrorKind kind;
    int status;
    const char* code;
  };
  for (const auto& c :
       {Case{ErrorKind::kInvalid, 422, "invalid_request"},
        Case{ErrorKind::kNotFound, 404, "not_found"}, Case{ErrorKind::kConflict, 409, "conflict"},
        Case{ErrorKind::kVersionConflict, 412, "version_conflict"},
        Case{ErrorKind::kUnavailable, 503, "store_unavailable"},
        Case{ErrorKind::kTimeout, 503, "store_unavailable"},
        Case{ErrorKind::kAmbiguous, 503, "outcome_unknown"},
        Case{ErrorKind::kIo, 503, "storage_failed"},
        Case{ErrorKind::kCorrupt, 500, "stored_data_corrupt"},
        Case{ErrorKind::kInternal, 500, "internal_error"}}) {
    const Problem problem = problem_of({c.kind, "the sentence"});
    EXPECT_EQ(problem.status, c.status);
    EXPECT_EQ(problem.code, c.code);
    EXPECT_EQ(problem.detail, "the sentence");
  }
}

TEST(Problem, IsRenderedAsRfc9457) {
  const http::Response response =
      render(Problem{.status = 503, .code = "x", .detail = "bad \xff byte", .choices = {"a", "b"}});
  EXPECT_EQ(response.status, 503);
  EXPECT_EQ(response.headers.at("Content-Type"), "application/problem+json");
  EXPECT_EQ(response.headers.at("Retry-After"), "1");
  const auto json = nlohmann::json::parse(response.body);
  EXPECT_EQ(json["title"], "Service Unavailable");
  EXPECT_EQ(json["status"], 503);
  EXPECT_EQ(json["code"], "x");
  EXPECT_EQ(json["detail"], "bad \xEF\xBF\xBD byte");
  EXPECT_EQ(json["choices"], nlohmann::json({"a", "b"}));
}

}  // namespace
}  // namespace provisioner::server
