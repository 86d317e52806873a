#include "server/body.hpp"

#include <gtest/gtest.h>

namespace provisioner::server {
namespace {

constexpr std::string_view kFields[] = {"mode", "queue", "to"};

std::expected<CommandBody, Problem> parse(std::string body, std::string type = "") {
  http::Request request{.method = "POST", .body = std::move(body)};
  if (!type.empty()) request.headers["Content-Type"] = std::move(type);
  return CommandBody::parse(request, kFields);
}

TEST(CommandBody, NothingIsAllDefaults) {
  for (const char* text : {"", "  \n", "{}", R"({"mode": null})"}) {
    const auto body = parse(text);
    ASSERT_TRUE(body) << text;
    EXPECT_EQ(body->text("mode"), "");
    EXPECT_EQ(body->flag("queue"), false);
    EXPECT_EQ(body->integer("to"), std::nullopt);
  }
}

TEST(CommandBody, ReadsEachType) {
  const auto body =
      parse(R"({"mode": "busy", "queue": true, "to": 3})", "application/json; charset=utf-8");
  ASSERT_TRUE(body);
  EXPECT_EQ(body->text("mode"), "busy");
  EXPECT_EQ(body->flag("queue"), true);
  EXPECT_EQ(body->integer("to"), 3);
  EXPECT_EQ(body->flag("mode").error().status, 422);
  EXPECT_EQ(body->text("to").error().detail, "to: expected text");
  EXPECT_EQ(body->integer("queue").error().status, 422);
}

TEST(CommandBody, RefusesTheRestWithAReason) {
  struct Case {
    std::string body;
    std::string type;
    int status;
    const char* reason;
  };
  const Case cases[] = {
      {"{", "", 400, "no JSON object"},
      {"[]", "", 400, "no JSON object"},
      {"\xff", "", 400, "no JSON object"},
      {std::string(60'000, '['), "", 400, "no JSON object"},
      {"mode=x", "application/x-www-form-urlencoded", 415, "expected application/json"},
      {R"({"qeue": "x"})", "", 422, "did you mean \"queue\"?"},
      {R"({"other": 1})", "", 422, "unknown field \"other\""},
      {R"({"mode": {}})", "", 422, "mode: expected"},
      {R"({"to": 1.5})", "", 422, "to: expected"},
      {R"({"to": 18446744073709551615})", "", 422, "to: expected"},
      {std::string(kMostCommandBytes + 1, ' '), "", 413, "longer than"},
  };
  for (const Case& c : cases) {
    const auto body = parse(c.body, c.type);
    ASSERT_FALSE(body) << c.body.substr(0, 40);
    EXPECT_EQ(body.error().status, c.status) << c.body.substr(0, 40);
    EXPECT_NE(body.error().detail.find(c.reason), std::string::npos) << body.error().detail;
  }
}

}  // namespace
}  // namespace provisioner::server
