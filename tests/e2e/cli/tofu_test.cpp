// tofu by hand: on the workspace's own state, locked, audited, and gone without a trace.
#include <gtest/gtest.h>
#include <signal.h>
#include <sqlite3.h>
#include <unistd.h>

#include <filesystem>
#include <optional>
#include <set>

#include "tests/support/daemon.hpp"
#include "tests/support/eventually.hpp"

namespace provisioner::testing {
namespace {

using namespace std::chrono_literals;

bool holds(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

constexpr const char* kContent = R"(variable "colour" { default = "none" }
variable "password" {
  default   = "none"
  sensitive = true
}
resource "terraform_data" "one" { input = var.colour }
resource "terraform_data" "secret" { input = var.password }
)";

class TofuByHand : public ::testing::Test {
 protected:
  TofuByHand() {
    std::filesystem::create_directory(temporary_);
    installation_.environment["TMPDIR"] = temporary_.string();
    installation_.environment["SHOP_PASSWORD"] = "hush";
    installation_.add_workspace(
        "shop",
        {{"deploy_schedule", false},
         {"on_change", "ignore"},
         {"variables", {{"colour", "red"}, {"password", {{"env", "SHOP_PASSWORD"}}}}}},
        kContent);
    installation_.start();
    EXPECT_TRUE(eventually(
        60s, [&] { return installation_.command({"workspace", "show", "shop"}).code == 0; }));
  }

  void add(const std::string& name, const std::string& content) {
    installation_.add_workspace(name, {{"deploy_schedule", false}}, content);
    EXPECT_TRUE(eventually(
        60s, [&] { return installation_.command({"workspace", "show", name}).code == 0; }));
  }
  void deploy() {
    const auto done = installation_.command({"workspace", "deploy", "shop"});
    ASSERT_EQ(done.code, 0) << done.out << done.err;
  }
  Finished tofu(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), {"tofu", "shop", "--"});
    return installation_.command(arguments);
  }
  Json newest_state() const {
    return installation_.query({"state", "list", "shop"})["items"].at(0);
  }
  bool left_something() const { return !std::filesystem::is_empty(temporary_); }

  // "actor action outcome" of everything that was audited for a workspace. Ends the daemon.
  std::set<std::string> audited(const std::string& workspace) {
    installation_.stop_daemon();
    sqlite3* db = nullptr;
    EXPECT_EQ(sqlite3_open((installation_.state_dir() / "provisioner.db").c_str(), &db), SQLITE_OK);
    sqlite3_stmt* query = nullptr;
    EXPECT_EQ(sqlite3_prepare_v2(db,
                                 "SELECT actor || ' ' || action || ' ' || outcome FROM "
                                 "audit_events WHERE target = ?",
                                 -1, &query, nullptr),
              SQLITE_OK)
        << sqlite3_errmsg(db);
    sqlite3_bind_text(query, 1, workspace.c_str(), -1, SQLITE_TRANSIENT);
    std::set<std::string> events;
    while (sqlite3_step(query) == SQLITE_ROW) {
      events.insert(reinterpret_cast<const char*>(sqlite3_column_text(query, 0)));
    }
    sqlite3_finalize(query);
    sqlite3_close(db);
    return events;
  }
  std::string me() const { return "uid:" + std::to_string(geteuid()); }

  Installation installation_;
  std::filesystem::path temporary_ = installation_.root() / "tmp";
};

TEST_F(TofuByHand, SeesTheDeployedResourcesAndLeavesNothingBehind) {
  deploy();
  const auto listed = tofu({"state", "list"});
  EXPECT_EQ(listed.code, 0) << listed.err;
  EXPECT_EQ(listed.out, "terraform_data.one\nterraform_data.secret\n");
  EXPECT_EQ(listed.err, "");
  EXPECT_FALSE(left_something());
}

TEST_F(TofuByHand, FindsNothingToChangeWithTheWorkspacesVariablesAndSecrets) {
  deploy();
  const auto plan = tofu({"plan", "-detailed-exitcode", "-no-color"});
  EXPECT_EQ(plan.code, 0) << plan.out << plan.err;
  EXPECT_TRUE(holds(plan.out, "No changes")) << plan.out;
}

TEST_F(TofuByHand, AnApplyIsANewVersionByThePersonAndIsAudited) {
  deploy();
  const Json before = newest_state();
  const auto applied = tofu({"apply", "-auto-approve", "-no-color", "-var", "colour=blue"});
  ASSERT_EQ(applied.code, 0) << applied.out << applied.err;
  const Json after = newest_state();
  EXPECT_GT(after["serial"], before["serial"]);
  EXPECT_EQ(after["lineage"], before["lineage"]);
  EXPECT_EQ(after["written_by"], me());
  EXPECT_TRUE(holds(tofu({"state", "pull"}).out, "blue"));
  EXPECT_FALSE(left_something());
  const auto events = audited("shop");
  for (const char* action : {"workspace.definition", "workspace.bundle", "backend.read",
                             "backend.lock", "backend.write", "backend.unlock"}) {
    EXPECT_TRUE(events.contains(me() + " " + action + " accepted")) << action;
  }
}

TEST_F(TofuByHand, WorksOnWhatWasDeployedNotOnWhatTheFolderSaysByNow) {
  deploy();
  installation_.write("shop", "more.tf", "resource \"terraform_data\" \"more\" {}\n");
  ASSERT_TRUE(eventually(60s, [&] {
    const Json shop = installation_.workspace("shop");
    return shop["bundle"] != shop["deployed_bundle"];
  }));
  const auto plan = tofu({"plan", "-detailed-exitcode", "-no-color"});
  EXPECT_EQ(plan.code, 0) << plan.out << plan.err;
}

TEST_F(TofuByHand, AWorkspaceWithABackendOfItsOwnKeepsIt) {
  const auto state = installation_.root() / "own.tfstate";
  add("own", "terraform {\n  backend \"local\" {\n    path = \"" + state.string() +
                 "\"\n  }\n}\nresource \"terraform_data\" \"mine\" {}\n");
  ASSERT_EQ(installation_.command({"workspace", "deploy", "own"}).code, 0);
  ASSERT_TRUE(std::filesystem::exists(state));
  const auto listed = installation_.command({"tofu", "own", "--", "state", "list"});
  EXPECT_EQ(listed.code, 0) << listed.err;
  EXPECT_EQ(listed.out, "terraform_data.mine\n");
  EXPECT_FALSE(audited("own").contains(me() + " backend.read accepted"));
}

TEST_F(TofuByHand, AFailedInitIsShown) {
  add("bad", "terraform {\n  required_version = \"> 99.0\"\n}\n");
  const auto refused = installation_.command({"tofu", "bad", "--", "plan"});
  EXPECT_EQ(refused.code, 1);
  EXPECT_TRUE(holds(refused.err, "required_version")) << refused.err;
  EXPECT_TRUE(holds(refused.err, "init failed")) << refused.err;
  EXPECT_FALSE(left_something());
}

TEST_F(TofuByHand, HandsTofusExitCodeOn) {
  deploy();
  EXPECT_EQ(tofu({"state", "show", "terraform_data.absent"}).code, 1);
  EXPECT_EQ(tofu({"plan", "-detailed-exitcode", "-var", "colour=blue"}).code, 2);
  EXPECT_FALSE(left_something());
}

TEST_F(TofuByHand, AnUnknownWorkspaceIsNotFound) {
  const auto refused = installation_.command({"tofu", "absent", "--", "state", "list"});
  EXPECT_EQ(refused.code, 3);
  EXPECT_TRUE(holds(refused.err, "absent")) << refused.err;
}

TEST_F(TofuByHand, AMissingSecretIsNamed) {
  installation_.environment["SHOP_PASSWORD"] = "";  // removed, for the commands to come
  const auto refused = tofu({"plan"});
  EXPECT_EQ(refused.code, 2) << refused.out;
  EXPECT_TRUE(holds(refused.err,
                    "variables.password: this command's environment has no variable SHOP_PASSWORD"))
      << refused.err;
  EXPECT_FALSE(left_something());
}

TEST_F(TofuByHand, AWriteWithoutTheLockIsRefusedAndItsStateKept) {
  deploy();
  const Json before = newest_state();
  const auto refused =
      tofu({"apply", "-auto-approve", "-lock=false", "-no-color", "-var", "colour=blue"});
  EXPECT_NE(refused.code, 0);
  EXPECT_EQ(newest_state(), before);
  ASSERT_TRUE(holds(refused.err, "provisioner state push shop ")) << refused.err;
  int states = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(temporary_)) {
    const auto name = entry.path().filename().string();
    EXPECT_FALSE(name.ends_with(".tfvars.json")) << "secrets stay behind";
    if (name != "errored.tfstate") continue;
    ++states;
    EXPECT_TRUE(holds(refused.err, "content/errored.tfstate")) << refused.err;
    EXPECT_EQ(installation_.command({"state", "push", "shop", entry.path(), "--yes"}).code, 0);
  }
  EXPECT_EQ(states, 1);
  EXPECT_GT(newest_state()["serial"], before["serial"]);
}

TEST_F(TofuByHand, AnActiveRunIsNamedAsTheLocksOwner) {
  const auto gate = installation_.root() / "gate";
  write_file(gate, "");
  add("slow",
      "resource \"terraform_data\" \"wait\" {\n"
      "  provisioner \"local-exec\" {\n"
      "    command = \"touch " +
          gate.string() + ".seen; while test -e " + gate.string() +
          "; do sleep 0.1; done\"\n  }\n}\n");
  ASSERT_EQ(installation_.command({"workspace", "deploy", "slow", "--detach"}).code, 0);
  ASSERT_TRUE(eventually(60s, [&] { return std::filesystem::exists(gate.string() + ".seen"); }));
  const auto refused =
      installation_.command({"tofu", "slow", "--", "apply", "-auto-approve", "-no-color"});
  EXPECT_EQ(refused.code, 1) << refused.out;
  EXPECT_TRUE(holds(refused.err, "Error acquiring the state lock")) << refused.err;
  std::filesystem::remove(gate);
  EXPECT_EQ(installation_.wait_for_end(installation_.runs("slow").at(0)["id"])["status"],
            "succeeded");
  EXPECT_TRUE(audited("slow").contains(me() + " backend.lock refused: Locked"));
}

// A person's apply that holds the lock until the gate goes.
class ASlowTofuByHand : public TofuByHand {
 protected:
  ASlowTofuByHand() {
    add("slow", R"(variable "gate" { default = "" }
resource "terraform_data" "wait" {
  input = var.gate
  provisioner "local-exec" {
    command = "test -z '${var.gate}' || { touch '${var.gate}'; while test -e '${var.gate}'; do sleep 0.1; done; }"
  }
}
)");
    Environment all = installation_.environment;
    all["PROVISIONER_CONFIG_DIR"] = installation_.config_dir();
    all["PROVISIONER_STATE_DIR"] = installation_.state_dir();
    all["TF_CLI_CONFIG_FILE"] = "";
    person_.emplace(
        std::vector<std::string>{built("provisioner"), "tofu", "slow", "--", "apply",
                                 "-auto-approve", "-no-color", "-var", "gate=" + gate_.string()},
        all, installation_.root() / "person.log");
    EXPECT_TRUE(eventually(60s, [&] { return std::filesystem::exists(gate_); })) << said();
  }
  ~ASlowTofuByHand() override { open_gate(); }

  void open_gate() { std::filesystem::remove(gate_); }
  std::string said() const { return read_file(installation_.root() / "person.log"); }

  std::filesystem::path gate_ = installation_.root() / "gate";
  std::optional<Background> person_;
};

TEST_F(ASlowTofuByHand, MakesARunFailWithTheLocksOwnerAndThenLetsItGo) {
  const auto refused = installation_.command({"workspace", "deploy", "slow"});
  EXPECT_EQ(refused.code, 1) << refused.out << refused.err;
  const std::string error = installation_.runs("slow").at(0)["error"];
  EXPECT_TRUE(holds(error, "Error acquiring the state lock")) << error;
  EXPECT_TRUE(holds(refused.out, "@")) << "its owner, user@host:\n" << refused.out;
  open_gate();
  EXPECT_EQ(person_->wait(60s), 0) << said();
  EXPECT_EQ(installation_.command({"workspace", "deploy", "slow"}).code, 0);
}

TEST_F(ASlowTofuByHand, LeavesTheTerminalsInterruptToTofu) {
  person_->signal(SIGINT);  // to this process alone: tofu has not heard of it
  person_->signal(SIGHUP);
  open_gate();
  EXPECT_EQ(person_->wait(60s), 0) << said();
  EXPECT_TRUE(holds(said(), "Apply complete!")) << said();
}

TEST_F(ASlowTofuByHand, HandsATerminationOnAndStaysUntilTheStateIsSaved) {
  person_->signal(SIGTERM);
  EXPECT_TRUE(eventually(60s, [&] { return holds(said(), "nterrupt"); })) << said();
  open_gate();
  EXPECT_EQ(person_->wait(60s), 1) << said();
  EXPECT_FALSE(left_something());
  const Json saved = installation_.query({"state", "list", "slow"})["items"].at(0);
  EXPECT_EQ(saved["written_by"], me());
  EXPECT_EQ(saved["resources"], 1) << "the tainted one, not forgotten";
  EXPECT_EQ(installation_.command({"workspace", "deploy", "slow"}).code, 0) << "still locked";
}

TEST_F(ASlowTofuByHand, OutlivesARestartOfTheDaemon) {
  installation_.kill_daemon();
  open_gate();
  // tofu has nobody to give its state to by now, and asks again.
  EXPECT_EQ(person_->wait(1500ms), -1) << said();
  installation_.start();
  EXPECT_EQ(person_->wait(60s), 0) << said();
  EXPECT_FALSE(left_something());
  EXPECT_EQ(installation_.query({"state", "list", "slow"})["items"].at(0)["written_by"], me());
}

}  // namespace
}  // namespace provisioner::testing
