#include "api_fixture.hpp"

namespace provisioner::server {
namespace {

using RunsApi = ApiTest;

TEST_F(RunsApi, ADeployIsQueuedForWhoeverClaimsIt) {
  given_workspace("shop");
  const http::Response accepted = post("/workspaces/shop/deploy", {{"upgrade", true}});
  ASSERT_EQ(accepted.status, 202);
  const json run = read(accepted);
  EXPECT_EQ(run["status"], "queued");
  EXPECT_EQ(run["trigger"], "manual");
  EXPECT_EQ(run["requested_by"], fmt::format("uid:{}", ::geteuid()));
  EXPECT_EQ(accepted.headers.at("Location"), "/api/v1/runs/" + run["id"].get<std::string>());
  EXPECT_EQ(read(get("/workspaces/shop"))["active_run"], run["id"]);
  const ClaimedRun claimed = claim();
  EXPECT_EQ(run["id"], claimed.run.id.value);
  EXPECT_TRUE(claimed.run.upgrade);
}

TEST_F(RunsApi, ABusyWorkspaceRefusesUnlessTheCallerQueues) {
  given_workspace("shop");
  post("/workspaces/shop/deploy");
  claim();
  EXPECT_EQ(code(post("/workspaces/shop/destroy")), "409 workspace_busy");
  EXPECT_EQ(post("/workspaces/shop/destroy", {{"queue", true}}).status, 202);
}

TEST_F(RunsApi, ARepeatedCommandAnswersWithItsFirstRun) {
  given_workspace("shop");
  given_workspace("other");
  const http::Headers key = {{"Idempotency-Key", "once"}};
  const json first = read(ask("POST", "/workspaces/shop/deploy", "{}", key));
  const json again = read(ask("POST", "/workspaces/shop/deploy", "{}", key));
  EXPECT_EQ(again["id"], first["id"]);
  const json elsewhere = read(ask("POST", "/workspaces/other/deploy", "{}", key));
  EXPECT_EQ(elsewhere["workspace"], "other") << "a key belongs to its command";
}

TEST_F(RunsApi, AModeIsTheGivenOneElseTheTimelinesElseTheLast) {
  given_workspace("shop", {{"mode_schedules", {{"busy", "* * * * *"}, {"quiet", "0 0 1 1 *"}}}});
  EXPECT_EQ(read(post("/workspaces/shop/deploy", {{"mode", "quiet"}}))["mode"], "quiet");
  EXPECT_EQ(read(post("/workspaces/shop/deploy", {{"queue", true}}))["mode"], "busy");
  const http::Response unknown = post("/workspaces/shop/deploy", {{"mode", "calm"}});
  EXPECT_EQ(code(unknown), "422 unknown_mode");
  EXPECT_EQ(read(unknown)["choices"], json({"busy", "quiet"}));
  given_workspace("plain");
  EXPECT_EQ(code(post("/workspaces/plain/deploy", {{"mode", "busy"}})), "422 unknown_mode");
  // Nothing was said in the past, and nothing was deployed: somebody has to say.
  given_workspace("late", {{"mode_schedules", {{"busy", "0 0 29 2 *"}}}});
  const http::Response late = post("/workspaces/late/deploy");
  if (late.status == 422) EXPECT_EQ(code(late), "422 mode_required");
}

TEST_F(RunsApi, ADestroyUsesWhatWasDeployed) {
  given_workspace("shop", {{"variables", {{"size", 1}}}});
  given_deployed("shop");
  const Workspace deployed = must(await(store_->workspace(WorkspaceName("shop"))));
  given_workspace("shop", {{"variables", {{"size", 2}}}});
  post("/workspaces/shop/destroy");
  EXPECT_EQ(claim().run.definition, *deployed.deployed);
}

TEST_F(RunsApi, DependenciesOrderByHandToo) {
  given_workspace("network");
  given_workspace("shop", {{"depends_on", {"network"}}});
  EXPECT_EQ(read(post("/workspaces/shop/deploy"))["waiting_for"], "network to be deployed");
  given_deployed("network");
  const json shop = read(post("/workspaces/shop/deploy", {{"queue", true}}));
  EXPECT_EQ(shop["waiting_for"], nullptr);
  finish(claim().fence);
  const http::Response refused = post("/workspaces/network/destroy");
  EXPECT_EQ(code(refused), "409 dependents_deployed");
  EXPECT_NE(read(refused)["detail"].get<std::string>().find("shop"), std::string::npos);
}

TEST_F(RunsApi, ConfirmsOnlyWhatWaitsForIt) {
  given_workspace("shop");
  EXPECT_EQ(code(post("/workspaces/shop/confirm")), "409 nothing_to_confirm");
  post("/workspaces/shop/deploy");
  finish(claim().fence, {.status = RunStatus::kSucceeded, .needs_confirmation = true});
  EXPECT_EQ(read(get("/workspaces/shop"))["status"], "needs_confirmation");
  EXPECT_EQ(post("/workspaces/shop/confirm").status, 202);
  EXPECT_TRUE(claim().run.confirmed);
}

TEST_F(RunsApi, RefusesWhatItDoesNotUnderstand) {
  given_workspace("shop");
  EXPECT_EQ(code(ask("POST", "/workspaces/shop/deploy", "{")), "400 malformed_body");
  EXPECT_EQ(code(post("/workspaces/shop/deploy", {{"modus", "x"}})), "422 invalid_request");
  EXPECT_EQ(code(post("/workspaces/none/deploy")), "404 workspace_not_found");
  EXPECT_EQ(code(get("/runs?status=done")), "422 invalid_request");
  EXPECT_EQ(code(get("/runs?limit=5000")), "422 invalid_request");
  EXPECT_EQ(code(get("/runs/none")), "404 run_not_found");
  EXPECT_EQ(code(get("/nothing")), "404 no_such_path");
  const http::Response wrong_method = ask("PUT", "/runs");
  EXPECT_EQ(code(wrong_method), "405 method_not_allowed");
  EXPECT_EQ(wrong_method.headers.at("Allow"), "GET");
}

TEST_F(RunsApi, CancelsWhatHasNotEnded) {
  given_workspace("shop");
  const std::string id = read(post("/workspaces/shop/deploy"))["id"];
  EXPECT_EQ(read(post("/runs/" + id + "/cancel"))["status"], "cancelled");
  EXPECT_EQ(code(post("/runs/" + id + "/cancel")), "409 run_has_ended");
  EXPECT_EQ(code(post("/runs/none/cancel")), "404 run_not_found");
}

TEST_F(RunsApi, PagesThroughRunsNewestFirst) {
  given_workspace("shop");
  std::vector<std::string> ids;
  for (int i = 0; i < 5; ++i) {
    ids.insert(ids.begin(), read(post("/workspaces/shop/plan"))["id"].get<std::string>());
    finish(claim().fence);
  }
  const json first = read(get("/runs?workspace=shop&limit=3&status=succeeded,failed"));
  const json second =
      read(get("/runs?workspace=shop&limit=3&cursor=" + first["next_cursor"].get<std::string>()));
  EXPECT_EQ(second["next_cursor"], nullptr);
  std::vector<std::string> paged;
  for (const json* page : {&first, &second}) {
    for (const auto& run : (*page)["items"]) paged.push_back(run["id"]);
  }
  EXPECT_EQ(paged, ids);
}

TEST_F(RunsApi, ShowsEveryAttemptAndHowItEnded) {
  given_workspace("shop");
  const std::string id = read(post("/workspaces/shop/deploy"))["id"];
  EXPECT_EQ(read(get("/runs/" + id))["attempts"], json::array());
  finish(claim().fence, {.status = RunStatus::kInterrupted, .error = "tofu was killed"});
  claim();
  const json attempts = read(get("/runs/" + id))["attempts"];
  ASSERT_EQ(attempts.size(), 2U);
  EXPECT_EQ(attempts[0]["attempt"], 1);
  EXPECT_EQ(attempts[0]["status"], "interrupted");
  EXPECT_EQ(attempts[0]["error"], "tofu was killed");
  EXPECT_EQ(attempts[1]["status"], "running");
  EXPECT_EQ(attempts[1]["finished_at"], nullptr);
}

TEST_F(RunsApi, GivesALogAsTextAndFromAnyPlaceOn) {
  given_workspace("shop");
  const std::string id = read(post("/workspaces/shop/deploy"))["id"];
  const ClaimedRun first = claim();
  must(await(store_->append_log(first.fence, 0, "init\nplan\n")));
  EXPECT_EQ(get("/runs/" + id + "/log").body, "init\nplan\n");
  EXPECT_EQ(get("/runs/" + id + "/log?after=1:5").body, "plan\n");
  EXPECT_EQ(code(get("/runs/" + id + "/log?after=5")), "422 invalid_request");
  finish(first.fence, {.status = RunStatus::kInterrupted});
  const ClaimedRun second = claim();
  must(await(store_->append_log(second.fence, 0, "init\n")));
  EXPECT_EQ(get("/runs/" + id + "/log").body, "init\nplan\n--- attempt 2 ---\ninit\n");
}

TEST_F(RunsApi, FollowsALogUntilTheRunHasEnded) {
  given_workspace("shop");
  const std::string id = read(post("/workspaces/shop/deploy"))["id"];
  const ClaimedRun run = claim();
  must(await(store_->append_log(run.fence, 0, "init\npl")));
  bool more_sent = false;
  const auto all = events(
      "/runs/" + id + "/log?follow=true", [](const Event&) { return false; },
      [&](Event event) -> Task<> {
        if (event.name != "log" || std::exchange(more_sent, true)) co_return;
        must(co_await store_->append_log(run.fence, 7, "an\nlast line"));
        must(co_await store_->finish_attempt(run.fence, {.status = RunStatus::kSucceeded},
                                             clock_.now()));
      });
  std::string log;
  std::string names;
  for (const auto& event : all) {
    names += event.name + " ";
    if (event.name == "log") log += event.id + "=" + event.data + ";";
  }
  EXPECT_EQ(log, "1:5=init;1:10=plan;1:19=last line;");
  EXPECT_TRUE(names.starts_with("run log ")) << names;
  EXPECT_TRUE(names.ends_with(" end ")) << names;
  EXPECT_EQ(json::parse(all.back().data)["status"], "succeeded");

  const auto resumed = events("/runs/" + id + "/log?follow=true&after=1:5",
                              [](const Event& event) { return event.name == "end"; });
  ASSERT_EQ(resumed.size(), 4U);
  EXPECT_EQ(resumed[1].data, "plan");
}

TEST_F(RunsApi, SaysWhatChangesAndFromWhereToResume) {
  given_workspace("shop");
  const auto live = events(
      "/events", [](const Event& event) { return event.name == "run"; },
      [&](Event event) -> Task<> {
        if (event.name != "hello") co_return;
        http::Client other(loop_.get_executor(), http::Endpoint::unix_socket(socket_));
        must(co_await other.send({.method = "POST", .target = "/api/v1/workspaces/shop/deploy"},
                                 60s));
      });
  EXPECT_EQ(live.front().name, "hello");
  EXPECT_EQ(json::parse(live.back().data)["workspace"], "shop");

  const auto missed = events("/events?after=" + live.front().id,
                             [](const Event& event) { return event.name == "run"; });
  EXPECT_EQ(json::parse(missed.back().data)["workspace"], "shop");
  const auto unknown = events("/events?after=another:7", [](const Event&) { return true; });
  EXPECT_EQ(unknown.front().name, "resync");
}

}  // namespace
}  // namespace provisioner::server
