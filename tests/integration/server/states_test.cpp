#include "api_fixture.hpp"

namespace provisioner::server {
namespace {

class StatesApi : public ApiTest {
 protected:
  StatesApi() { given_workspace("shop"); }
  http::Response push(const std::string& body, const std::string& query = "") {
    return ask("PUT", "/states/shop" + query, body);
  }
};

TEST_F(StatesApi, ShowsVersionsMaskedAndRawOnlyToAdminsOverTheSocket) {
  EXPECT_EQ(code(get("/states/shop/current")), "404 state_not_found");
  ASSERT_EQ(push(state(1, "a")).status, 200);
  const json versions = read(get("/states/shop"))["items"];
  ASSERT_EQ(versions.size(), 1U);
  EXPECT_EQ(versions[0]["serial"], 1);
  EXPECT_EQ(versions[0]["current"], true);
  EXPECT_EQ(versions[0]["written_by"], fmt::format("uid:{} (push)", ::geteuid()));
  EXPECT_EQ(get("/states/shop/current").body.find("hunter2"), std::string::npos);
  EXPECT_EQ(get("/states/shop/1").body.find("hunter2"), std::string::npos);
  EXPECT_EQ(get("/states/shop/current?raw=true").body, state(1, "a"));
  EXPECT_EQ(over_tcp("GET", "/api/v1/states/shop/current").status, 200);
  EXPECT_EQ(over_tcp("GET", "/api/v1/states/shop/current?raw=true").status, 403);
  EXPECT_EQ(code(get("/states/shop/7")), "404 state_not_found");
  EXPECT_EQ(code(get("/states/shop/seven")), "422 invalid_request");
}

TEST_F(StatesApi, OutputsAreThoseOfTheCurrentStateSensitiveOnesHidden) {
  EXPECT_EQ(read(get("/workspaces/shop/outputs")), json::object());
  push(state(1, "https://shop"));
  const json outputs = read(get("/workspaces/shop/outputs"));
  EXPECT_EQ(outputs["url"]["value"], "https://shop");
  EXPECT_EQ(outputs["password"]["sensitive"], true);
  EXPECT_EQ(outputs["password"]["value"], nullptr);
}

TEST_F(StatesApi, APushContinuesTheHistoryUnlessForced) {
  ASSERT_EQ(push(state(5, "a")).status, 200);
  EXPECT_EQ(code(push(state(4, "b"))), "409 older_state");
  EXPECT_EQ(code(push(state(5, "b"))), "409 older_state");
  EXPECT_EQ(code(push(state(6, "b", "l-2"))), "409 other_lineage");
  EXPECT_EQ(code(push("{}")), "422 not_a_state");
  EXPECT_EQ(code(push("not json")), "422 not_a_state");
  EXPECT_EQ(read(push(state(6, "b")))["serial"], 6);
  EXPECT_EQ(read(push(state(2, "c"), "?force=true"))["serial"], 7);
}

TEST_F(StatesApi, ARollbackWritesOldContentAsTheNextSerial) {
  push(state(1, "old"));
  push(state(2, "new"));
  const json version = read(post("/states/shop/rollback", {{"to", 1}}));
  EXPECT_EQ(version["serial"], 3);
  EXPECT_EQ(version["number"], 3);
  EXPECT_EQ(read(get("/workspaces/shop/outputs"))["url"]["value"], "old");
  EXPECT_EQ(code(post("/states/shop/rollback", {{"to", 9}})), "404 state_not_found");
  EXPECT_EQ(code(post("/states/shop/rollback")), "422 invalid_request");
}

TEST_F(StatesApi, ADiffIsTextAndStartsFromNothing) {
  push(state(1, "old"));
  push(state(2, "new"));
  EXPECT_NE(get("/states/shop/diff?from=1").body.find("output url"), std::string::npos);
  EXPECT_EQ(get("/states/shop/diff?from=1&to=1").body, "");
  EXPECT_NE(get("/states/shop/diff?to=1").body.find("+ output url"), std::string::npos);
  EXPECT_EQ(get("/states/shop/diff").body.find("hunter2"), std::string::npos);
}

TEST_F(StatesApi, NothingIsWrittenUnderAnActiveRun) {
  push(state(1, "a"));
  post("/workspaces/shop/deploy");
  const ClaimedRun run = claim();
  must(await(store_->lock_state({.workspace = WorkspaceName("shop"), .job = ""}, run.fence,
                                {.id = "lock-1",
                                 .info_json = "{\"ID\":\"lock-1\"}",
                                 .run = run.run.id,
                                 .attempt = run.fence.attempt,
                                 .created_at = clock_.now()})));
  EXPECT_EQ(code(push(state(2, "b"))), "409 workspace_busy");
  EXPECT_EQ(code(post("/states/shop/rollback", {{"to", 1}})), "409 workspace_busy");
  EXPECT_EQ(code(ask("DELETE", "/states/shop/lock")), "409 workspace_busy");
  const json released = read(ask("DELETE", "/states/shop/lock?force=true"));
  EXPECT_EQ(released["id"], "lock-1");
  EXPECT_EQ(released["run"], run.run.id.value);
}

TEST_F(StatesApi, UnlockingWhatIsNotLockedSaysSo) {
  EXPECT_EQ(read(ask("DELETE", "/states/shop/lock"))["id"], nullptr);
}

}  // namespace
}  // namespace provisioner::server
