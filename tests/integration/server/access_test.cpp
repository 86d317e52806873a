#include <sqlite3.h>

#include "api_fixture.hpp"

namespace provisioner::server {
namespace {

using Access = ApiTest;

TEST_F(Access, ProbesAnswerEverybody) {
  EXPECT_EQ(over_tcp("GET", "/health").status, 200);
  EXPECT_EQ(over_tcp("GET", "/health/live").status, 200);
  EXPECT_EQ(over_tcp("GET", "/ready", {{"X-Forwarded-For", "10.0.0.1"}}).status, 200);
  EXPECT_EQ(over_tcp("GET", "/leader").status, 200);
  leader_.leads = false;
  readiness_ = {.ready = false, .reason = "the store is away"};
  EXPECT_EQ(over_tcp("GET", "/leader").status, 503);
  const http::Response not_ready = over_tcp("GET", "/health/ready");
  EXPECT_EQ(not_ready.status, 503);
  EXPECT_EQ(read(not_ready)["reason"], "the store is away");
}

TEST_F(Access, OverTcpOneMayLookFromThisMachineOnly) {
  given_workspace("shop");
  EXPECT_EQ(over_tcp("GET", "/api/v1/workspaces/shop").status, 200);
  EXPECT_EQ(over_tcp("GET", "/api/v1/workspaces", {{"Host", "evil.example"}}).status, 401);
  for (const auto& [method, path] : {std::pair{"POST", "/api/v1/workspaces/shop/deploy"},
                                     {"DELETE", "/api/v1/workspaces/shop"},
                                     {"PUT", "/api/v1/states/shop"},
                                     {"POST", "/api/v1/reload"}}) {
    const http::Response refused = over_tcp(method, path);
    EXPECT_EQ(code(refused), "401 token_required") << path;
    EXPECT_NE(refused.body.find(socket_), std::string::npos) << "says what to do instead";
  }
  EXPECT_EQ(read(get("/runs"))["items"], json::array()) << "nothing was done";
}

TEST_F(Access, TheRunnersProtocolIsReachedOverTheUnixSocketOnly) {
  const auto local =
      must(await(client_->send({.method = "POST", .target = "/runner/v1/register"}, 60s)));
  EXPECT_EQ(local.body, "runner /runner/v1/register");
  EXPECT_EQ(over_tcp("POST", "/runner/v1/register").status, 404);
}

TEST_F(Access, CommandsAndRefusalsAreAudited) {
  given_workspace("shop");
  get("/workspaces");
  post("/workspaces/shop/deploy");
  post("/workspaces/shop/deploy");
  over_tcp("POST", "/api/v1/workspaces/shop/hold");
  sqlite3* db = nullptr;
  ASSERT_EQ(
      sqlite3_open_v2((directory_ / "provisioner.db").c_str(), &db, SQLITE_OPEN_READONLY, nullptr),
      SQLITE_OK);
  std::vector<std::string> rows;
  sqlite3_exec(
      db, "SELECT actor, action, target, substr(outcome, 1, 16) FROM audit_events ORDER BY rowid",
      [](void* out, int, char** columns, char**) {
        static_cast<std::vector<std::string>*>(out)->push_back(
            fmt::format("{} {} {} {}", columns[0], columns[1], columns[2], columns[3]));
        return 0;
      },
      &rows, nullptr);
  sqlite3_close(db);
  const std::string me = fmt::format("uid:{}", ::geteuid());
  EXPECT_EQ(rows, (std::vector<std::string>{me + " workspace.deploy shop accepted",
                                            me + " workspace.deploy shop refused: workspa",
                                            "tcp:127.0.0.1 workspace.hold shop refused: over TC"}));
}

TEST_F(Access, ShowsTheClusterAndItsLeader) {
  const Leadership seen = must(await(store_->leadership()));
  must(await(
      store_->claim_term(seen.fence, random_.claim_id(), InstanceId("host-1"), clock_.now())));
  must(await(store_->enter_instance({.id = InstanceId("host-1"),
                                     .incarnation = Incarnation("i"),
                                     .version = "1.2.3",
                                     .started_at = clock_.now(),
                                     .last_seen = clock_.now()})));
  given_workspace("shop");
  post("/workspaces/shop/deploy");
  claim();
  const json cluster = read(get("/cluster"));
  EXPECT_EQ(cluster["leader"], "host-1");
  EXPECT_EQ(cluster["term"], 1);
  EXPECT_EQ(cluster["instances"][0]["role"], "leader");
  EXPECT_EQ(cluster["instances"][0]["running"], 1);
  EXPECT_EQ(read(get("/leadership"))["leads"], true);
  problems_["bad name"] = "workspaces/bad name: rename it";
  EXPECT_EQ(read(post("/reload"))["items"][0]["folder"], "bad name");
}

}  // namespace
}  // namespace provisioner::server
