// Promise: the API is what docs/openapi.json says, no more and no less.
#include "server/routes.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

namespace provisioner::server {
namespace {

std::string found(std::string_view method, std::string_view target) {
  const auto match = find_route(method, target);
  if (!match) return fmt::format("{} {}", match.error().status, match.error().detail);
  std::string text = fmt::format("{} {}", match->route->method, match->route->pattern);
  for (const auto& param : match->params) text += " " + param;
  return text;
}

TEST(Routes, AreFoundByMethodAndPath) {
  EXPECT_EQ(found("GET", "/api/v1/workspaces"), "GET /api/v1/workspaces");
  EXPECT_EQ(found("HEAD", "/api/v1/workspaces?x=/y"), "GET /api/v1/workspaces");
  EXPECT_EQ(found("POST", "/api/v1/workspaces/a%20b/deploy"),
            "POST /api/v1/workspaces/{workspace}/deploy a b");
  EXPECT_EQ(found("GET", "/api/v1/workspaces/a%2Fdeploy"),
            "GET /api/v1/workspaces/{workspace} a/deploy");
  EXPECT_EQ(found("GET", "/api/v1/states/shop/diff"), "GET /api/v1/states/{workspace}/diff shop");
  EXPECT_EQ(found("GET", "/api/v1/states/shop/7"),
            "GET /api/v1/states/{workspace}/{version} shop 7");
  EXPECT_EQ(found("DELETE", "/api/v1/states/shop/lock"),
            "DELETE /api/v1/states/{workspace}/lock shop");
}

TEST(Routes, SayWhatIsPossibleInstead) {
  EXPECT_EQ(found("GET", "/api/v1/workspaces/a/deploy"), "405 GET is not possible here, only POST");
  EXPECT_EQ(found("PATCH", "/api/v1/workspaces/a"),
            "405 PATCH is not possible here, only GET and DELETE");
  for (const char* path : {"/api/v1/", "/api/v2/workspaces", "/api/v1/workspaces/",
                           "/api/v1/workspaces//deploy", "/api/v1/workspaces/a/b/c"}) {
    EXPECT_TRUE(found("GET", path).starts_with("404")) << path;
  }
}

TEST(Routes, AreThoseOfTheDescriptionWithTheirRoles) {
  std::ifstream file(PROVISIONER_SOURCE_DIR "/docs/openapi.json");
  const auto description = nlohmann::json::parse(file);
  EXPECT_EQ(description["openapi"], "3.1.0");
  std::set<std::string> described;
  for (const auto& [path, operations] : description["paths"].items()) {
    if (!path.starts_with("/api/")) continue;
    for (const auto& [method, operation] : operations.items()) {
      std::string upper;
      for (const char c : method) upper += static_cast<char>(c - 'a' + 'A');
      described.insert(upper + " " + path + " " + operation["x-role"].get<std::string>());
    }
  }
  std::set<std::string> served;
  for (const Route& route : route_table()) {
    const char* role = route.role == Role::kViewer     ? "viewer"
                       : route.role == Role::kOperator ? "operator"
                                                       : "admin";
    served.insert(fmt::format("{} {} {}", route.method, route.pattern, role));
  }
  EXPECT_EQ(described, served);
}

TEST(Routes, EveryCommandIsAuditedAndNoLookIsACommand) {
  for (const Route& route : route_table()) {
    EXPECT_EQ(route.action.empty(), route.method == "GET") << route.pattern;
    if (route.method != "GET") EXPECT_NE(route.role, Role::kViewer) << route.pattern;
  }
}

}  // namespace
}  // namespace provisioner::server
