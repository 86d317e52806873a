// Jobs while leaders go: what waits for an event runs once, whoever decides about it (I3, I4).
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "base/text.hpp"
#include "tests/support/daemon.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/postgres.hpp"

namespace provisioner::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;

class JobsOfACluster : public ::testing::Test {
 protected:
  JobsOfACluster() : database_(server().take_database()) {
    for (const auto& [installation, name] : {std::pair{&a_, "a"}, {&b_, "b"}}) {
      installation->environment.merge(server().settings_of(name, database_, server().port()));
      installation->environment["PROVISIONER_SCHEDULER_TIMEZONE"] = "UTC";
      installation->add_workspace("shop", chain());
    }
    for (Installation* each : {&a_, &b_}) {
      each->start();
      EXPECT_TRUE(
          eventually(60s, [&] { return each->command({"workspace", "show", "shop"}).code == 0; }));
    }
  }
  ~JobsOfACluster() override {
    for (Installation* installation : {&a_, &b_}) {
      if (installation->has_daemon()) installation->kill_daemon();
    }
    server().give_back_database(database_);
  }

  static PostgresServer& server() { return PostgresServer::shared(); }
  std::filesystem::path marks() const { return a_.root() / "marks"; }

  // Each writes down that it ran: seed, then left and right, then end.
  Json chain() const {
    Json jobs = Json::array();
    const auto add = [&](const std::string& name, const Json& after) {
      jobs.push_back({{"name", name},
                      {"type", "command"},
                      {"command", fmt::format("echo {} >> {}", name, marks().string())},
                      {"schedule", "@deployment"},
                      {"depends_on", after}});
    };
    add("seed", Json::array());
    add("left", {"seed"});
    add("right", {"seed"});
    add("end", {"left", "right"});
    return {{"jobs", jobs}};
  }

  std::string sql(const std::string& text) { return server().execute(text, database_).front(); }
  Installation& leader() {
    return sql("SELECT leader_id FROM leader_election LIMIT 1") == "a" ? a_ : b_;
  }

  std::vector<std::string> ran() const {
    std::vector<std::string> names;
    for (const auto line : split(read_file(marks()), '\n')) {
      if (!line.empty()) names.emplace_back(line);
    }
    return names;
  }

  std::string database_;
  Installation a_, b_;
};

TEST_F(JobsOfACluster, OfAnEventRunOnceEachInTheirOrderThoughTheLeaderIsKilledRightAfterIt) {
  Installation& first = leader();
  ASSERT_EQ(first.command({"workspace", "deploy", "shop", "--detach"}).code, 0);
  ASSERT_TRUE(eventually(60s, [&] {
    return sql("SELECT count(*) FROM runs WHERE job = '' AND status = 'succeeded'") == "1";
  })) << first.log();
  first.kill_daemon();
  first.start();
  ASSERT_TRUE(eventually(
      90s,
      [&] {
        return sql("SELECT count(*) FROM runs WHERE job <> '' AND status = 'succeeded'") == "4";
      }))
      << a_.log() << b_.log();
  auto names = ran();
  ASSERT_EQ(names.size(), 4U);
  std::sort(names.begin() + 1, names.begin() + 3);
  EXPECT_THAT(names, ElementsAre("seed", "left", "right", "end"));
  EXPECT_EQ(sql("SELECT count(*) FROM occurrences WHERE outcome = 'fired'"), "4");
  EXPECT_EQ(sql("SELECT count(*) FROM job_events"), "0");
}

}  // namespace
}  // namespace provisioner::testing
