// The routes that a person's tofu works with: definition, content, and the state under its lock.
#include "api_fixture.hpp"

namespace provisioner::server {
namespace {

class BackendApi : public ApiTest {
 protected:
  BackendApi() { given_workspace("shop", {{"description", "first"}}); }
  static json lock(const std::string& id) { return {{"ID", id}, {"Who", "ann@desk"}}; }
  http::Response write(const std::string& body, const std::string& id) {
    return ask("POST", "/backend/shop?ID=" + id, body);
  }
};

TEST_F(BackendApi, TheDefinitionIsThatOfTheLastDeployElseTheFolders) {
  json shown = read(get("/workspaces/shop/definition"));
  EXPECT_EQ(shown["deployed"], false);
  EXPECT_EQ(shown["bundle"], "bundle-1");
  EXPECT_NE(shown["config"].get<std::string>().find("first"), std::string::npos);
  given_deployed("shop");
  given_workspace("shop", {{"description", "second"}});
  shown = read(get("/workspaces/shop/definition"));
  EXPECT_EQ(shown["deployed"], true);
  EXPECT_NE(shown["config"].get<std::string>().find("first"), std::string::npos);
  EXPECT_EQ(code(get("/workspaces/absent/definition")), "404 workspace_not_found");
}

TEST_F(BackendApi, TheContentIsThatOfTheDefinitionAndOfNoOther) {
  EXPECT_EQ(get("/workspaces/shop/bundle").body, "content");
  EXPECT_EQ(get("/workspaces/shop/bundle?hash=bundle-1").body, "content");
  EXPECT_EQ(code(get("/workspaces/shop/bundle?hash=bundle-0")), "409 bundle_replaced");
}

TEST_F(BackendApi, AStateIsWrittenUnderItsLockAndByNobodyElse) {
  EXPECT_EQ(get("/backend/shop").status, 204);
  EXPECT_EQ(code(ask("POST", "/backend/shop", state(1, "a"))), "409 not_locked");
  ASSERT_EQ(post("/backend/shop/lock", lock("mine")).status, 200);
  EXPECT_EQ(post("/backend/shop/lock", lock("mine")).status, 200) << "a lost reply";
  const auto held = post("/backend/shop/lock", lock("other"));
  EXPECT_EQ(held.status, 423);
  EXPECT_EQ(read(held), lock("mine"));
  EXPECT_EQ(code(write(state(1, "a"), "other")), "409 state_refused");
  EXPECT_EQ(write(state(1, "a"), "mine").status, 200);
  EXPECT_EQ(get("/backend/shop").body, state(1, "a"));
  EXPECT_EQ(code(write(state(0, "b"), "mine")), "409 state_refused");
  EXPECT_EQ(code(write("{}", "mine")), "400 state_refused");
  EXPECT_EQ(code(post("/backend/shop/unlock", lock("other"))), "409 state_refused");
  EXPECT_EQ(post("/backend/shop/unlock", lock("mine")).status, 200);
  EXPECT_EQ(read(get("/states/shop"))["items"][0]["written_by"],
            fmt::format("uid:{}", ::geteuid()));
}

TEST_F(BackendApi, ABodyThatWasDamagedOnTheWayIsRefused) {
  ASSERT_EQ(post("/backend/shop/lock", lock("mine")).status, 200);
  const auto refused = ask("POST", "/backend/shop?ID=mine", state(1, "a"),
                           {{"Content-MD5", "1B2M2Y8AsgTpgAmY7PhCfg=="}});
  EXPECT_EQ(code(refused), "400 state_refused");
}

TEST_F(BackendApi, AnActiveRunIsInTheWayEvenWhileItHoldsNoLock) {
  ASSERT_EQ(post("/workspaces/shop/deploy").status, 202);
  const AttemptFence fence = claim().fence;
  const auto held = post("/backend/shop/lock", lock("mine"));
  EXPECT_EQ(held.status, 423);
  EXPECT_EQ(read(held)["ID"], fence.run.value);
  finish(fence);
  EXPECT_EQ(post("/backend/shop/lock", lock("mine")).status, 200);
}

TEST_F(BackendApi, ARunsLockIsNotACommandsToRelease) {
  ASSERT_EQ(post("/workspaces/shop/deploy").status, 202);
  const AttemptFence fence = claim().fence;
  must(await(store_->lock_state({WorkspaceName("shop"), ""}, fence,
                                {.id = "theirs",
                                 .info_json = lock("theirs").dump(),
                                 .run = fence.run,
                                 .attempt = fence.attempt,
                                 .created_at = clock_.now()})));
  EXPECT_EQ(code(post("/backend/shop/unlock", lock("theirs"))), "409 state_refused");
  EXPECT_EQ(code(ask("POST", "/backend/shop/unlock")), "409 state_refused") << "force-unlock";
  EXPECT_EQ(read(post("/backend/shop/lock", lock("mine"))), lock("theirs"));
}

TEST_F(BackendApi, NothingOfItIsGivenOverTcp) {
  for (const char* path :
       {"workspaces/shop/definition", "workspaces/shop/bundle", "backend/shop"}) {
    EXPECT_EQ(over_tcp("GET", std::string("/api/v1/") + path).status, 401) << path;
  }
  for (const char* path : {"backend/shop", "backend/shop/lock", "backend/shop/unlock"}) {
    EXPECT_EQ(over_tcp("POST", std::string("/api/v1/") + path).status, 401) << path;
  }
}

}  // namespace
}  // namespace provisioner::server
