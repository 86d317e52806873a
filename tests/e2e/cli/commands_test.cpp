// What a person or a script types, against a real daemon: output, exit codes, refusals.
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/support/daemon.hpp"
#include "tests/support/eventually.hpp"

namespace provisioner::testing {
namespace {

using namespace std::chrono_literals;

bool holds(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

class Commands : public ::testing::Test {
 protected:
  void SetUp() override {
    installation_.add_workspace("shop",
                                {{"deploy_schedule", "0 0 1 1 *"},
                                 {"description", "a shop"},
                                 {"ttl", "2h"},
                                 {"timezone", "Europe/London"}},
                                R"(resource "terraform_data" "one" { input = "one" }
output "colour" { value = "red" }
output "password" {
  value     = "hush"
  sensitive = true
}
)");
    installation_.start();
    ASSERT_TRUE(eventually(60s, [&] { return run({"workspace", "show", "shop"}).code == 0; }));
  }

  Finished run(const std::vector<std::string>& arguments) const {
    return installation_.command(arguments);
  }
  void deploy() { ASSERT_EQ(run({"workspace", "deploy", "shop"}).code, 0) << installation_.log(); }

  Installation installation_;
};

TEST_F(Commands, DeployStreamsTheLogOnOutputAndTheSummaryBesideIt) {
  const auto done = run({"workspace", "deploy", "shop"});
  EXPECT_EQ(done.code, 0) << done.err;
  EXPECT_TRUE(holds(done.out, "Creation complete")) << done.out;
  EXPECT_TRUE(holds(done.err, "deploy of shop succeeded: 1 added")) << done.err;
  EXPECT_FALSE(holds(done.out + done.err, "\x1b")) << "control characters without a terminal";
}

TEST_F(Commands, StableFieldsOfTheJson) {
  deploy();
  const auto has = [](const Json& object, const std::vector<const char*>& fields) {
    for (const char* field : fields) EXPECT_TRUE(object.contains(field)) << field << object.dump(2);
  };
  has(installation_.workspace("shop"),
      {"name", "enabled", "status", "held", "detached", "mode", "template", "description",
       "deployed_bundle", "bundle", "last_deployed", "last_destroyed", "last_error", "active_run",
       "next", "hold_until", "ttl_expires_at", "version"});
  has(installation_.workspace("shop")["next"], {"at", "action"});
  const Json run = installation_.runs("shop").at(0);
  has(run, {"id", "workspace", "job", "operation", "mode", "trigger", "status", "attempt",
            "instance", "term", "error", "scheduled_for", "created_at", "finished_at", "exit_code",
            "resources", "started_at"});
  has(run["resources"], {"add", "change", "destroy"});
  const Json preview = installation_.query({"schedule", "preview", "shop", "--count", "2"});
  ASSERT_EQ(preview.size(), 2u);
  has(preview[0], {"at", "local_time", "timezone", "action", "schedule"});
  const Json cluster = installation_.query({"cluster", "status"});
  has(cluster, {"leader", "term", "lease_expires_at", "instances", "store", "election", "cache"});
  EXPECT_GT(cluster["lease_expires_at"].get<std::string>(), "2026") << cluster;  // led: by a lease
  has(cluster["instances"].at(0),
      {"id", "version", "role", "ready", "started_at", "last_seen", "running"});
}

TEST_F(Commands, YamlSaysTheSame) {
  const auto shown = run({"workspace", "show", "shop", "--output", "yaml"});
  EXPECT_EQ(shown.code, 0);
  EXPECT_TRUE(holds(shown.out, "name: shop\n")) << shown.out;
  EXPECT_TRUE(holds(shown.out, "last_deployed: null\n")) << shown.out;
}

TEST_F(Commands, RunsAreListedShownAndTheirLogsPrinted) {
  deploy();
  const std::string id = installation_.runs("shop").at(0)["id"];
  EXPECT_TRUE(holds(run({"run", "list"}).out, id));
  EXPECT_TRUE(holds(run({"run", "show", id}).out, "status: succeeded"));
  EXPECT_TRUE(holds(run({"run", "logs", id}).out, "Creation complete"));
  EXPECT_TRUE(holds(run({"run", "logs", id, "-f"}).out, "Creation complete"));
  EXPECT_TRUE(holds(run({"workspace", "logs", "shop"}).out, "Creation complete"));
  EXPECT_EQ(run({"run", "cancel", id}).code, 4);  // it has ended
}

TEST_F(Commands, AnUnknownWorkspaceIsNotFoundInListsEither) {
  EXPECT_EQ(run({"run", "list", "shop"}).code, 0);
  for (const auto& words : std::vector<std::vector<std::string>>{{"run", "list", "nobody"},
                                                                 {"workspace", "logs", "nobody"}}) {
    const auto unknown = run(words);
    EXPECT_EQ(unknown.code, 3) << unknown.out;
    EXPECT_TRUE(holds(unknown.err, "there is no workspace nobody")) << unknown.err;
  }
}

TEST_F(Commands, ARunThatWaitsSaysForWhatAndABusyWorkspaceWhatToDo) {
  installation_.add_workspace("front", {{"deploy_schedule", false}, {"depends_on", {"shop"}}});
  ASSERT_TRUE(eventually(30s, [&] { return run({"workspace", "show", "front"}).code == 0; }));
  ASSERT_EQ(run({"workspace", "deploy", "front", "--detach"}).code, 0);
  EXPECT_TRUE(holds(run({"run", "list", "front"}).out, "waits for shop to be deployed"));
  const auto busy = run({"workspace", "deploy", "front", "--detach"});
  EXPECT_EQ(busy.code, 4);
  EXPECT_TRUE(holds(busy.err, "--queue")) << busy.err;
}

// shop is deployed on the first of January, which a new workspace's look-back seldom holds.
TEST_F(Commands, HistoryShowsTheLedgerWithFilters) {
  installation_.add_workspace("busy", {{"deploy_schedule", "* * * * *"}, {"timezone", "UTC"}});
  Json ledger;
  ASSERT_TRUE(eventually(30s, [&] {
    const auto shown = run({"workspace", "history", "busy", "--json"});
    if (shown.code == 0) ledger = Json::parse(shown.out)["items"];
    return !ledger.empty();
  })) << installation_.log();
  const Json last = ledger.back();
  for (const char* field : {"workspace", "job", "schedule", "at", "until", "count", "local_time",
                            "action", "outcome", "reason", "run"}) {
    EXPECT_TRUE(last.contains(field)) << field << last.dump(2);
  }
  const auto table = run({"workspace", "history", "busy"});
  EXPECT_EQ(table.code, 0) << table.err;
  EXPECT_TRUE(holds(table.out, "OUTCOME")) << table.out;
  EXPECT_TRUE(holds(table.out, last["local_time"].get<std::string>())) << table.out;
  const std::string newest = ledger.front()["at"];
  EXPECT_EQ(
      installation_.query({"workspace", "history", "busy", "--to", "2020-01-01T00:00:00Z"})["items"]
          .size(),
      0u);
  for (const auto& row :
       installation_.query({"workspace", "history", "busy", "--from", newest})["items"]) {
    EXPECT_GE(row["until"].get<std::string>(), newest);
  }
  EXPECT_EQ(installation_.query({"workspace", "history", "busy", "--limit", "1"})["items"].size(),
            1u);

  const auto unknown = run({"workspace", "history", "nobody"});
  EXPECT_EQ(unknown.code, 3) << unknown.err;
  const auto wrong = run({"workspace", "history", "busy", "--from", "noon"});
  EXPECT_EQ(wrong.code, 2) << wrong.err;
  EXPECT_TRUE(holds(wrong.err, "from")) << wrong.err;
}

TEST_F(Commands, OutputsMaskWhatIsSensitive) {
  deploy();
  const auto shown = run({"workspace", "outputs", "shop"});
  EXPECT_TRUE(holds(shown.out, "colour = \"red\"")) << shown.out;
  EXPECT_FALSE(holds(shown.out, "hush"));
  EXPECT_FALSE(holds(run({"state", "show", "shop"}).out, "hush"));
  EXPECT_TRUE(holds(run({"state", "pull", "shop"}).out, "hush"));
}

TEST_F(Commands, StatesAreListedComparedRolledBackAndPushed) {
  deploy();
  ASSERT_EQ(run({"workspace", "destroy", "shop", "--yes"}).code, 0);
  ASSERT_GE(installation_.query({"state", "list", "shop"})["items"].size(), 2u);
  EXPECT_TRUE(holds(run({"state", "diff", "shop", "1"}).out, "terraform_data.one"));
  EXPECT_EQ(run({"state", "rollback", "shop", "1"}).code, 2);  // nobody to ask
  EXPECT_EQ(run({"state", "rollback", "shop", "1", "--yes"}).code, 0);
  const auto pulled = run({"state", "pull", "shop"});
  EXPECT_TRUE(holds(pulled.out, "\"one\"")) << pulled.out;
  const auto same = run({"state", "diff", "shop", "1"});
  EXPECT_TRUE(holds(same.err, "no resource")) << same.out << same.err;
  const auto file = installation_.root() / "pulled.tfstate";
  write_file(file, pulled.out);
  EXPECT_EQ(run({"state", "push", "shop", file, "--yes"}).code, 0);
  write_file(file, "not a state");
  EXPECT_EQ(run({"state", "push", "shop", file, "--yes"}).code, 2);
  EXPECT_EQ(run({"state", "unlock", "shop", "--yes"}).code, 0);
}

TEST_F(Commands, HoldReleaseAndExtend) {
  EXPECT_EQ(run({"workspace", "extend", "shop", "1h"}).code, 4);  // it is not deployed
  deploy();
  const std::string before = installation_.workspace("shop")["ttl_expires_at"];
  EXPECT_EQ(run({"workspace", "extend", "shop", "1h"}).code, 0);
  EXPECT_GT(installation_.workspace("shop")["ttl_expires_at"].get<std::string>(), before);
  EXPECT_EQ(run({"workspace", "extend", "shop", "soon"}).code, 2);
  EXPECT_EQ(run({"workspace", "hold", "shop", "--until", "2h", "--reason", "audit"}).code, 0);
  EXPECT_TRUE(holds(run({"workspace", "list"}).out, "held"));
  EXPECT_EQ(run({"workspace", "release", "shop", "--converge"}).code, 0);
  EXPECT_EQ(installation_.workspace("shop")["held"], false);
}

TEST_F(Commands, ABusyWorkspaceIsAConflict) {
  installation_.add_workspace("slow", {{"deploy_schedule", false}},
                              R"(resource "terraform_data" "s" {
  provisioner "local-exec" { command = "sleep 300" }
}
)");
  ASSERT_TRUE(eventually(60s, [&] { return run({"workspace", "show", "slow"}).code == 0; }));
  const auto detached = run({"workspace", "deploy", "slow", "--detach"});
  ASSERT_EQ(detached.code, 0) << detached.err;
  const std::string id = detached.out.substr(0, detached.out.find('\n'));
  ASSERT_TRUE(eventually(60s, [&] { return holds(run({"run", "logs", id}).out, "local-exec"); }));
  const auto busy = run({"workspace", "deploy", "slow"});
  EXPECT_EQ(busy.code, 4) << busy.err;
  EXPECT_TRUE(holds(busy.err, id)) << busy.err;
  EXPECT_EQ(run({"run", "cancel", id}).code, 0);
  EXPECT_EQ(installation_.wait_for_end(id)["status"], "cancelled");
}

TEST_F(Commands, DestructiveOnesNeedYesWithoutATerminal) {
  deploy();
  const auto asked = run({"workspace", "destroy", "shop"});
  EXPECT_EQ(asked.code, 2);
  EXPECT_TRUE(holds(asked.err, "--yes")) << asked.err;
  EXPECT_EQ(installation_.workspace("shop")["status"], "deployed");
}

TEST_F(Commands, TheOldNameTakesTheVerbsDirectly) {
  const auto link = installation_.root() / "workspacectl";
  std::filesystem::create_symlink(built("provisioner"), link);
  const Environment environment = {{"PROVISIONER_STATE_DIR", installation_.state_dir()}};
  EXPECT_TRUE(holds(run_program({link, "list"}, environment).out, "shop"));
  EXPECT_EQ(run_program({link, "deploy", "shop"}, environment).code, 0);
  EXPECT_TRUE(holds(run_program({link, "status", "shop"}, environment).out, "deployed"));
  EXPECT_EQ(run_program({link, "destroy", "shop"}, environment).code, 0);  // without asking
}

TEST_F(Commands, OnATerminalThereAreColourAndALiveProgressLine) {
  const auto in_terminal = [&](const std::string& verb) {
    return run_program(
        {"script", "-qec", built("provisioner").string() + " workspace " + verb, "/dev/null"},
        {{"PROVISIONER_STATE_DIR", installation_.state_dir()},
         {"TERM", "xterm"},
         {"NO_COLOR", ""}});
  };
  const auto deployed = in_terminal("deploy shop");
  EXPECT_EQ(deployed.code, 0);
  EXPECT_TRUE(holds(deployed.out, "of 1 resources")) << deployed.out;
  EXPECT_TRUE(holds(in_terminal("list").out, "\x1b[32mdeployed")) << deployed.out;
  EXPECT_FALSE(holds(run({"workspace", "list"}).out, "\x1b"));
}

TEST_F(Commands, WhatIsNotThereIsNotFound) {
  EXPECT_EQ(run({"workspace", "deploy", "nope"}).code, 3);
  EXPECT_EQ(run({"run", "show", "nope"}).code, 3);
  EXPECT_EQ(run({"state", "show", "shop"}).code, 3);  // never deployed
  EXPECT_EQ(run({"workspace", "validate", "nope"}).code, 3);
}

}  // namespace
}  // namespace provisioner::testing
