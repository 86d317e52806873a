// A schedule deploys and destroys for real, over restarts and outages.
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/support/daemon.hpp"
#include "tests/support/eventually.hpp"

namespace provisioner::testing {
namespace {

using namespace std::chrono_literals;

// What the store's file says while no daemon has it.
std::string sql(const Installation& installation, const std::string& statement) {
  const auto done =
      run_program({"sqlite3", (installation.state_dir() / "provisioner.db").string(), statement});
  EXPECT_EQ(done.code, 0) << done.err;
  return done.out;
}

TEST(Schedule, TheLastOccurrenceOfANewWorkspaceActsAtOnce) {
  Installation installation;
  installation.add_workspace("shop",
                             {{"deploy_schedule", "* * * * *"}, {"timezone", "Europe/London"}});
  installation.start();
  EXPECT_EQ(installation.wait_for_status("shop", "deployed")["status"], "deployed")
      << installation.log();
  const auto runs = installation.runs("shop");
  ASSERT_EQ(runs.size(), 1u);
  EXPECT_EQ(runs[0]["trigger"], "schedule");
  EXPECT_EQ(runs[0]["operation"], "deploy");
  EXPECT_FALSE(runs[0]["scheduled_for"].is_null());
}

TEST(Schedule, ARestartNeitherRepeatsNorForgetsAnything) {
  Installation installation;
  installation.add_workspace("shop", {{"deploy_schedule", "0 0 * * *"}});
  installation.start();
  ASSERT_EQ(installation.wait_for_status("shop", "deployed")["status"], "deployed")
      << installation.log();
  EXPECT_EQ(installation.stop_daemon(), 0) << installation.log();
  installation.start();
  // The daemon has looked at everything when its scheduler has answered a manual command.
  EXPECT_EQ(installation.command({"workspace", "plan", "shop"}).code, 0);
  EXPECT_EQ(installation.workspace("shop")["status"], "deployed");
  int deploys = 0;
  for (const auto& run : installation.runs("shop")) deploys += run["operation"] == "deploy";
  EXPECT_EQ(deploys, 1);
}

// I3, and the bug most reported of schedulers: a flood, or nothing, after an outage.
TEST(Schedule, AYearOfDowntimeConvergesOnceInTheRightDirectionInAHandfulOfRows) {
  Installation installation;
  installation.add_workspace("busy",
                             {{"deploy_schedule", "0 3 * * *"}, {"destroy_schedule", "* * * * *"}});
  installation.start();
  installation.command({"workspace", "deploy", "busy"});
  installation.stop_daemon();
  // As if all of it had happened a year ago.
  sql(installation,
      "DELETE FROM occurrences;"
      "UPDATE schedules SET cursor = cursor - 365*86400*1000000;"
      "UPDATE runs SET created_at = created_at - 365*86400*1000000;");
  installation.start();
  const auto destroyed = installation.wait_for_status("busy", "destroyed");
  EXPECT_EQ(destroyed["status"], "destroyed") << installation.log();
  int destroys = 0;
  for (const auto& run : installation.runs("busy")) destroys += run["operation"] == "destroy";
  EXPECT_EQ(destroys, 1);
  installation.stop_daemon();
  const int rows = std::stoi(sql(installation, "SELECT count(*) FROM occurrences"));
  EXPECT_LE(rows, 6);
  // Every one of the year's occurrences is accounted for: 525,600 and 365, give or take the minutes
  // that passed.
  EXPECT_NEAR(std::stod(sql(installation, "SELECT sum(count) FROM occurrences")), 525'600 + 365, 5);
}

TEST(Schedule, AnOutageOverSeveralOccurrencesIsOneRunAndEachOccurrenceIsInTheLedger) {
  Installation installation;
  // Deployed in even minutes, destroyed in odd ones.
  installation.add_workspace(
      "shop", {{"deploy_schedule", "*/2 * * * *"}, {"destroy_schedule", "1-59/2 * * * *"}});
  installation.start();
  // In an odd minute nothing is deployed that could be destroyed: it begins with the next one.
  ASSERT_TRUE(eventually(120s, [&] { return !installation.runs("shop").empty(); }))
      << installation.log();
  installation.wait_for_end(installation.runs("shop")[0]["id"]);
  installation.stop_daemon();
  const auto before = std::stoul(sql(installation, "SELECT count(*) FROM runs"));
  // As if the daemon had been away for ten minutes.
  sql(installation,
      "DELETE FROM occurrences;"
      "UPDATE schedules SET cursor = cursor - 10*60*1000000;");
  installation.start();
  Json ledger;
  ASSERT_TRUE(eventually(30s, [&] {
    ledger = installation.query({"workspace", "history", "shop", "--limit", "100"})["items"];
    return ledger.size() >= 10;
  })) << ledger.dump(2);

  // A minute may have begun since: what the outage left are the ten oldest, one for each minute.
  std::reverse(ledger.begin(), ledger.end());
  for (std::size_t i = 0; i < 10; ++i) {
    const Json& row = ledger[i];
    EXPECT_EQ(row["count"], 1) << row;
    const bool even = (row["at"].get<std::string>()[15] - '0') % 2 == 0;
    EXPECT_EQ(row["action"], even ? "deploy" : "destroy") << row;
    EXPECT_FALSE(row["reason"].get<std::string>().empty()) << row;
    if (i < 9) EXPECT_EQ(row["outcome"], "superseded") << row;
  }
  // The last one decided: by the time that has passed the workspace was that already, or is now.
  const Json& last = ledger[9];
  EXPECT_TRUE(last["outcome"] == "fired" || last["outcome"] == "no_change") << last;
  EXPECT_EQ(last["run"].is_string(), last["outcome"] == "fired") << last;
  const auto runs = installation.runs("shop").size();
  EXPECT_LE(runs, before + 1 + (ledger.size() - 10)) << installation.log();
}

TEST(Schedule, ADisabledWorkspaceFiresNothingAndKeepsItsState) {
  Installation installation;
  installation.add_workspace("shop", {{"deploy_schedule", "* * * * *"}, {"enabled", false}});
  installation.add_workspace("other", {{"deploy_schedule", "* * * * *"}});
  installation.start();
  ASSERT_EQ(installation.wait_for_status("other", "deployed")["status"], "deployed")
      << installation.log();
  EXPECT_EQ(installation.workspace("shop")["status"], "pending");
  EXPECT_TRUE(installation.runs("shop").empty());
}

TEST(Schedule, AHoldSuspendsTheScheduleButNotAPerson) {
  Installation installation;
  installation.add_workspace("shop", {{"deploy_schedule", false}});
  installation.start();
  ASSERT_TRUE(eventually(
      60s, [&] { return installation.command({"workspace", "show", "shop"}).code == 0; }));
  EXPECT_EQ(installation.command({"workspace", "hold", "shop", "--reason", "audit"}).code, 0);
  EXPECT_EQ(installation.workspace("shop")["held"], true);
  EXPECT_EQ(installation.command({"workspace", "deploy", "shop"}).code, 0);
  EXPECT_EQ(installation.workspace("shop")["status"], "deployed");
}

}  // namespace
}  // namespace provisioner::testing
