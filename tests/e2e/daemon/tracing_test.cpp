// One id ties a request to its run, to every line that the daemon logs about both, and to what tofu
// records: that of the caller's trace, where it has one.
#include <gtest/gtest.h>

#include <set>
#include <sstream>

#include "base/trace.hpp"
#include "tests/support/ask.hpp"
#include "tests/support/daemon.hpp"
#include "tests/support/eventually.hpp"

namespace provisioner::testing {
namespace {

using namespace std::chrono_literals;

const std::string kTrace = "4bf92f3577b34da6a3ce929d0e0e4736";
const std::string kTraceparent = "00-" + kTrace + "-00f067aa0ba902b7-01";

class Tracing : public ::testing::Test {
 protected:
  std::vector<Json> lines_with(const std::string& field, const std::string& value) const {
    std::vector<Json> found;
    std::istringstream lines(installation_.log());
    for (std::string line; std::getline(lines, line);) {
      const Json json = Json::parse(line, nullptr, false);
      if (json.is_object() && json.value(field, "") == value) found.push_back(json);
    }
    return found;
  }
  // All that was logged about a run carries its id; the loggers that spoke.
  std::set<std::string> loggers_about(const Json& run) const {
    std::set<std::string> loggers;
    for (const auto& line : lines_with("run_id", run["id"])) {
      EXPECT_EQ(line.value("correlation_id", ""), run["correlation_id"].get<std::string>()) << line;
      loggers.insert(line["logger"]);
    }
    return loggers;
  }

  Installation installation_;
};

TEST_F(Tracing, FollowsARequestToItsRunItsLogLinesAndToTofu) {
  const auto seen_by_tofu = installation_.root() / "traceparent";
  installation_.environment["PROVISIONER_LOG_LEVEL"] = "debug";
  installation_.add_workspace("shop", Json::object(),
                              R"(resource "terraform_data" "one" {
  provisioner "local-exec" {
    command = "printenv TRACEPARENT > )" +
                                  seen_by_tofu.string() +
                                  R"("
  }
}
)");
  installation_.start();
  ASSERT_EQ(installation_.wait_for_status("shop", "pending")["status"], "pending");

  http::Request request{.method = "POST", .target = "/api/v1/workspaces/shop/deploy"};
  request.headers["traceparent"] = kTraceparent;
  const http::Response accepted = ask(installation_.state_dir(), request, 30s);
  ASSERT_EQ(accepted.status, 202) << accepted.body;
  EXPECT_EQ(accepted.headers.at("X-Correlation-Id"), kTrace);
  const Json queued = Json::parse(accepted.body);
  EXPECT_EQ(queued["correlation_id"], kTrace);

  const Json ended = installation_.wait_for_end(queued["id"]);
  EXPECT_EQ(ended["status"], "succeeded") << installation_.log();
  EXPECT_EQ(ended["correlation_id"], kTrace);
  const std::set<std::string> loggers = loggers_about(ended);
  EXPECT_TRUE(loggers.contains("execution")) << "its start";
  EXPECT_TRUE(loggers.contains("runner_api")) << "its end";
  std::set<std::string> of_the_trace;
  for (const auto& line : lines_with("correlation_id", kTrace)) of_the_trace.insert(line["logger"]);
  EXPECT_TRUE(of_the_trace.contains("api")) << "the request itself";

  const auto to_tofu = read_file(seen_by_tofu);
  EXPECT_EQ(parse_traceparent(to_tofu.substr(0, to_tofu.find('\n'))), CorrelationId(kTrace))
      << to_tofu;
}

TEST_F(Tracing, GivesAnIdToARequestWithoutATraceAndToARunThatNobodyAskedFor) {
  installation_.add_workspace("office", {{"deploy_schedule", "* * * * *"}});
  installation_.start();
  ASSERT_EQ(installation_.wait_for_status("office", "deployed")["status"], "deployed");
  const Json run = installation_.runs("office").back();
  EXPECT_EQ(run["trigger"], "schedule");
  EXPECT_EQ(run["correlation_id"], correlation_of(RunId(run["id"])).value);
  EXPECT_TRUE(loggers_about(run).contains("scheduler")) << "the decision";

  http::Request request{.target = "/api/v1/workspaces"};
  request.headers["traceparent"] = "00-" + std::string(32, '0') + "-00f067aa0ba902b7-01";
  std::set<std::string> ids;
  for (int i = 0; i < 2; ++i) {
    const http::Response answer = ask(installation_.state_dir(), request, 30s);
    ids.insert(answer.headers.at("X-Correlation-Id"));
  }
  EXPECT_EQ(ids.size(), 2u) << "each request has one of its own";
  for (const auto& id : ids) {
    EXPECT_TRUE(parse_traceparent("00-" + id + "-00f067aa0ba902b7-01")) << id;
  }
}

TEST_F(Tracing, OfACommandIsThatOfItsEnvironment) {
  installation_.add_workspace("lab", Json::object());
  installation_.start();
  ASSERT_EQ(installation_.wait_for_status("lab", "pending")["status"], "pending");
  installation_.environment["TRACEPARENT"] = kTraceparent;
  const Json run = installation_.query({"workspace", "plan", "lab", "--detach"});
  EXPECT_EQ(run["correlation_id"], kTrace);
  EXPECT_EQ(installation_.wait_for_end(run["id"])["correlation_id"], kTrace);
  const Finished shown = installation_.command({"run", "show", run["id"]});
  EXPECT_NE(shown.out.find(kTrace), std::string::npos) << shown.out;
}

}  // namespace
}  // namespace provisioner::testing
