// Templates over the API, from real repositories (behaviour.md, "template").
#include <gmock/gmock.h>

#include "api_fixture.hpp"
#include "tests/support/git_repository.hpp"

namespace provisioner::server {
namespace {

using provisioner::testing::GitRepository;
using ::testing::HasSubstr;
using ::testing::Not;

class TemplatesTest : public ApiTest {
 protected:
  TemplatesTest() {
    repository_.write("web/main.tf", "resource \"terraform_data\" \"web\" {}\n");
    repository_.commit();
  }
  http::Response add(const json& more = json::object()) {
    json body = {{"url", repository_.url()}, {"path", "web"}};
    body.update(more);
    return post("/templates/web", body);
  }
  json shown() { return json::parse(get("/templates/web").body); }
  void use_it(const std::string& workspace) { given_workspace(workspace, {{"template", "web"}}); }

  GitRepository repository_;
};

TEST_F(TemplatesTest, ATemplateIsAddedShownAndListed) {
  const auto added = add({{"ref", "main"}, {"description", "the web"}});
  ASSERT_EQ(added.status, 201) << added.body;
  const json row = json::parse(added.body);
  EXPECT_EQ(row["source_url"], repository_.url());
  EXPECT_EQ(row["source_path"], "web");
  EXPECT_EQ(row["source_ref"], "main");
  EXPECT_EQ(row["commit"], repository_.git({"rev-parse", "HEAD"}));
  EXPECT_EQ(row["description"], "the web");
  EXPECT_EQ(shown(), row);
  EXPECT_EQ(json::parse(get("/templates").body)["items"], json::array({row}));
  EXPECT_TRUE(await(store_->bundle(BundleHash(row["content_hash"].get<std::string>()))));
  const auto again = add();
  EXPECT_EQ(again.status, 409);
  EXPECT_EQ(json::parse(again.body)["code"], "template_exists");
  EXPECT_EQ(get("/templates/wob").status, 404);
}

TEST_F(TemplatesTest, AnUpdateTakesWhatTheRefNamesNow) {
  const json before = json::parse(add().body);
  const auto same = post("/templates/web/update");
  EXPECT_EQ(json::parse(same.body)["content_changed"], false) << same.body;
  EXPECT_EQ(shown(), before);
  repository_.write("web/main.tf", "# other\n");
  const std::string commit = repository_.commit();
  const json after = json::parse(post("/templates/web/update").body);
  EXPECT_EQ(after["content_changed"], true);
  EXPECT_EQ(after["commit"], commit);
  EXPECT_NE(after["content_hash"], before["content_hash"]);
  EXPECT_EQ(after["version"], 2);
}

TEST_F(TemplatesTest, ASourceIsChangedByNamingAnother) {
  repository_.git({"tag", "v1"});
  repository_.write("web/main.tf", "# other\n");
  repository_.commit();
  const json before = json::parse(add().body);
  const auto changed =
      ask("PATCH", "/templates/web", json({{"ref", "v1"}, {"description", "pinned"}}).dump());
  ASSERT_EQ(changed.status, 200) << changed.body;
  const json after = json::parse(changed.body);
  EXPECT_EQ(after["source_ref"], "v1");
  EXPECT_EQ(after["source_path"], "web");
  EXPECT_EQ(after["description"], "pinned");
  EXPECT_EQ(after["content_changed"], true);
  const auto wrong = ask("PATCH", "/templates/web", json({{"path", "wob"}}).dump());
  EXPECT_EQ(wrong.status, 422);
  EXPECT_EQ(json::parse(wrong.body)["code"], "source_refused");
  EXPECT_EQ(shown()["source_path"], "web") << "a refusal changes nothing";
}

TEST_F(TemplatesTest, AnUnreachableSourceIsAClearErrorAndChangesNothing) {
  const json before = json::parse(add().body);
  const auto gone =
      ask("PATCH", "/templates/web", json({{"url", "https://127.0.0.1:1/infra"}}).dump());
  EXPECT_EQ(gone.status, 502) << gone.body;
  EXPECT_EQ(json::parse(gone.body)["code"], "source_unreachable");
  EXPECT_THAT(json::parse(gone.body)["detail"].get<std::string>(),
              HasSubstr("https://127.0.0.1:1/infra"));
  EXPECT_EQ(shown(), before);
}

TEST_F(TemplatesTest, AHostThatFailsAgainAndAgainIsLeftAlone) {
  json last;
  for (int i = 0; i < 6; ++i) {
    last = json::parse(post("/templates/t", {{"url", "https://127.0.0.1:1/infra"}}).body);
  }
  EXPECT_EQ(last["code"], "source_unreachable");
  EXPECT_THAT(last["detail"].get<std::string>(), HasSubstr("again and again"));
  ASSERT_EQ(fetcher_.breakers().size(), 1u);
  EXPECT_EQ(fetcher_.breakers()[0].dependency, "templates: 127.0.0.1:1");
  EXPECT_EQ(add().status, 201) << "others are";
}

TEST_F(TemplatesTest, CredentialsInAUrlAreRefusedAndAppearNowhere) {
  const auto refused = post("/templates/t", {{"url", "https://me:hunter2@example.org/x"}});
  EXPECT_EQ(refused.status, 422);
  EXPECT_THAT(refused.body, Not(HasSubstr("hunter2")));
  EXPECT_THAT(refused.body, HasSubstr("holds credentials"));
  EXPECT_THAT(log_->text, Not(HasSubstr("hunter2")));
  for (const auto& event : must(await(store_->audit_events({})))) {
    EXPECT_THAT(event.outcome, Not(HasSubstr("hunter2")));
  }
}

TEST_F(TemplatesTest, ValidationTellsWhatTheSourceHasAndKeepsNothing) {
  const json before = json::parse(add().body);
  const auto verdict = [&] { return json::parse(post("/templates/web/validate").body); };
  EXPECT_EQ(verdict()["valid"], true);
  EXPECT_EQ(verdict()["newer_content"], false);
  repository_.write("web/more.tf", "# more\n");
  repository_.commit();
  EXPECT_EQ(verdict()["newer_content"], true);
  repository_.write("web/more.tf", "resource \"x\" {\n");
  repository_.commit();
  EXPECT_EQ(verdict()["valid"], false);
  EXPECT_THAT(verdict()["problem"].get<std::string>(), HasSubstr("more.tf"));
  EXPECT_EQ(shown(), before);
}

TEST_F(TemplatesTest, ATemplateInUseIsRemovedByForceOnly) {
  add();
  use_it("shop");
  given_workspace("site", {{"jobs",
                            {{{"name", "a"},
                              {"type", "template"},
                              {"template", "web"},
                              {"schedule", "@deployment"}}}}});
  EXPECT_EQ(shown()["used_by"], json::parse(R"([{"workspace": "shop", "job": null, "current": true},
                            {"workspace": "site", "job": "a", "current": true}])"));
  const auto refused = ask("DELETE", "/templates/web");
  EXPECT_EQ(refused.status, 409);
  const json problem = json::parse(refused.body);
  EXPECT_EQ(problem["code"], "template_in_use");
  EXPECT_THAT(problem["detail"].get<std::string>(), HasSubstr("used by shop, site (job a)"));
  EXPECT_EQ(ask("DELETE", "/templates/web?force=true").status, 200);
  EXPECT_EQ(get("/templates/web").status, 404);
}

TEST_F(TemplatesTest, WhatIsNotUsedIsRemovedAtOnce) {
  add();
  EXPECT_EQ(ask("DELETE", "/templates/web").status, 200);
  EXPECT_EQ(ask("DELETE", "/templates/web").status, 404);
}

TEST_F(TemplatesTest, ChangesAreTold) {
  add();
  const auto all = events(
      "/events", [](const Event& event) { return event.name == "template_removed"; },
      [this](Event event) -> Task<> {
        if (event.name == "hello") {
          auto row = must(co_await store_->template_named(TemplateName("web")));
          row.description = "other";
          must(co_await store_->put_template(row));
        }
        if (event.name == "template") {
          must(co_await store_->remove_template(TemplateName("web")));
        }
      });
  ASSERT_GE(all.size(), 3u);
  EXPECT_EQ(json::parse(all[all.size() - 2].data)["description"], "other");
  EXPECT_EQ(all.back().data, "web");
}

TEST_F(TemplatesTest, CommandsAreAudited) {
  add();
  post("/templates/web/update");
  ask("DELETE", "/templates/web");
  std::vector<std::string> actions;
  for (const auto& event : must(await(store_->audit_events({.action_prefix = "template."})))) {
    actions.push_back(event.action + " " + event.target + " " + event.outcome);
  }
  EXPECT_EQ(actions, (std::vector<std::string>{"template.remove web accepted",
                                               "template.update web accepted",
                                               "template.add web accepted"}));
}

}  // namespace
}  // namespace provisioner::server
