// Templates as a user has them: real daemon, git and tofu (behaviour.md, "template").
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/daemon.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/git_repository.hpp"

namespace provisioner::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::Not;

class Templates : public ::testing::Test {
 protected:
  Templates() {
    installation_.environment["PROVISIONER_CHANGE_SETTLE"] = "200ms";
    say("one");
  }

  // The template's output from now on.
  std::string say(const std::string& word) {
    repository_.write("web/main.tf", fmt::format(R"(variable "name" {{
  type    = string
  default = "nobody"
}}
resource "terraform_data" "web" {{
  input = "{0}"
}}
output "said" {{
  value = "{0} ${{var.name}}"
}}
)",
                                                 word));
    return repository_.commit(word);
  }
  Finished run(std::vector<std::string> arguments) const {
    return installation_.command(arguments);
  }
  void add() {
    const auto added = run({"template", "add", "web", repository_.url(), "--path", "web"});
    ASSERT_EQ(added.code, 0) << added.err;
  }
  std::string said(const std::string& workspace) const {
    const auto outputs = run({"workspace", "outputs", workspace, "--output", "json"});
    return outputs.code == 0 ? outputs.out : outputs.err;
  }
  bool comes_to_say(const std::string& workspace, const std::string& word) const {
    return eventually(60s, [&] { return said(workspace).contains(word); });
  }

  Installation installation_;
  GitRepository repository_;
};

TEST_F(Templates, AWorkspaceIsMadeOfItAndFollowsItsUpdates) {
  installation_.add_workspace("shop", {{"template", "web"}, {"variables", {{"name", "shop"}}}}, "");
  installation_.start();
  // Nobody knows the template yet: nothing is lost, and the reason is plain.
  EXPECT_TRUE(eventually(60s, [&] {
    return installation_.log().contains("there is no template web: add it with");
  })) << installation_.log();
  EXPECT_EQ(run({"workspace", "show", "shop"}).code, 3);

  add();
  EXPECT_EQ(installation_.wait_for_status("shop", "pending")["template"], "web");
  ASSERT_EQ(run({"workspace", "deploy", "shop"}).code, 0) << installation_.log();
  EXPECT_THAT(said("shop"), HasSubstr("one shop"));

  say("two");
  const auto updated = run({"template", "update", "--all"});
  EXPECT_EQ(updated.code, 0) << updated.err;
  EXPECT_THAT(updated.out, HasSubstr("used by shop"));
  EXPECT_TRUE(comes_to_say("shop", "two shop")) << installation_.log();
  EXPECT_THAT(run({"template", "update", "web"}).out, HasSubstr("already"));

  // Who comes back later has it from the store, even if the source is gone.
  std::filesystem::remove_all(repository_.path());
  EXPECT_EQ(installation_.stop_daemon(), 0);
  installation_.start();
  installation_.write("shop", "name.auto.tfvars", "");
  ASSERT_EQ(run({"workspace", "deploy", "shop"}).code, 0);
  EXPECT_THAT(said("shop"), HasSubstr("two shop"));
  const auto gone = run({"template", "update", "web"});
  EXPECT_EQ(gone.code, 1) << gone.err;
  EXPECT_THAT(gone.err, HasSubstr(repository_.url()));
}

TEST_F(Templates, ARunThatGoesOnKeepsTheContentItBeganWith) {
  const auto began = installation_.root() / "began", go_on = installation_.root() / "go_on";
  const auto slow = [&](const std::string& word) {
    repository_.write("web/main.tf", fmt::format(R"(resource "terraform_data" "slow" {{
  input = "{0}"
  provisioner "local-exec" {{
    command = "touch {1}; while [ ! -e {2} ]; do sleep 0.05; done; cat said.txt"
  }}
}}
output "said" {{
  value = trimspace(file("${{path.module}}/said.txt"))
}}
)",
                                                 word, began.string(), go_on.string()));
    repository_.write("web/said.txt", word + "\n");
    repository_.commit();
  };
  slow("one");
  installation_.add_workspace("shop", {{"template", "web"}}, "");
  installation_.start();
  add();
  installation_.wait_for_status("shop", "pending");
  const auto started = run({"workspace", "deploy", "shop", "--detach", "--output", "json"});
  ASSERT_EQ(started.code, 0) << started.err;
  const std::string id = Json::parse(started.out)["id"];
  ASSERT_TRUE(eventually(60s, [&] { return std::filesystem::exists(began); }))
      << installation_.log();

  const std::string before = installation_.workspace("shop")["bundle"];
  slow("two");
  ASSERT_EQ(run({"template", "update", "web"}).code, 0);
  ASSERT_TRUE(eventually(60s, [&] { return installation_.workspace("shop")["bundle"] != before; }))
      << installation_.log();
  write_file(go_on, "");
  EXPECT_EQ(installation_.wait_for_end(id)["status"], "succeeded") << installation_.log();
  EXPECT_THAT(run({"run", "logs", id}).out, HasSubstr("one"));
  EXPECT_THAT(run({"run", "logs", id}).out, Not(HasSubstr("two")));
  // Then the change counts, as any other.
  EXPECT_TRUE(comes_to_say("shop", "two") ||
              installation_.workspace("shop")["status"] == "needs_confirmation")
      << installation_.log();
  EXPECT_EQ(installation_.runs("shop").back()["id"], id);
}

TEST_F(Templates, OneInUseIsRemovedByForceAndItsUsersKeepWhatTheyHave) {
  installation_.add_workspace("shop", {{"template", "web"}}, "");
  installation_.start();
  add();
  installation_.wait_for_status("shop", "pending");
  const auto refused = run({"template", "remove", "web", "--yes"});
  EXPECT_EQ(refused.code, 4);
  EXPECT_THAT(refused.err, HasSubstr("used by shop"));
  EXPECT_EQ(run({"template", "remove", "web", "--yes", "--force"}).code, 0);
  EXPECT_EQ(run({"template", "show", "web"}).code, 3);
  ASSERT_EQ(run({"workspace", "deploy", "shop"}).code, 0) << installation_.log();
  EXPECT_THAT(said("shop"), HasSubstr("one nobody"));
}

TEST_F(Templates, TheCommandsSayWhatIsThereAndWhatIsWrong) {
  installation_.start();
  const auto wrong = [&](std::vector<std::string> arguments, int code, const std::string& reason) {
    const auto done = run(std::move(arguments));
    EXPECT_EQ(done.code, code) << done.err;
    EXPECT_THAT(done.err, HasSubstr(reason));
  };
  wrong({"template", "add", "web", "/srv/infra"}, 2, "write file:///srv/infra");
  wrong({"template", "add", "web", "http://example.org/x"}, 2, "https, ssh and file");
  wrong({"template", "add", "a/b", "https://example.org/x"}, 2, "contains '/'");
  wrong({"template", "add", "web", repository_.url()}, 1, "they are in web");
  wrong({"template", "add", "web", "https://127.0.0.1:1/x"}, 1, "cannot be reached");
  wrong({"template", "update"}, 2, "name a template, or say --all");
  wrong({"template", "update", "web"}, 3, "there is no template web");
  EXPECT_THAT(run({"template", "validate", "--all"}).out, HasSubstr("there are no templates"));

  const std::string commit = repository_.git({"rev-parse", "HEAD"});
  add();
  wrong({"template", "add", "web", repository_.url(), "--path", "web"}, 4, "exists already");
  EXPECT_THAT(run({"template", "list"}).out, HasSubstr(commit.substr(0, 12)));
  EXPECT_THAT(run({"template", "list", "--detailed"}).out, HasSubstr("DESCRIPTION"));
  EXPECT_EQ(installation_.query({"template", "show", "web"})["commit"], commit);
  EXPECT_THAT(run({"template", "show", "web", "--output", "yaml"}).out,
              HasSubstr("source_path: web"));
  EXPECT_THAT(run({"template", "validate", "web"}).out, HasSubstr("valid web"));
  repository_.write("web/main.tf", "resource {\n");
  repository_.commit();
  const auto invalid = run({"template", "validate", "--all"});
  EXPECT_EQ(invalid.code, 1);
  EXPECT_THAT(invalid.out, HasSubstr("main.tf"));
}

TEST_F(Templates, TheOldNameTakesTheVerbsDirectly) {
  installation_.start();
  const auto link = installation_.root() / "templatectl";
  std::filesystem::create_symlink(built("provisioner"), link);
  const Environment environment = {{"PROVISIONER_STATE_DIR", installation_.state_dir()}};
  const auto old = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), link);
    return run_program(arguments, environment);
  };
  repository_.git({"tag", "v1.0"});
  const auto added = old({"add", "web-app", repository_.url(), "--path", "web", "--ref", "v1.0",
                          "--description", "the web"});
  EXPECT_EQ(added.code, 0) << added.err;
  EXPECT_THAT(old({"list", "--detailed"}).out, HasSubstr("the web"));
  EXPECT_THAT(old({"show", "web-app"}).out, HasSubstr("source_ref: v1.0"));
  EXPECT_EQ(old({"update", "--all"}).code, 0);
  EXPECT_EQ(old({"validate", "web-app"}).code, 0);
  EXPECT_EQ(old({"remove", "web-app"}).code, 0) << "without asking";
  EXPECT_EQ(old({"--version"}).code, 0);
}

}  // namespace
}  // namespace provisioner::testing
