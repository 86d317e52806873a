// Promises: a token may do what its role and its scope say and nothing else; expiry and revocation
// count at once; its secret is shown once and is nowhere afterwards (behaviour.md, "API").
#include <sqlite3.h>

#include <fstream>
#include <sstream>

#include "api_fixture.hpp"
#include "base/text.hpp"
#include "server/token.hpp"

namespace provisioner::server {
namespace {

class Tokens : public ApiTest {
 protected:
  // A path of the route, about things that need not exist.
  static std::string path_of(const Route& route, const std::string& workspace) {
    std::string path;
    for (const auto piece : split(route.pattern, '/')) {
      if (piece.empty()) continue;
      path += '/';
      path += piece == "{workspace}"   ? workspace
              : piece == "{version}"   ? "current"
              : piece.starts_with("{") ? "none"
                                       : std::string(piece);
    }
    return path.substr(std::string("/api/v1").size());
  }
  // A stream of events has no end, so only its head is asked for.
  http::Response visit(const std::string& token, const Route& route,
                       const std::string& workspace = "shop") {
    const bool endless = route.pattern == "/api/v1/events";
    return ask_with(token, endless ? "HEAD" : std::string(route.method), path_of(route, workspace));
  }
  static std::string described(const Route& route) {
    return fmt::format("{} {}", route.method, route.pattern);
  }
  std::vector<std::string> names_in(const http::Response& page, const char* field) {
    std::vector<std::string> names;
    for (const auto& item : read(page)["items"]) names.push_back(item[field]);
    return names;
  }
  std::vector<std::string> audited() {
    sqlite3* db = nullptr;
    EXPECT_EQ(sqlite3_open_v2((directory_ / "provisioner.db").c_str(), &db, SQLITE_OPEN_READONLY,
                              nullptr),
              SQLITE_OK);
    std::vector<std::string> rows;
    sqlite3_exec(
        db, "SELECT actor, action, target, outcome FROM audit_events ORDER BY seq",
        [](void* out, int, char** columns, char**) {
          static_cast<std::vector<std::string>*>(out)->push_back(
              fmt::format("{} {} {} {}", columns[0], columns[1], columns[2], columns[3]));
          return 0;
        },
        &rows, nullptr);
    sqlite3_close(db);
    return rows;
  }
};

TEST_F(Tokens, EachRoleReachesItsRoutesAndNoOthers) {
  given_workspace("shop");
  for (const Role role : {Role::kViewer, Role::kOperator, Role::kAdmin}) {
    const std::string name(to_string(role));
    const std::string token = given_token(name, name);
    for (const Route& route : route_table()) {
      const http::Response answer = visit(token, route);
      const bool refused = answer.status == 403;
      EXPECT_EQ(refused, role < route.role) << name << " " << described(route) << answer.body;
      EXPECT_NE(answer.status, 401) << name << " " << described(route);
      if (refused) {
        EXPECT_EQ(read(answer)["code"], "forbidden");
        EXPECT_NE(answer.body.find("token:" + name + " is " + name), std::string::npos);
      }
    }
  }
}

TEST_F(Tokens, AScopedOneReachesItsWorkspacesAndNothingThatConcernsAll) {
  given_workspace("shop");
  given_workspace("other");
  const std::string token = given_token("team", "admin", "sh*,web");
  for (const Route& route : route_table()) {
    const http::Response inside = visit(token, route, "shop");
    const bool whole_instance = route.reach == Reach::kEverything;
    EXPECT_EQ(inside.status == 403, whole_instance) << described(route) << inside.body;
    const bool names_workspace = route.pattern.contains("{workspace}");
    const http::Response outside = visit(token, route, "other");
    EXPECT_EQ(outside.status == 403, whole_instance || names_workspace) << described(route);
    if (outside.status == 403) EXPECT_EQ(read(outside)["code"], "out_of_scope");
    EXPECT_EQ(visit(token, route, "no-such").status, outside.status)
        << "whether it exists is not told: " << described(route);
  }
}

TEST_F(Tokens, AScopedOneSeesItsPartOfEveryList) {
  for (const char* name : {"shop", "other"}) {
    given_workspace(name, {{"deploy_schedule", "0 8 * * *"}});
    EXPECT_EQ(post(std::string("/workspaces/") + name + "/deploy").status, 202);
  }
  const std::string other_run = read(get("/runs?workspace=other"))["items"][0]["id"];
  const std::string token = given_token("team", "operator", "shop");
  EXPECT_EQ(names_in(ask_with(token, "GET", "/workspaces"), "name"),
            std::vector<std::string>{"shop"});
  EXPECT_EQ(names_in(ask_with(token, "GET", "/runs?limit=1"), "workspace"),
            std::vector<std::string>{"shop"});
  EXPECT_EQ(code(ask_with(token, "GET", "/runs?workspace=other")), "403 out_of_scope");
  EXPECT_EQ(code(ask_with(token, "GET", "/occurrences?workspace=other")), "403 out_of_scope");
  for (const char* way : {"", "/log"}) {
    EXPECT_EQ(code(ask_with(token, "GET", "/runs/" + other_run + way)), "404 run_not_found");
  }
  EXPECT_EQ(code(ask_with(token, "POST", "/runs/" + other_run + "/cancel")), "404 run_not_found");
}

TEST_F(Tokens, AScopedOneSeesItsPartOfTheLedgerPageByPage) {
  const LeaderFence leader = [&] {
    const Leadership seen = must(await(store_->leadership()));
    return must(await(store_->claim_term(seen.fence, random_.claim_id(), InstanceId("host-1"),
                                         clock_.now())))
        .fence;
  }();
  const Instant start = clock_.now() - 20h;
  for (const char* name : {"shop", "other"}) {
    given_workspace(name);
    const auto cursor = must(await(store_->view({.workspace = WorkspaceName(name)}))).cursor;
    PlanCommit plan{.workspace = WorkspaceName(name),
                    .config_version = cursor.config_version,
                    .new_cursor = start + 10h};
    for (int i = 0; i < 10; ++i) {
      plan.occurrences.push_back({.workspace = WorkspaceName(name),
                                  .schedule = "deploy_schedule",
                                  .at = start + i * 1h,
                                  .until = start + i * 1h,
                                  .local_time = "then",
                                  .outcome = Outcome::kNoChange});
    }
    must(await(store_->commit_plan(leader, plan, clock_.now())));
  }
  const std::string token = given_token("team", "viewer", "shop");
  std::set<std::string> instants;
  std::string cursor;
  int pages = 0;
  do {
    const auto page = read(ask_with(token, "GET", "/occurrences?limit=3" + cursor));
    for (const auto& item : page["items"]) {
      EXPECT_EQ(item["workspace"], "shop");
      EXPECT_TRUE(instants.insert(item["at"]).second) << "twice";
    }
    cursor =
        page["next_cursor"].is_null() ? "" : "&cursor=" + page["next_cursor"].get<std::string>();
    ASSERT_LT(++pages, 10);
  } while (!cursor.empty());
  EXPECT_EQ(instants.size(), 10u);
}

TEST_F(Tokens, EventsOfOtherWorkspacesDoNotReachAScopedOne) {
  given_workspace("shop");
  given_workspace("other");
  const std::string token = given_token("team", "viewer", "shop");
  std::vector<std::string> seen;
  http::EventStreamParser parser;
  const auto hold = [](Store& store, Instant now) -> Task<> {
    for (const char* name : {"other", "shop"}) {
      Workspace row = must(co_await store.workspace(WorkspaceName(name)));
      row.held = true;
      must(co_await store.update_workspace(row, now));
    }
  };
  const auto ended = await(tcp_client_->stream(
      {.target = "/api/v1/events", .headers = {{"Authorization", "Bearer " + token}}}, 20s,
      [&](std::string_view chunk) {
        return parser.feed(chunk, [&](auto name, auto, auto data) {
          if (name == "hello") {
            boost::asio::co_spawn(loop_, hold(*store_, clock_.now()), boost::asio::detached);
            return true;
          }
          seen.push_back(json::parse(data)["name"]);
          return seen.back() != "shop";
        });
      }));
  must(ended);
  EXPECT_EQ(seen, std::vector<std::string>{"shop"});
}

TEST_F(Tokens, ARevokedOneIsRefusedAtOnceWhoeverRevokedIt) {
  const std::string token = given_token("ci", "viewer");
  EXPECT_EQ(ask_with(token, "GET", "/workspaces").status, 200);
  const TokenId id(read(get("/tokens"))["items"][0]["id"].get<std::string>());
  must(await(store_->revoke_token(id, "uid:0", clock_.now())));  // as another instance would
  const http::Response refused = ask_with(token, "GET", "/workspaces");
  EXPECT_EQ(code(refused), "401 token_revoked");
  EXPECT_NE(refused.body.find("token ci was revoked at 20"), std::string::npos);
  EXPECT_EQ(refused.headers.find("WWW-Authenticate")->second, "Bearer");
}

TEST_F(Tokens, AStreamEndsSoonAfterItsTokenIsRevoked) {
  given_workspace("shop");
  const std::string token = given_token("ci", "viewer");
  bool ended = false;
  const auto revoke_and_go_on = [&]() -> Task<> {
    const auto tokens = must(co_await store_->tokens());
    must(co_await store_->revoke_token(tokens[0].id, "uid:0", clock_.now()));
    while (!ended) {
      Workspace row = must(co_await store_->workspace(WorkspaceName("shop")));
      row.held = !row.held;
      must(co_await store_->update_workspace(row, clock_.now()));
      co_await clock_.sleep_for(50ms);
    }
  };
  http::EventStreamParser parser;
  const auto stream = await(tcp_client_->stream(
      {.target = "/api/v1/events", .headers = {{"Authorization", "Bearer " + token}}}, 20s,
      [&](std::string_view chunk) {
        return parser.feed(chunk, [&](auto name, auto, auto) {
          if (name == "hello") {
            boost::asio::co_spawn(loop_, revoke_and_go_on(), boost::asio::detached);
          }
          return true;
        });
      }));
  ended = true;
  EXPECT_TRUE(stream) << "ended by the server";
  loop_.restart();
  loop_.run_for(100ms);
}

TEST_F(Tokens, AnExpiredOneIsRefusedFromThatInstantOn) {
  const std::string secret = make_token(random_);
  must(await(store_->insert_token({.id = make_token_id(random_),
                                   .name = "old",
                                   .hash = hash_token(secret),
                                   .role = Role::kAdmin,
                                   .created_by = "uid:0",
                                   .created_at = clock_.now() - 2h,
                                   .expires_at = clock_.now()})));
  EXPECT_EQ(code(ask_with(secret, "GET", "/workspaces")), "401 token_expired");
  EXPECT_EQ(read(get("/tokens"))["items"][0]["status"], "expired");
}

TEST_F(Tokens, WhatIsNoTokenOfOursIsRefusedWithTheReason) {
  const std::string unknown = make_token(random_);
  EXPECT_EQ(code(ask_with(unknown, "GET", "/workspaces")), "401 token_invalid");
  const http::Response half = ask_with(unknown.substr(0, 20), "GET", "/workspaces");
  EXPECT_EQ(code(half), "401 token_invalid");
  EXPECT_NE(half.body.find("not a whole one"), std::string::npos);
  const http::Response basic =
      over_tcp("GET", "/api/v1/workspaces", {{"Authorization", "Basic eDp5"}});
  EXPECT_EQ(code(basic), "401 token_invalid");
  const std::string good = given_token("ci", "viewer");
  EXPECT_EQ(over_tcp("GET", "/api/v1/workspaces", {{"Authorization", "bearer  " + good}}).status,
            200)
      << "the scheme's case does not count";
}

TEST_F(Tokens, WorksFromBeyondThisMachineWhereNobodyWithoutOneMayLook) {
  const std::string token = given_token("ci", "viewer");
  const http::Headers elsewhere = {{"Host", "provisioner.example"},
                                   {"X-Forwarded-For", "10.0.0.7"}};
  EXPECT_EQ(code(over_tcp("GET", "/api/v1/workspaces", elsewhere)), "401 token_required");
  EXPECT_EQ(ask_with(token, "GET", "/workspaces", "", elsewhere).status, 200);
}

TEST_F(Tokens, AStateLeavesUnmaskedOnlyWhereNobodyReadsAlong) {
  given_workspace("shop");
  EXPECT_EQ(ask("PUT", "/states/shop", state(1, "x")).status, 200);
  const std::string token = given_token("root", "admin");
  const http::Headers forwarded = {{"X-Forwarded-For", "10.0.0.7"}};
  for (const char* path : {"/states/shop/current?raw=true", "/backend/shop"}) {
    EXPECT_EQ(code(ask_with(token, "GET", path, "", forwarded)), "403 forbidden") << path;
    EXPECT_EQ(ask_with(token, "GET", path).status, 200) << path << " on this machine";
  }
}

TEST_F(Tokens, TheSecretIsShownOnceAndIsNowhereElse) {
  given_workspace("shop");
  const std::string token = given_token("ci", "operator");
  ask_with(token, "POST", "/workspaces/shop/deploy");
  ask_with(token, "DELETE", "/tokens/ci");
  ask_with(token.substr(0, 30), "GET", "/workspaces");
  EXPECT_EQ(get("/tokens").body.find(token.substr(4, 20)), std::string::npos);
  EXPECT_EQ(get("/runs").body.find(token.substr(4, 20)), std::string::npos);
  EXPECT_EQ(log_->text.find(token.substr(4, 20)), std::string::npos);
  std::stringstream stored;
  for (const char* file : {"provisioner.db", "provisioner.db-wal"}) {
    stored << std::ifstream(directory_ / file, std::ios::binary).rdbuf();
  }
  EXPECT_NE(stored.str().find("token:ci"), std::string::npos) << "or this looks in the wrong place";
  EXPECT_EQ(stored.str().find(token.substr(4, 20)), std::string::npos);
}

TEST_F(Tokens, WhatTheyDoIsAuditedUnderTheirName) {
  given_workspace("shop");
  const std::string ci = given_token("ci", "operator", "shop");
  ask_with(ci, "GET", "/workspaces");
  ask_with(ci, "POST", "/workspaces/shop/deploy");
  ask_with(ci, "POST", "/workspaces/other/deploy");
  ask_with(ci, "DELETE", "/workspaces/shop");
  EXPECT_EQ(ask("DELETE", "/tokens/ci").status, 200);
  ask_with(ci, "POST", "/workspaces/shop/deploy");
  const std::string me = fmt::format("uid:{}", ::geteuid());
  const auto rows = audited();
  ASSERT_EQ(rows.size(), 6u);
  EXPECT_EQ(rows[0], me + " token.create ci accepted");
  EXPECT_EQ(rows[1], "token:ci workspace.deploy shop accepted");
  EXPECT_EQ(rows[2],
            "token:ci workspace.deploy other refused: token:ci is for the workspaces shop, not for "
            "other");
  EXPECT_EQ(rows[3],
            "token:ci workspace.remove shop refused: token:ci is operator, and this is for admin");
  EXPECT_EQ(rows[4], me + " token.revoke ci accepted");
  EXPECT_TRUE(
      rows[5].starts_with("tcp:127.0.0.1 workspace.deploy shop refused: token ci was "
                          "revoked"))
      << rows[5];
}

TEST_F(Tokens, AreMadeListedAndRevoked) {
  const auto made =
      post("/tokens/ci", {{"role", "viewer"}, {"workspaces", "shop, web-*"}, {"expires", "30d"}});
  ASSERT_EQ(made.status, 201);
  EXPECT_EQ(made.headers.find("Cache-Control")->second, "no-store");
  EXPECT_EQ(code(post("/tokens/ci", {{"role", "viewer"}})), "409 token_exists");
  const auto listed = read(get("/tokens"))["items"][0];
  EXPECT_EQ(listed["workspaces"], json({"shop", "web-*"}));
  EXPECT_EQ(listed["status"], "active");
  EXPECT_EQ(listed["created_by"], fmt::format("uid:{}", ::geteuid()));
  EXPECT_TRUE(listed["last_used_at"].is_null());
  ask_with(read(made)["token"], "GET", "/workspaces");
  EXPECT_TRUE(read(get("/tokens"))["items"][0]["last_used_at"].is_string());
  const auto revoked = ask("DELETE", "/tokens/" + listed["id"].get<std::string>());
  EXPECT_EQ(read(revoked)["status"], "revoked");
  EXPECT_EQ(code(ask("DELETE", "/tokens/ci")), "404 token_not_found");
  EXPECT_EQ(post("/tokens/ci", {{"role", "admin"}, {"expires", "never"}}).status, 201)
      << "the name is free again";
  EXPECT_TRUE(read(get("/tokens"))["items"][0]["expires_at"].is_null());
}

TEST_F(Tokens, WhatIsWrongWithANewOneIsSaid) {
  const std::pair<json, const char*> cases[] = {
      {json::object(), "role: "},
      {{{"role", "root"}}, "viewer, operator or admin"},
      {{{"role", "viewer"}, {"workspaces", "a/b"}}, "workspaces: "},
      {{{"role", "viewer"}, {"expires", "soon"}}, "expires: "},
      {{{"role", "viewer"}, {"expires", "2020-01-01T00:00:00Z"}}, "not in the future"},
      {{{"role", "viewer"}, {"workspace", "a"}}, "did you mean \"workspaces\""}};
  for (const auto& [body, text] : cases) {
    const auto refused = post("/tokens/ci", body);
    EXPECT_EQ(refused.status, 422) << body;
    EXPECT_NE(read(refused)["detail"].get<std::string>().find(text), std::string::npos)
        << refused.body;
  }
  EXPECT_EQ(code(post("/tokens/a%20b", {{"role", "viewer"}})), "422 invalid_request");
}

TEST_F(Tokens, WhoAsksTooOftenHasToWaitAndNobodyElse) {
  Gate gate(*store_, clock_, {.daemon_uid = 500, .socket_path = socket_},
            {.caller_per_second = 0.001, .total_per_second = 10'000});
  const auto seen = [&](const std::string& token, std::optional<http::PeerCredentials> peer = {}) {
    http::Request request;
    request.remote_address = "127.0.0.1";
    request.peer = std::move(peer);
    if (!token.empty()) request.headers["Authorization"] = "Bearer " + token;
    const auto caller = await(gate.admit(request));
    return caller ? caller->actor : fmt::format("{}", caller.error().problem.status);
  };
  const std::string eager = given_token("eager", "viewer");
  const std::string calm = given_token("calm", "viewer");
  EXPECT_EQ(seen(eager), "token:eager");
  for (int i = 0; i < 3; ++i) EXPECT_EQ(seen(eager), "429");
  EXPECT_EQ(seen(calm), "token:calm");
  for (int i = 0; i < 100; ++i) EXPECT_EQ(seen("", http::PeerCredentials{.uid = 500}), "uid:500");
}

TEST_F(Tokens, WhoGuessesHasToWaitAndDoesNotFillTheAudit) {
  const std::string good = given_token("ci", "viewer");
  EXPECT_EQ(ask_with(good, "GET", "/workspaces").status, 200);
  int refused = 0;
  http::Response last;
  for (int i = 0; i < 60; ++i) {
    last = ask_with(make_token(random_), "GET", "/workspaces");
    if (last.status == 401) ++refused;
  }
  EXPECT_EQ(code(last), "429 too_many_requests");
  EXPECT_EQ(last.headers.find("Retry-After")->second, "1");
  EXPECT_LT(refused, 50);
  EXPECT_LE(audited().size(), static_cast<std::size_t>(refused) + 1);
  EXPECT_EQ(ask_with(good, "GET", "/workspaces").status, 200) << "who is known is not kept waiting";
}

}  // namespace
}  // namespace provisioner::server
