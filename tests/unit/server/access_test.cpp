// Promise: root and the daemon's uid are admin, the group is operator, others are refused; over TCP
// one may look from this machine only (behaviour.md, "API").
#include "server/access.hpp"

#include <gtest/gtest.h>

namespace provisioner::server {
namespace {

const AccessPolicy kPolicy{.daemon_uid = 500, .operator_gid = 77, .socket_path = "/run/p.sock"};

std::string role_of(const http::PeerCredentials& peer) {
  http::Request request;
  request.peer = peer;
  const auto caller = identify(request, kPolicy);
  if (!caller) return fmt::format("{} {}", caller.error().status, caller.error().code);
  return fmt::format("{} {}", static_cast<int>(caller->role), caller->actor);
}

TEST(Access, TheUnixSocketKnowsItsPeer) {
  EXPECT_EQ(role_of({.uid = 0, .gid = 0}), "2 uid:0");
  EXPECT_EQ(role_of({.uid = 500, .gid = 500}), "2 uid:500");
  EXPECT_EQ(role_of({.uid = 1000, .gid = 77}), "1 gid:provisioner uid:1000");
  EXPECT_EQ(role_of({.uid = 1000, .gid = 1000, .groups = {4, 77}}), "1 gid:provisioner uid:1000");
  EXPECT_EQ(role_of({.uid = 1000, .gid = 1000, .groups = {4}}), "403 forbidden");
}

TEST(Access, OverTcpOnlySomebodyOnThisMachineIsServed) {
  struct Case {
    const char* what;
    const char* remote;
    http::Headers headers;
    bool served;
  };
  const Case cases[] = {
      {"loopback", "127.0.0.1", {{"Host", "127.0.0.1:8080"}}, true},
      {"by name", "127.0.0.1", {{"Host", "localhost:8080"}}, true},
      {"IPv6", "::1", {{"Host", "[::1]:8080"}}, true},
      {"no host", "127.0.0.1", {}, true},
      {"another machine", "10.0.0.7", {{"Host", "127.0.0.1"}}, false},
      {"a proxy", "127.0.0.1", {{"Host", "localhost"}, {"X-Forwarded-For", "10.0.0.7"}}, false},
      {"a foreign name that points here", "127.0.0.1", {{"Host", "evil.example"}}, false},
      {"a name that only begins right", "127.0.0.1", {{"Host", "localhost.evil.example"}}, false},
      {"an address that only begins right", "1270.0.0.1", {}, false},
  };
  for (const Case& c : cases) {
    http::Request request;
    request.remote_address = c.remote;
    request.headers = c.headers;
    const auto caller = identify(request, kPolicy);
    EXPECT_EQ(caller.has_value(), c.served) << c.what;
    if (caller) {
      EXPECT_EQ(caller->role, Role::kViewer) << c.what;
    } else {
      EXPECT_EQ(caller.error().status, 401) << c.what;
    }
  }
}

TEST(Access, OverTlsNobodyIsLocal) {
  http::Request request;
  request.remote_address = "127.0.0.1";
  request.is_encrypted = true;
  const auto caller = identify(request, kPolicy);
  ASSERT_FALSE(caller);
  EXPECT_EQ(caller.error().code, "token_required");
}

TEST(Access, ARefusalSaysWhatWouldHelp) {
  const auto over_tcp =
      check_role({.role = Role::kViewer, .actor = "tcp:127.0.0.1"}, Role::kOperator, kPolicy);
  ASSERT_TRUE(over_tcp);
  EXPECT_EQ(over_tcp->status, 401);
  EXPECT_NE(over_tcp->detail.find("/run/p.sock"), std::string::npos);
  EXPECT_NE(over_tcp->detail.find("provisioner token create NAME --role operator"),
            std::string::npos);
  const auto local = check_role({.role = Role::kOperator, .actor = "uid:7"}, Role::kAdmin, kPolicy);
  ASSERT_TRUE(local);
  EXPECT_EQ(local->status, 403);
  EXPECT_FALSE(check_role({.role = Role::kAdmin}, Role::kOperator, kPolicy));
}

}  // namespace
}  // namespace provisioner::server
