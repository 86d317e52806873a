#include "api_fixture.hpp"

namespace provisioner::server {
namespace {

using WorkspacesApi = ApiTest;

TEST_F(WorkspacesApi, ShowsWhatIsThereAndWhatComesNext) {
  EXPECT_EQ(read(get("/workspaces"))["items"], json::array());
  given_workspace("shop", {{"deploy_schedule", "0 8 * * *"}, {"description", "the shop"}});
  problems_["shop"] = "workspaces/shop/config.json: line 3: a comma is missing";
  const json shop = read(get("/workspaces"))["items"][0];
  EXPECT_EQ(shop["name"], "shop");
  EXPECT_EQ(shop["status"], "pending");
  EXPECT_EQ(shop["next"]["action"], "deploy");
  EXPECT_TRUE(shop["next"]["at"].get<std::string>().ends_with("T08:00:00Z"));
  EXPECT_EQ(shop["config_error"], problems_["shop"]);
  EXPECT_EQ(read(get("/workspaces/shop")), shop);
  EXPECT_EQ(code(get("/workspaces/shp")), "404 workspace_not_found");
  EXPECT_EQ(code(get("/workspaces/..%2f..%2fetc")), "404 workspace_not_found");
}

TEST_F(WorkspacesApi, HoldsAndReleases) {
  given_workspace("shop", {{"deploy_schedule", "0 8 * * *"}});
  const json held = read(post("/workspaces/shop/hold", {{"reason", "audit"}}));
  EXPECT_EQ(held["held"], true);
  EXPECT_EQ(held["hold_reason"], "audit");
  EXPECT_EQ(held["next"], nullptr);
  const json until = read(post("/workspaces/shop/hold", {{"until", "2037-01-01T08:00:00Z"}}));
  EXPECT_EQ(until["hold_until"], "2037-01-01T08:00:00Z");
  EXPECT_EQ(until["next"]["at"], "2037-01-01T08:00:00Z");
  EXPECT_EQ(read(post("/workspaces/shop/hold", {{"until", "2h"}}))["held"], true);
  EXPECT_EQ(code(post("/workspaces/shop/hold", {{"until", "2001-01-01T00:00:00Z"}})),
            "422 invalid_request");
  EXPECT_EQ(code(post("/workspaces/shop/hold", {{"until", "soon"}})), "422 invalid_request");
  const json released = read(post("/workspaces/shop/release"));
  EXPECT_EQ(released["held"], false);
  EXPECT_EQ(released["active_run"], nullptr);
}

TEST_F(WorkspacesApi, EnablesAndDisables) {
  given_workspace("shop", {{"deploy_schedule", "* * * * *"}});
  const json disabled = read(post("/workspaces/shop/disable"));
  EXPECT_EQ(disabled["enabled"], false);
  EXPECT_EQ(disabled["next"], nullptr);
  const Instant before = clock_.now();
  const json enabled = read(post("/workspaces/shop/enable"));
  EXPECT_EQ(enabled["enabled"], true);
  EXPECT_EQ(enabled["active_run"], nullptr);
  EXPECT_GE(must(await(store_->view({.workspace = WorkspaceName("shop")}))).cursor.cursor, before);
  EXPECT_EQ(code(post("/workspaces/shop/enable", {{"now", true}})), "422 invalid_request");
  EXPECT_EQ(code(post("/workspaces/nobody/disable")), "404 workspace_not_found");
}

TEST_F(WorkspacesApi, AModeIsChangedOnlyOfWhatIsDeployed) {
  given_workspace("shop", {{"mode_schedules", {{"busy", "0 8 * * *"}, {"quiet", "0 18 * * *"}}}});
  const http::Response pending = post("/workspaces/shop/mode", {{"mode", "busy"}});
  EXPECT_EQ(code(pending), "409 not_deployed");
  EXPECT_NE(pending.body.find("workspace deploy shop busy"), std::string::npos) << pending.body;
  EXPECT_EQ(code(post("/workspaces/shop/mode", {{"mode", "calm"}})), "422 unknown_mode");
  const http::Response none = post("/workspaces/shop/mode");
  EXPECT_EQ(code(none), "422 mode_required");
  EXPECT_EQ(json::parse(none.body)["choices"], json({"busy", "quiet"}));
  post("/workspaces/shop/deploy", {{"mode", "busy"}});
  finish(claim().fence);
  const http::Response changed = post("/workspaces/shop/mode", {{"mode", "quiet"}});
  EXPECT_EQ(changed.status, 202) << changed.body;
  EXPECT_EQ(read(changed)["mode"], "quiet");
  EXPECT_EQ(read(changed)["operation"], "deploy");
  finish(claim().fence);
  EXPECT_EQ(read(get("/workspaces/shop"))["mode"], "quiet");
  given_workspace("plain");
  EXPECT_EQ(code(post("/workspaces/plain/mode", {{"mode", "busy"}})), "422 unknown_mode");
  EXPECT_EQ(code(post("/workspaces/plain/mode")), "422 unknown_mode");
}

TEST_F(WorkspacesApi, ReleaseWithConvergeActsOnTheLastOccurrence) {
  given_workspace("shop", {{"deploy_schedule", "* * * * *"}});
  post("/workspaces/shop/hold");
  EXPECT_NE(read(post("/workspaces/shop/release", {{"converge", true}}))["active_run"], nullptr);
}

TEST_F(WorkspacesApi, AVersionGivenMustBeTheCurrentOne) {
  given_workspace("shop");
  const http::Response first = get("/workspaces/shop");
  const std::string tag = first.headers.at("ETag");
  EXPECT_EQ(ask("GET", "/workspaces/shop", "", {{"If-None-Match", tag}}).status, 304);
  EXPECT_EQ(ask("POST", "/workspaces/shop/hold", "", {{"If-Match", tag}}).status, 200);
  EXPECT_EQ(code(ask("POST", "/workspaces/shop/hold", "", {{"If-Match", tag}})),
            "412 version_conflict");
}

TEST_F(WorkspacesApi, ExtendsOnlyWhatExpires) {
  given_workspace("shop", {{"ttl", "1h"}});
  EXPECT_EQ(code(post("/workspaces/shop/extend", {{"by", "2h"}})), "409 no_ttl");
  post("/workspaces/shop/deploy");
  const Instant expiry = must(parse_rfc3339("2036-01-01T00:00:00Z"));
  finish(claim().fence, {.status = RunStatus::kSucceeded, .ttl_expires_at = expiry});
  EXPECT_EQ(read(post("/workspaces/shop/extend", {{"by", "2h"}}))["ttl_expires_at"],
            "2036-01-01T02:00:00Z");
  EXPECT_EQ(code(post("/workspaces/shop/extend", {{"by", "-2h"}})), "422 invalid_request");
  EXPECT_EQ(code(post("/workspaces/shop/extend")), "422 invalid_request");
}

TEST_F(WorkspacesApi, RemovesOnlyWhatIsGoneAndNotDeployed) {
  given_workspace("shop");
  EXPECT_EQ(code(ask("DELETE", "/workspaces/shop")), "409 folder_exists");
  given_deployed("shop");
  must(await(store_->detach(WorkspaceName("shop"), InstanceId(), "test", clock_.now())));
  EXPECT_EQ(code(ask("DELETE", "/workspaces/shop")), "409 still_deployed");
  EXPECT_EQ(code(ask("DELETE", "/workspaces/shop?abandon=true&destroy=true")),
            "422 invalid_request");
  const http::Response destroying = ask("DELETE", "/workspaces/shop?destroy=true");
  EXPECT_EQ(destroying.status, 202);
  EXPECT_EQ(read(destroying)["operation"], "destroy");
  finish(claim().fence);
  EXPECT_EQ(read(ask("DELETE", "/workspaces/shop"))["removed"], true);
  EXPECT_EQ(code(get("/workspaces/shop")), "404 workspace_not_found");
}

TEST_F(WorkspacesApi, AbandonsWhatIsDeployedWhenToldTo) {
  given_workspace("shop");
  given_deployed("shop");
  must(await(store_->detach(WorkspaceName("shop"), InstanceId(), "test", clock_.now())));
  EXPECT_EQ(ask("DELETE", "/workspaces/shop?abandon=true").status, 200);
}

TEST_F(WorkspacesApi, ListsChangesOfTheConfiguration) {
  given_workspace("shop", {{"description", "one"}});
  given_workspace("shop", {{"description", "two"}});
  const json changes = read(get("/workspaces/shop/changes"))["items"];
  ASSERT_EQ(changes.size(), 2U);
  EXPECT_EQ(changes[0]["change"], "updated");
  EXPECT_EQ(changes[0]["old_config"]["description"], "one");
  EXPECT_EQ(changes[1]["change"], "created");
}

TEST_F(WorkspacesApi, PreviewsTheScheduleWithItsEnds) {
  given_workspace("shop", {{"deploy_schedule", "0 8 * * *"}, {"timezone", "America/New_York"}});
  const json day =
      read(get("/workspaces/shop/schedule?from=2026-03-08T12:00:00Z&to=2026-03-09T12:00:00Z"));
  ASSERT_EQ(day.size(), 2U);
  EXPECT_EQ(day[0]["at"], "2026-03-08T12:00:00Z");
  EXPECT_EQ(day[0]["local_time"], "2026-03-08T08:00:00-04:00");
  EXPECT_EQ(day[0]["schedule"], "deploy_schedule");
  EXPECT_EQ(read(get("/workspaces/shop/schedule?count=3")).size(), 3U);
  EXPECT_EQ(code(get("/workspaces/shop/schedule?count=0")), "422 invalid_request");
  EXPECT_EQ(code(get("/workspaces/shop/schedule?from=tomorrow")), "422 invalid_request");
}

TEST_F(WorkspacesApi, PagesThroughTheLedgerWithoutGapsOrRepetitions) {
  given_workspace("shop");
  const Leadership seen = must(await(store_->leadership()));
  const LeaderFence fence = must(await(store_->claim_term(seen.fence, random_.claim_id(),
                                                          InstanceId("host-1"), clock_.now())))
                                .fence;
  PlanCommit plan{.workspace = WorkspaceName("shop"), .config_version = 1};
  const Instant first = clock_.now() - 1h;
  for (int i = 0; i < 7; ++i) {
    // Three rules at each instant, so that pages end within one.
    plan.occurrences.push_back({.workspace = plan.workspace,
                                .schedule = fmt::format("deploy_schedule[{}]", i % 3),
                                .at = first + std::chrono::minutes(i / 3),
                                .until = first + std::chrono::minutes(i / 3),
                                .local_time = "08:00",
                                .outcome = Outcome::kNoChange,
                                .reason = "already deployed"});
  }
  plan.new_cursor = first + 3min;
  must(await(store_->commit_plan(fence, plan, clock_.now())));
  const json whole = read(get("/occurrences?workspace=shop"))["items"];
  ASSERT_EQ(whole.size(), 7U);
  for (const int limit : {1, 2, 3, 6, 7}) {
    json paged = json::array();
    std::string cursor;
    do {
      const json page =
          read(get(fmt::format("/occurrences?workspace=shop&limit={}{}", limit, cursor)));
      for (const auto& item : page["items"]) paged.push_back(item);
      cursor =
          page["next_cursor"].is_null() ? "" : "&cursor=" + page["next_cursor"].get<std::string>();
    } while (!cursor.empty());
    EXPECT_EQ(paged, whole) << limit;
  }
  EXPECT_EQ(code(get("/occurrences?cursor=x")), "422 invalid_request");
}

}  // namespace
}  // namespace provisioner::server
