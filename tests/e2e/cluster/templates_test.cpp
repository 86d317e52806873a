// Two instances, each with its own copy of the folders, and one template (behaviour.md, "Whose copy
// counts").
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/daemon.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/git_repository.hpp"
#include "tests/support/postgres.hpp"

namespace provisioner::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

class TemplatesOfACluster : public ::testing::Test {
 protected:
  TemplatesOfACluster() : database_(server().take_database()) {
    for (const auto& [installation, name] : {std::pair{&a_, "a"}, {&b_, "b"}}) {
      auto& environment = installation->environment;
      environment["PROVISIONER_CHANGE_SETTLE"] = "200ms";
      environment.merge(server().settings_of(name, database_, server().port()));
      environment["PROVISIONER_SCHEDULER_TIMEZONE"] = "UTC";
    }
    say("one");
  }
  ~TemplatesOfACluster() override {
    for (Installation* installation : {&a_, &b_}) {
      if (installation->has_daemon()) installation->kill_daemon();
    }
    server().give_back_database(database_);
  }

  static PostgresServer& server() { return PostgresServer::shared(); }

  void say(const std::string& word) {
    repository_.write("main.tf", fmt::format("output \"said\" {{\n  value = \"{}\"\n}}\n", word));
    repository_.commit();
  }
  std::string changes_of(const std::string& workspace) const {
    return server()
        .execute("SELECT count(*) FROM config_changes WHERE workspace_name = '" + workspace + "'",
                 database_)
        .front();
  }
  static std::string bundle(const Installation& at, const std::string& workspace) {
    return at.workspace(workspace)["bundle"];
  }
  bool is_current(const Installation& at, const std::string& workspace) const {
    const Json row = at.query({"template", "show", "web"});
    for (const auto& user : row["used_by"]) {
      if (user["workspace"] == workspace) return user["current"];
    }
    return false;
  }

  std::string database_;
  Installation a_, b_;
  GitRepository repository_;
};

TEST_F(TemplatesOfACluster, AnUpdateReachesEveryWorkspaceOnceAndBringsNoOldFolderBack) {
  // Both say the same of `shop`; of `site` b says something newer.
  for (Installation* each : {&a_, &b_}) each->add_workspace("shop", {{"template", "web"}}, "");
  a_.add_workspace("site", {{"template", "web"}, {"description", "old"}}, "");
  a_.start();
  ASSERT_EQ(a_.command({"template", "add", "web", repository_.url()}).code, 0);
  a_.wait_for_status("site", "pending");
  b_.add_workspace("site", {{"template", "web"}, {"description", "new"}}, "");
  b_.start();
  ASSERT_TRUE(eventually(60s, [&] { return a_.workspace("site")["description"] == "new"; }))
      << b_.log();
  const std::string shop = bundle(a_, "shop"), changes = changes_of("shop");

  say("two");
  ASSERT_EQ(b_.command({"template", "update", "web"}).code, 0);
  for (const char* workspace : {"shop", "site"}) {
    ASSERT_TRUE(eventually(60s, [&] { return is_current(a_, workspace); })) << workspace;
  }
  EXPECT_NE(bundle(b_, "shop"), shop);
  EXPECT_EQ(a_.workspace("site")["description"], "new") << "a's folder is the older one";

  // Who starts anew says what everybody knows.
  const std::string site = bundle(a_, "site");
  ASSERT_EQ(a_.stop_daemon(), 0);
  a_.start();
  ASSERT_TRUE(eventually(60s, [&] {
    return a_.command({"template", "update", "web"}).code == 0 && is_current(a_, "shop");
  }));
  EXPECT_EQ(a_.workspace("site")["description"], "new");
  EXPECT_EQ(bundle(a_, "site"), site);
  EXPECT_EQ(std::stol(changes_of("shop")), std::stol(changes) + 1) << "it changed once";
}

TEST_F(TemplatesOfACluster, OneThatWasAwayWhenItChangedTakesNothingBack) {
  for (Installation* each : {&a_, &b_}) {
    each->add_workspace("shop", {{"template", "web"}}, "");
    each->start();
  }
  ASSERT_EQ(a_.command({"template", "add", "web", repository_.url()}).code, 0);
  a_.wait_for_status("shop", "pending");
  ASSERT_EQ(b_.stop_daemon(), 0);
  say("two");
  ASSERT_EQ(a_.command({"template", "update", "web"}).code, 0);
  ASSERT_TRUE(eventually(60s, [&] { return is_current(a_, "shop"); })) << a_.log();
  // Even with news of its folder.
  b_.write("shop", "shop.auto.tfvars", "");
  const std::string before = bundle(a_, "shop");
  b_.start();
  ASSERT_TRUE(eventually(60s, [&] { return bundle(a_, "shop") != before; })) << b_.log();
  EXPECT_TRUE(is_current(b_, "shop"));
}

}  // namespace
}  // namespace provisioner::testing
