// migrate copy: an embedded store that has lived, moved to a real PostgreSQL; then the cluster goes
// on where the one instance was. And what must never be half a copy.
#include <gmock/gmock.h>
#include <signal.h>
#include <sqlite3.h>

#include "tests/support/daemon.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/postgres.hpp"

namespace provisioner::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::Not;

class Migrate : public ::testing::Test {
 protected:
  Migrate() : database_(server().take_database()) {
    installation_.environment["PROVISIONER_SCHEDULER_TIMEZONE"] = "Europe/Zurich";
  }
  ~Migrate() override {
    if (running_) installation_.kill_daemon();
    server().give_back_database(database_);
  }

  static PostgresServer& server() { return PostgresServer::shared(); }

  std::string url() const {
    return "postgres://" + std::string(PostgresServer::kUser) +
           "@127.0.0.1:" + std::to_string(server().port()) + "/" + database_;
  }

  void start() {
    installation_.start();
    running_ = true;
  }
  void stop() {
    running_ = false;
    ASSERT_EQ(installation_.stop_daemon(), 0) << installation_.log();
  }

  // From now on the daemon works on the database.
  void move_to_database() {
    auto& environment = installation_.environment;
    environment["DATABASE_HOST"] = "127.0.0.1";
    environment["DATABASE_PORT"] = std::to_string(server().port());
    environment["DATABASE_NAME"] = database_;
    environment["DATABASE_USER"] = PostgresServer::kUser;
    environment["DATABASE_PASSWORD"] = PostgresServer::kPassword;
  }

  Finished copy(std::vector<std::string> more = {}) const {
    std::vector<std::string> arguments = {"migrate", "copy", "--to", url()};
    arguments.insert(arguments.end(), more.begin(), more.end());
    auto environment = Environment{{"PGPASSWORD", PostgresServer::kPassword},
                                   {"PROVISIONER_STATE_DIR", installation_.state_dir().string()},
                                   {"PROVISIONER_CONFIG_DIR", installation_.config_dir().string()},
                                   {"PROVISIONER_TEST_ROOT", installation_.root().string()}};
    arguments.insert(arguments.begin(), built("provisioner"));
    return run_program(arguments, environment);
  }

  void in_source(const std::string& sql) const {
    sqlite3* db = nullptr;
    ASSERT_EQ(sqlite3_open((installation_.state_dir() / "provisioner.db").c_str(), &db), SQLITE_OK);
    EXPECT_EQ(sqlite3_exec(db, sql.c_str(), nullptr, nullptr, nullptr), SQLITE_OK)
        << sqlite3_errmsg(db);
    sqlite3_close(db);
  }

  std::string in_database(const std::string& sql) const {
    const auto rows = server().execute(sql, database_);
    return rows.empty() ? "" : rows.front();
  }
  // Rows of all our tables but that of migrations.
  std::string rows_in_database() const {
    if (in_database("SELECT to_regclass('workspace_states') IS NULL") == "t") return "0";
    return in_database(
        "SELECT (SELECT count(*) FROM workspace_states) + (SELECT count(*) FROM bundles) + (SELECT "
        "count(*) FROM runs) + (SELECT count(*) FROM cluster_settings) + (SELECT count(*) FROM "
        "audit_events) + (SELECT count(*) FROM state_versions)");
  }

  // Two deploys, a state, a held and a detached workspace, a lock by hand, tokens: what a store has
  // that has lived.
  void live() {
    installation_.add_workspace("shop", {{"description", "a shöp"}});
    installation_.add_workspace("site", {{"deploy_schedule", "0 8 * * MON"}});
    start();
    ASSERT_EQ(installation_.wait_for_status("site", "deployed")["status"], "deployed")
        << installation_.log();
    ASSERT_EQ(installation_.command({"workspace", "deploy", "shop"}).code, 0)
        << installation_.log();
    installation_.write("shop", "main.tf", R"(resource "terraform_data" "one" {
  input = "two"
}
)");
    ASSERT_TRUE(eventually(60s, [&] {
      const auto runs = installation_.runs("shop");
      return runs.size() == 2 && runs.front()["status"] == "succeeded";
    })) << installation_.log();
    ASSERT_EQ(installation_.command({"workspace", "hold", "site", "--reason", "a look"}).code, 0);
    const auto token = installation_.command({"token", "create", "ci", "--role", "operator"});
    ASSERT_EQ(token.code, 0) << token.err;
  }

  // All that a person can see of it, but for what a restart changes.
  Json seen() const {
    Json all;
    for (const std::string name : {"shop", "site"}) {
      all[name] = {installation_.workspace(name), installation_.runs(name),
                   installation_.query({"workspace", "history", name}),
                   installation_.query({"state", "list", name})};
      for (const auto& run : installation_.runs(name)) {
        all["logs"].push_back(installation_.command({"run", "logs", run["id"]}).out);
      }
    }
    all["state"] = installation_.command({"state", "pull", "shop"}).out;
    all["first state"] = installation_.command({"state", "show", "shop", "1"}).out;
    all["tokens"] = installation_.query({"token", "list"});
    return all;
  }

  Installation installation_;
  std::string database_;
  bool running_ = false;
};

TEST_F(Migrate, TheClusterGoesOnWhereTheOneInstanceWas) {
  live();
  const Json before = seen();
  const auto refused = copy();
  EXPECT_EQ(refused.code, 4) << refused.out;
  EXPECT_THAT(refused.err, HasSubstr("another provisioner"));
  stop();
  in_source(
      "INSERT INTO state_locks VALUES ('site', '', 'by-hand', '{\"ID\":\"by-hand\"}', NULL, 0, 1)");
  in_source(
      "INSERT INTO templates SELECT 'web', 'https://example.org/web', 'web', 'v1', 'd', 'abc', "
      "hash, "
      "1, 2, 3 FROM bundles LIMIT 1");
  const std::string file = read_file(installation_.state_dir() / "provisioner.db");

  const auto tried = copy({"--dry-run"});
  EXPECT_EQ(tried.code, 0) << tried.err;
  EXPECT_THAT(tried.out, HasSubstr("Nothing was written"));
  EXPECT_EQ(in_database("SELECT to_regclass('workspace_states') IS NULL"), "t");

  const auto copied = copy();
  ASSERT_EQ(copied.code, 0) << copied.err;
  EXPECT_THAT(copied.out, HasSubstr("Every row was read back"));
  EXPECT_EQ(read_file(installation_.state_dir() / "provisioner.db"), file);

  installation_.launch();
  EXPECT_EQ(installation_.daemon().wait(60s), 4) << installation_.log();
  EXPECT_THAT(installation_.log(), HasSubstr("was copied to " + url()));

  move_to_database();
  start();
  const Json after = seen();
  EXPECT_EQ(after, before) << Json::diff(before, after).dump(1);
  EXPECT_EQ(in_database("SELECT value FROM cluster_settings WHERE key = 'timezone'"),
            "Europe/Zurich");

  EXPECT_EQ(in_database("SELECT t.name || t.version FROM templates t JOIN bundles b ON b.hash = "
                        "t.content_hash"),
            "web3");
  EXPECT_EQ(in_database("SELECT id FROM state_locks WHERE workspace = 'site'"), "by-hand");
  EXPECT_EQ(installation_.command({"state", "unlock", "site", "--yes"}).code, 0);
  EXPECT_EQ(in_database("SELECT count(*) FROM state_locks"), "0");

  // New runs come after the old ones, on the state that was copied.
  EXPECT_EQ(installation_.command({"workspace", "destroy", "shop", "--yes"}).code, 0)
      << installation_.log();
  EXPECT_EQ(installation_.runs("shop").size(), 3u);
  EXPECT_EQ(installation_.runs("shop").front()["operation"], "destroy");
}

TEST_F(Migrate, AnOldInstallationIsImportedIntoTheDatabase) {
  installation_.add_workspace("shop", {{"enabled", true}, {"destroy_schedule", "0 0 1 1 *"}});
  write_file(installation_.state_dir() / "scheduler.json",
             R"({"workspaces": {"shop": {"name": "shop", "status": "deployed"}}})");
  write_file(installation_.state_dir() / "deployments" / "shop" / "terraform.tfstate",
             R"({"version": 4, "terraform_version": "1.5.7", "serial": 3, "lineage": "of-old",
                 "outputs": {}, "resources": [{"mode": "managed", "type": "terraform_data",
                 "name": "one", "provider": "provider[\"terraform.io/builtin/terraform\"]",
                 "instances": [{"schema_version": 0, "attributes": {"id": "a", "input":
                 {"type": "string", "value": "one"}, "output": {"type": "string", "value": "one"},
                 "triggers_replace": null}, "sensitive_attributes": []}]}]})");
  move_to_database();
  const Json tried = installation_.query({"migrate", "import", "--dry-run"});
  EXPECT_EQ(rows_in_database(), "0");
  const Json done = installation_.query({"migrate", "import"});
  EXPECT_EQ(done["workspaces"], tried["workspaces"]);
  EXPECT_EQ(done["workspaces"][0]["status"], "deployed") << done;

  start();
  const auto plan = installation_.command({"workspace", "plan", "shop"});
  EXPECT_EQ(plan.code, 0) << plan.err;
  EXPECT_THAT(plan.out + plan.err, Not(HasSubstr("to add, 1")));
  // An instance that was seen lately may be alive: nothing is imported under it.
  installation_.kill_daemon();
  running_ = false;
  const auto refused = installation_.command({"migrate", "import"});
  EXPECT_EQ(refused.code, 4);
  EXPECT_THAT(refused.err, HasSubstr("stop the daemons first"));
  start();
  ASSERT_EQ(installation_.command({"workspace", "destroy", "shop", "--yes"}).code, 0)
      << installation_.log();
  const Json state = Json::parse(installation_.command({"state", "pull", "shop"}).out);
  EXPECT_EQ(state["lineage"], "of-old");
  EXPECT_TRUE(state["resources"].empty());
}

TEST_F(Migrate, WhatIsNotWholeIsNotThere) {
  live();
  stop();

  // A row that PostgreSQL refuses, when much has been copied already.
  in_source(
      "INSERT INTO config_changes (id, workspace_name, change_type, changed_by, changed_at) VALUES "
      "('01a20000-0000-7000-8000-000000000000', 'shop', 'x', '" +
      std::string(300, 'x') + "', 1)");
  const auto failed = copy();
  EXPECT_EQ(failed.code, 1) << failed.out;
  EXPECT_THAT(failed.err, HasSubstr("copying config_changes to " + url()));
  EXPECT_EQ(rows_in_database(), "0");
  in_source("DELETE FROM config_changes WHERE change_type = 'x'");

  // Killed in the middle.
  server().execute(
      "CREATE FUNCTION tarry() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(120); "
      "RETURN NEW; END $$; CREATE TRIGGER tarry BEFORE INSERT ON api_tokens FOR EACH ROW EXECUTE "
      "FUNCTION tarry()",
      database_);
  {
    Background copying({built("provisioner"), "migrate", "copy", "--to", url()},
                       {{"PGPASSWORD", PostgresServer::kPassword},
                        {"PROVISIONER_STATE_DIR", installation_.state_dir().string()}},
                       installation_.root() / "copying.log");
    ASSERT_TRUE(eventually(60s, [&] {
      return in_database(
                 "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = "
                 "current_database()") == "1";
    })) << read_file(installation_.root() / "copying.log");
    copying.signal(SIGKILL);
    copying.wait();
  }
  // The server notices by itself that nobody listens.
  ASSERT_TRUE(eventually(60s, [&] {
    return in_database(
               "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = "
               "current_database()") == "0";
  }));
  EXPECT_EQ(rows_in_database(), "0");

  // A database that keeps something else than what it was given.
  server().execute(
      "DROP TRIGGER tarry ON api_tokens; CREATE FUNCTION garble() RETURNS trigger LANGUAGE plpgsql "
      "AS $$ BEGIN NEW.body := NEW.body || ' '::bytea; RETURN NEW; END $$; CREATE TRIGGER garble "
      "BEFORE INSERT ON state_versions FOR EACH ROW EXECUTE FUNCTION garble()",
      database_);
  const auto garbled = copy();
  EXPECT_EQ(garbled.code, 1) << garbled.out;
  EXPECT_THAT(garbled.err, HasSubstr("differ. Nothing was kept"));
  EXPECT_EQ(rows_in_database(), "0");

  // None of it left a mark: the source may be used, and copied.
  server().execute("DROP TRIGGER garble ON state_versions", database_);
  start();
  stop();
  const auto copied = copy();
  EXPECT_EQ(copied.code, 0) << copied.err;
}

TEST_F(Migrate, ACopyThatWasCutOffAtItsCommitIsFoundAgain) {
  live();
  stop();
  ASSERT_EQ(copy().code, 0);
  const auto mark = installation_.state_dir() / "provisioner.db.copied";
  Json cut_off = Json::parse(read_file(mark));
  cut_off["done"] = false;
  write_file(mark, cut_off.dump());

  installation_.launch();
  EXPECT_EQ(installation_.daemon().wait(60s), 4);
  EXPECT_THAT(installation_.log(), HasSubstr("was cut off"));

  const auto again = copy();
  EXPECT_EQ(again.code, 0) << again.err;
  EXPECT_THAT(again.out, HasSubstr("had come to its end"));
  EXPECT_EQ(Json::parse(read_file(mark))["done"], true);

  const auto third = copy();
  EXPECT_EQ(third.code, 4) << third.out;
  EXPECT_THAT(third.err, HasSubstr("was copied to"));
}

TEST_F(Migrate, RefusesWhatItMustNotCopyOrOverwrite) {
  live();
  stop();

  const auto in_url = run_program(
      {built("provisioner"), "migrate", "copy", "--to", "postgres://me:secret@db1/provisioner"},
      {{"PROVISIONER_STATE_DIR", installation_.state_dir().string()}});
  EXPECT_EQ(in_url.code, 2) << in_url.out;
  EXPECT_THAT(in_url.err, HasSubstr("PGPASSWORD"));
  EXPECT_THAT(in_url.err, Not(HasSubstr("secret")));

  in_source("UPDATE runs SET status = 'running' WHERE seq = 1");
  const auto running = copy();
  EXPECT_EQ(running.code, 4) << running.out;
  EXPECT_THAT(running.err, HasSubstr("nobody has seen the end of deploy of s"));
  in_source("UPDATE runs SET status = 'succeeded' WHERE seq = 1");

  ASSERT_EQ(copy().code, 0);
  std::filesystem::remove(installation_.state_dir() / "provisioner.db.copied");
  for (const bool dry : {true, false}) {
    const auto occupied =
        copy(dry ? std::vector<std::string>{"--dry-run"} : std::vector<std::string>{});
    EXPECT_EQ(occupied.code, 4) << occupied.out;
    EXPECT_THAT(occupied.err, HasSubstr("is not empty: cluster_settings has"));
  }
  EXPECT_FALSE(std::filesystem::exists(installation_.state_dir() / "provisioner.db.copied"));
}

}  // namespace
}  // namespace provisioner::testing
