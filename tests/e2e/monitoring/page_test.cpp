// The page of metrics of a real daemon, as Prometheus's own tool and a person with curl see it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/text.hpp"
#include "tests/e2e/monitoring/monitored.hpp"
#include "tests/support/eventually.hpp"

namespace provisioner::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::Optional;

constexpr auto kPatience = 60s;

class MetricsPage : public ::testing::Test {
 protected:
  MetricsPage() { installation_.environment["PROVISIONER_METRICS_LISTEN"] = "127.0.0.1:0"; }
  Page page() const { return page_of(installation_); }
  // Waits for a value of a series; whatever it was last.
  std::optional<double> wait_for(const std::string& series, double value) {
    std::optional<double> seen;
    eventually(kPatience, [&] { return (seen = page()[series]) == value; });
    return seen;
  }

  Installation installation_;
};

// What promtool complains about, one line each.
std::vector<std::string> complaints(const std::string& page) {
  TempDirectory directory;
  write_file(directory / "page", page);
  const auto checked = run_program(
      {"sh", "-c", "promtool check metrics < " + (directory / "page").string() + " 2>&1"});
  std::vector<std::string> lines;
  for (const auto line : split(checked.out, '\n')) {
    if (!line.empty()) lines.emplace_back(line);
  }
  if (checked.code != 0 && lines.empty()) lines.push_back("exit " + std::to_string(checked.code));
  return lines;
}

TEST_F(MetricsPage, IsWhatPrometheusExpects) {
  installation_.start();
  const auto page = fetch(metrics_url(installation_));
  EXPECT_EQ(page.status, 200);
  EXPECT_EQ(page.content_type, "text/plain; version=0.0.4; charset=utf-8");
  // The name is the one that operators know from the predecessor.
  EXPECT_THAT(complaints(page.body),
              ::testing::ElementsAre("provisioner_workspaces_total non-counter metrics should not "
                                     "have \"_total\" suffix"));
  EXPECT_THAT(complaints(page.body + "no page\n"), ::testing::Not(::testing::IsEmpty()));
}

TEST_F(MetricsPage, HasNothingButMetrics) {
  installation_.start();
  const std::string url = metrics_url(installation_);
  const std::string base = url.substr(0, url.rfind('/'));
  for (const char* path : {"/", "/ready", "/api/v1/workspaces", "/metrics/x"}) {
    const auto answer = fetch(base + path);
    EXPECT_EQ(answer.status, 404) << path;
    EXPECT_THAT(answer.body, HasSubstr("/metrics")) << path;
  }
  const auto posted = run_program(
      {"curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "-X", "POST", "--data", "x", url});
  EXPECT_EQ(posted.out, "405");
}

TEST_F(MetricsPage, IsOffWithTheEmbeddedStoreUnlessItIsAskedFor) {
  installation_.environment["PROVISIONER_METRICS_LISTEN"] = "";
  installation_.start();
  EXPECT_EQ(installation_.log().find("/metrics"), std::string::npos);
}

TEST_F(MetricsPage, AnAddressThatIsTakenIsSaidAtTheStart) {
  installation_.start();
  std::string address = metrics_url(installation_).substr(std::string("http://").size());
  address.resize(address.find('/'));
  Installation second;
  second.environment["PROVISIONER_METRICS_LISTEN"] = address;
  second.launch();
  EXPECT_EQ(second.daemon().wait(30s), 4) << second.log();  // a conflict
  EXPECT_THAT(second.log(), HasSubstr("metrics.listen"));
}

TEST_F(MetricsPage, FollowsWorkspacesAndTheirRuns) {
  installation_.start();
  EXPECT_THAT(page()["provisioner_workspaces_total{status=\"deployed\"}"], Optional(0));
  installation_.add_workspace("good", {{"deploy_schedule", "* * * * *"}});
  installation_.add_workspace("bad", Json::object(), R"(output "x" { value = var.missing })");
  ASSERT_EQ(installation_.wait_for_status("bad", "pending")["status"], "pending");
  ASSERT_EQ(installation_.command({"workspace", "hold", "bad", "--reason", "x"}).code, 0)
      << installation_.log();
  EXPECT_THAT(wait_for("provisioner_workspaces_held", 1), Optional(1));
  EXPECT_NE(installation_.command({"workspace", "deploy", "bad"}).code, 0);

  EXPECT_THAT(wait_for("provisioner_workspaces_total{status=\"deployed\"}", 1), Optional(1));
  EXPECT_THAT(wait_for("provisioner_workspaces_total{status=\"deploy_failed\"}", 1), Optional(1));
  const Page after = page();
  const auto deploys = [&](const char* result) {
    return after[std::string("provisioner_deployments_total{operation=\"deploy\",result=\"") +
                 result + "\"}"]
        .value_or(-1);
  };
  EXPECT_GE(deploys("succeeded"), 1);
  EXPECT_GE(deploys("failed"), 1);
  EXPECT_THAT(after["provisioner_deployment_duration_seconds_count{operation=\"deploy\"}"],
              Optional(deploys("succeeded") + deploys("failed")));
  EXPECT_GT(after["http_requests_total{code=\"200\",method=\"GET\"}"].value_or(0), 0);
  EXPECT_GT(after["http_request_duration_seconds_count"].value_or(0), 0);
  EXPECT_GT(after["provisioner_loop_lag_seconds_count"].value_or(0), 0);

  // By its schedule, since the store never saw it before.
  EXPECT_THAT(after["provisioner_occurrences_total{outcome=\"fired\"}"],
              Optional(::testing::Ge(1)));
  EXPECT_THAT(after["provisioner_scheduler_lag_seconds_count"], Optional(::testing::Ge(1)));
}

TEST_F(MetricsPage, AnInventedMethodMakesNoSeriesOfItsOwn) {
  installation_.environment["PROVISIONER_LISTEN"] = "off";
  installation_.start();
  const auto socket = (installation_.state_dir() / "provisioner.sock").string();
  for (const char* method : {"WINTER", "SPRING", "SUMMER"}) {
    run_program({"curl", "-sS", "--unix-socket", socket, "-X", method, "http://localhost/health"});
  }
  double others = 0;
  for (const auto& [series, value] : page().series) {
    EXPECT_EQ(series.find("WINTER"), std::string::npos);
    if (series.find("method=\"other\"") != std::string::npos) others += value;
  }
  EXPECT_EQ(others, 3);
}

TEST_F(MetricsPage, AnswersWhileTheStoreWasNeverReached) {
  for (const auto& [name, value] : Environment{
           {"DATABASE_HOST", "127.0.0.1"}, {"DATABASE_PORT", "1"}, {"DATABASE_USER", "nobody"}}) {
    installation_.environment[name] = value;
  }
  installation_.launch();
  const auto fetched = fetch(metrics_url(installation_));
  ASSERT_EQ(fetched.status, 200) << installation_.log();
  const Page page = parse_page(fetched.body);
  const std::string leader = "provisioner_leader";
  EXPECT_THAT(page["provisioner_ready"], Optional(0));
  EXPECT_THAT(page["provisioner_store_up"], Optional(0));
  EXPECT_TRUE(page.families.contains(leader)) << "that nobody leads must show";
}

}  // namespace
}  // namespace provisioner::testing
