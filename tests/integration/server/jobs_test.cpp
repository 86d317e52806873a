// Jobs over the API (behaviour.md, "Jobs").

#include "api_fixture.hpp"
#include "config/job_file.hpp"

namespace provisioner::server {
namespace {

class JobsApi : public ApiTest {
 protected:
  static json command_job(const std::string& name, const json& more = json::object()) {
    json job = {
        {"name", name}, {"type", "command"}, {"command", "true"}, {"schedule", "0 4 * * *"}};
    job.update(more);
    return job;
  }
  void given_jobs(const std::string& workspace, const json& jobs) {
    given_workspace(workspace, {{"jobs", jobs}});
  }
};

TEST_F(JobsApi, AJobIsListedAndShownBeforeItEverRan) {
  given_jobs("shop", {command_job("backup", {{"schedule", {"0 4 * * *", "@deployment"}},
                                             {"description", "at night"}}),
                      command_job("alert", {{"enabled", false}})});
  const json job = read(get("/jobs/shop/backup"));
  EXPECT_EQ(job["status"], "pending");
  EXPECT_EQ(job["schedule"], json({"0 4 * * *", "@deployment"}));
  EXPECT_EQ(job["events"], json({"@deployment"}));
  EXPECT_EQ(job["description"], "at night");
  EXPECT_EQ(job["run_count"], 0);
  EXPECT_TRUE(job["next_run"].is_string());
  const json list = read(get("/jobs?workspace=shop"));
  ASSERT_EQ(list["items"].size(), 2u);
  EXPECT_EQ(list["items"][0]["name"], "alert");
  EXPECT_EQ(list["items"][0]["next_run"], nullptr) << "it is disabled";
  EXPECT_EQ(list["items"][1], job);
  const json page = read(get("/jobs?limit=1"));
  EXPECT_EQ(page["items"][0]["name"], "alert");
  const json rest = read(get("/jobs?limit=1&cursor=" + page["next_cursor"].get<std::string>()));
  EXPECT_EQ(rest["items"][0]["name"], "backup");
  EXPECT_EQ(rest["next_cursor"], nullptr);
  EXPECT_EQ(code(get("/jobs/shop/bakup")), "404 job_not_found");
  EXPECT_EQ(code(get("/jobs/shup/backup")), "404 workspace_not_found");
}

TEST_F(JobsApi, AJobRunsByHandWhereNothingIsDeployed) {
  given_jobs("shop", json::array({command_job("backup")}));
  post("/workspaces/shop/disable");
  const http::Response accepted = post("/jobs/shop/backup/run");
  ASSERT_EQ(accepted.status, 202) << accepted.body;
  EXPECT_EQ(read(accepted)["operation"], "job");
  EXPECT_EQ(read(accepted)["job"], "backup");
  EXPECT_EQ(read(accepted)["trigger"], "manual");
  const ClaimedRun claimed = claim();
  EXPECT_EQ(read(accepted)["id"], claimed.run.id.value);
  EXPECT_EQ(code(post("/jobs/shop/backup/run")), "409 job_busy");
  EXPECT_EQ(post("/jobs/shop/backup/run", {{"queue", true}}).status, 202);
  EXPECT_EQ(read(get("/runs?workspace=shop&job=backup"))["items"].size(), 2u);
  EXPECT_EQ(code(get("/runs?job=backup")), "422 invalid_request");
}

TEST_F(JobsApi, ARepeatedCommandAnswersWithItsFirstRun) {
  given_jobs("shop", json::array({command_job("backup")}));
  const http::Headers key = {{"Idempotency-Key", "once"}};
  const json first = read(ask("POST", "/jobs/shop/backup/run", "{}", key));
  EXPECT_EQ(read(ask("POST", "/jobs/shop/backup/run", "{}", key))["id"], first["id"]);
}

TEST_F(JobsApi, AKillStopsWhatRunsAndWhatWaits) {
  given_jobs("shop", json::array({command_job("backup")}));
  EXPECT_EQ(code(post("/jobs/shop/backup/kill")), "409 job_not_running");
  post("/jobs/shop/backup/run");
  claim();
  post("/jobs/shop/backup/run", {{"queue", true}});
  const http::Response killed = post("/jobs/shop/backup/kill");
  ASSERT_EQ(killed.status, 202) << killed.body;
  const json runs = read(killed)["items"];
  ASSERT_EQ(runs.size(), 2u);
  EXPECT_EQ(runs[0]["status"], "cancelled");
  EXPECT_EQ(runs[1]["cancel_requested"], true);
}

TEST_F(JobsApi, ATemplateJobRunsOnlyWhileItsWorkspaceIsDeployed) {
  given_jobs(
      "shop",
      {{{"name", "web"}, {"type", "template"}, {"template", "web"}, {"schedule", "@deployment"}}});
  EXPECT_EQ(code(post("/jobs/shop/web/run")), "409 not_deployed");
  given_deployed("shop");
  EXPECT_EQ(code(post("/jobs/shop/web/run")), "409 template_missing");
}

TEST_F(JobsApi, ATokenReachesTheJobsOfItsWorkspacesOnly) {
  given_jobs("shop", json::array({command_job("backup")}));
  given_jobs("other", json::array({command_job("backup")}));
  const std::string token = given_token("ci", "operator", "shop");
  EXPECT_EQ(read(ask_with(token, "GET", "/jobs"))["items"].size(), 1u);
  EXPECT_EQ(ask_with(token, "POST", "/jobs/shop/backup/run").status, 202);
  EXPECT_EQ(code(ask_with(token, "POST", "/jobs/other/backup/run")), "403 out_of_scope");
  EXPECT_EQ(code(ask_with(token, "GET", "/jobs/_standalone_/backup")), "403 out_of_scope");
  const std::string viewer = given_token("eye", "viewer");
  EXPECT_EQ(code(ask_with(viewer, "POST", "/jobs/shop/backup/run")), "403 forbidden");
  const auto events = must(await(store_->audit_events({.action_prefix = "job."})));
  ASSERT_EQ(events.size(), 3u);
  EXPECT_EQ(events.back().target, "shop:backup");
  EXPECT_EQ(events.back().outcome, "accepted");
}

TEST_F(JobsApi, APreviewShowsTheJobsOfAWorkspaceThatIsOn) {
  given_workspace(
      "shop", {{"deploy_schedule", "0 8 * * *"}, {"jobs", json::array({command_job("backup")})}});
  const std::string day = "from=2027-01-01T00:00:00Z&to=2027-01-01T23:00:00Z";
  const json points = read(get("/workspaces/shop/schedule?" + day));
  ASSERT_EQ(points.size(), 2u);
  EXPECT_EQ(points[0]["job"], "backup");
  EXPECT_EQ(points[0]["action"], "run");
  EXPECT_EQ(points[1]["job"], nullptr);
  EXPECT_EQ(read(get("/jobs/shop/backup/schedule?" + day)), json::array({points[0]}));
  post("/workspaces/shop/disable");
  EXPECT_EQ(read(get("/workspaces/shop/schedule?" + day)), json::array({points[1]}));
}

TEST_F(JobsApi, AStandaloneJobHasNoWorkspace) {
  const JobName name("sweep");
  const auto parsed = must(parse_standalone_job(name, command_job("sweep").dump(), "sweep.json"));
  must(await(store_->put_bundle(BundleHash("bundle-1"), "content")));
  must(await(store_->publish(
      {.workspace = home_of(name),
       .definition = {parsed.normalised_json, BundleHash("bundle-1"), parsed.inputs_hash},
       .changed_by = "instance host-1",
       .first_cursor = clock_.now(),
       .schedule_hash = parsed.schedule_hash},
      clock_.now())));
  EXPECT_EQ(read(get("/jobs/_standalone_/sweep"))["workspace"], "_standalone_");
  EXPECT_EQ(read(get("/jobs?workspace=_standalone_"))["items"].size(), 1u);
  EXPECT_EQ(read(get("/jobs/_standalone_/sweep/schedule?count=1")).size(), 1u);
  EXPECT_EQ(read(post("/jobs/_standalone_/sweep/run"))["workspace"], "_standalone_");
  EXPECT_EQ(read(get("/runs?workspace=_standalone_&job=sweep"))["items"].size(), 1u);
}

}  // namespace
}  // namespace provisioner::server
