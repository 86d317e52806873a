// Twenty kills at moments drawn by a seed. What must hold afterwards is judged from outside: by a
// journal that the workspace's own commands write, by the processes that live, by tofu's state.
//
// What a kill may cost, precisely:
// - A killed tofu loses what it had not handed over: the attempt's steps may run again.
// - A killed runner, guard or daemon loses nothing that tofu knew to be done. Only the step at work
//   is interrupted and runs again; one that had ended (tofu had begun the next) never does.
// - A daemon alone, once its runner has begun, does not even cost the attempt.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <map>
#include <random>
#include <set>
#include <sstream>
#include <thread>

#include "tests/support/daemon.hpp"
#include "tests/support/eventually.hpp"

namespace provisioner::testing {
namespace {

using namespace std::chrono_literals;
using Milliseconds = std::chrono::milliseconds;

constexpr int kKills = 20;
constexpr std::array<std::string_view, 6> kPhases = {"claimed",     "init",         "plan",
                                                     "apply begun", "apply middle", "finishing"};
constexpr std::array<std::string_view, 5> kVictims = {"daemon", "runner", "guard", "tofu",
                                                      "daemon+runner"};

std::uint64_t seed() {
  const char* given = std::getenv("PROVISIONER_TEST_SEED");
  return given != nullptr ? std::strtoull(given, nullptr, 10) : 20261123;
}

// Guard, runner or trampoline; a trampoline names the command that it is about to start.
bool is_program_of_ours(const std::string& command) {
  return command.find("provisioner-runner") != std::string::npos ||
         command.find("provisioner-guard") != std::string::npos;
}

// One line of the journal: <run>.<attempt> begin|end <resource> made|gone <version>
struct Line {
  std::string run;
  int attempt = 0;
  std::string what;  // begin, end
  std::string step;  // "b made 7"
};

struct Kill {
  std::string_view victim;
  std::string_view phase;
};

struct Round {
  Kill kill;
  std::string run;
  bool destroy = false;
  std::string last_step;    // the step of the run after which it is finished
  std::string middle_step;  // the long one
  std::string hit;          // the phase seen at the kill; "" = the victim was gone before
};

class Kills : public ::testing::Test {
 protected:
  void SetUp() override {
    installation_.environment["PROVISIONER_RUNS_LEASE"] = "30s";
    installation_.environment["PROVISIONER_RUNS_HEARTBEAT"] = "1s";
    // Without its runner tofu tries for about 10 s to hand its state over before it saves it
    // itself.
    installation_.environment["PROVISIONER_RUNS_STOP_ALLOWANCE"] = "20s";
    // A lock on an open file ends with the last process that holds it: whoever finds it taken has
    // met another living attempt.
    write_file(root() / "step", R"(cd ")" + root().string() + R"("
exec 9>busy
flock -n 9 || { echo "$PROVISIONER_ATTEMPT doubled" >> journal; exit 1; }
echo "$PROVISIONER_ATTEMPT begin $1 $2 $3" >> journal
sleep $4
echo "$PROVISIONER_ATTEMPT end $1 $2 $3" >> journal
)");
    installation_.add_workspace("shop", {{"on_change", "ignore"}}, content());
    // Odd minutes belong to one schedule, even ones to the other.
    installation_.add_workspace(
        "clock", {{"deploy_schedule", "*/2 * * * *"}, {"destroy_schedule", "1-59/2 * * * *"}});
    installation_.start();
    ASSERT_TRUE(eventually(
        60s, [&] { return installation_.command({"workspace", "show", "shop"}).code == 0; }));
  }

  const std::filesystem::path& root() const { return installation_.root(); }

  // c after b after a, each replaced when the version changes: six steps in a row, always the same.
  std::string content() const {
    std::string text;
    std::string before;
    for (const auto& [name, pause] : {std::pair{"a", "0.1"}, {"b", "0.6"}, {"c", "0.15"}}) {
      text += fmt::format(R"(resource "terraform_data" "{0}" {{
  triggers_replace = "{1}"
  depends_on = [{2}]
  provisioner "local-exec" {{
    command = "sh {3}/step {0} made {1} {4}"
  }}
  provisioner "local-exec" {{
    when = destroy
    command = "sh {3}/step {0} gone ${{self.triggers_replace}} {4}"
  }}
}}
)",
                          name, version_, before, root().string(), pause);
      before = std::string("terraform_data.") + name;
    }
    return text;
  }

  std::vector<Line> journal(const std::string& run) const {
    std::vector<Line> lines;
    std::istringstream text(read_file(root() / "journal"));
    for (std::string tag, rest; text >> tag && std::getline(text, rest);) {
      const auto dot = tag.rfind('.');
      if (tag.substr(0, dot) != run) continue;
      std::istringstream words(rest);
      Line line{.run = run, .attempt = std::stoi(tag.substr(dot + 1))};
      words >> line.what;
      std::getline(words >> std::ws, line.step);
      lines.push_back(line);
    }
    return lines;
  }
  static bool has(const std::vector<Line>& lines, std::string_view what, std::string_view step) {
    return std::ranges::any_of(
        lines, [&](const Line& line) { return line.what == what && line.step == step; });
  }

  // Asks for a destroy, or for a deploy of content that was not there before.
  Round request(Kill kill, bool destroy) {
    Round round{.kill = kill, .destroy = destroy};
    if (destroy) {
      round.middle_step = fmt::format("b gone {}", version_);
      round.last_step = fmt::format("a gone {}", version_);
      round.run = installation_.query({"workspace", "destroy", "shop", "--yes", "--detach"})["id"];
    } else {
      const Json before = installation_.workspace("shop")["bundle"];
      if (!requested_.empty()) {
        ++version_;
        write_file(root() / "staged.tf", content());
        std::filesystem::rename(root() / "staged.tf",
                                installation_.workspace_dir("shop") / "main.tf");
        EXPECT_TRUE(
            eventually(60s, [&] { return installation_.workspace("shop")["bundle"] != before; }));
      }
      round.middle_step = fmt::format("b made {}", version_);
      round.last_step = fmt::format("c made {}", version_);
      round.run = installation_.query({"workspace", "deploy", "shop", "--detach"})["id"];
    }
    requested_.insert(round.run);
    return round;
  }

  // --- the moment ---

  std::vector<pid_t> tofus(const std::string& run, std::string_view command) const {
    auto found = installation_.processes_of(run, command);
    std::erase_if(found, [](pid_t pid) { return is_program_of_ours(command_of(pid)); });
    return found;
  }

  std::vector<pid_t> victims(const Round& round) const {
    const std::string_view victim = round.kill.victim;
    if (victim == "guard") return installation_.processes_of(round.run, "provisioner-guard guard");
    if (victim != "tofu") return installation_.processes_of(round.run, "provisioner-runner run");
    for (const auto command : {" init", " plan", " apply"}) {
      if (auto found = tofus(round.run, command); !found.empty()) return found;
    }
    return {};
  }

  // How far the run is, as seen from outside; "" = nothing of it works just now.
  std::string phase_seen(const Round& round) const {
    const auto lines = journal(round.run);
    if (has(lines, "begin", round.last_step)) return "finishing";
    if (has(lines, "begin", round.middle_step)) return "apply middle";
    if (!lines.empty() || !tofus(round.run, " apply").empty()) return "apply begun";
    if (!tofus(round.run, " plan").empty()) return "plan";
    if (!tofus(round.run, " init").empty()) return "init";
    return "";
  }

  // The phase, or a later one where the run has no such phase (a destroy need not init).
  void await(const Round& round) const {
    const auto rank = [](std::string_view phase) {
      return std::ranges::find(kPhases, phase) - kPhases.begin();
    };
    if (round.kill.phase == "claimed") return;
    eventually(60s, [&] {
      const std::string seen = phase_seen(round);
      return !seen.empty() && rank(seen) >= rank(round.kill.phase);
    });
  }

  // Where a phase lasts, the moment in it is drawn, too.
  void pause(std::string_view phase) {
    const int most = phase == "claimed"        ? 100
                     : phase == "apply middle" ? 500
                     : phase == "finishing"    ? 150
                                               : 20;
    std::this_thread::sleep_for(Milliseconds(std::uniform_int_distribution(0, most)(draw_)));
  }

  void strike(Round& round) {
    await(round);
    pause(round.kill.phase);
    const bool daemon = round.kill.victim.starts_with("daemon");
    std::vector<pid_t> processes;
    if (round.kill.victim != "daemon") {
      // In the first moments there is none yet; in the last ones there may be none any more.
      eventually(round.kill.phase == "finishing" ? 150ms : 5s,
                 [&] { return !(processes = victims(round)).empty(); });
      if (processes.empty()) return;
    }
    const std::string seen = phase_seen(round);
    if (daemon) installation_.kill_daemon();
    for (const pid_t pid : processes) kill(pid, SIGKILL);
    round.hit = seen.empty() ? std::string(round.kill.phase) : seen;
    if (daemon) installation_.start();
  }

  // --- the judgement ---

  static int attempts_of(const Json& run) { return static_cast<int>(run["attempts"].size()); }

  // The attempts of which something works: tofu, or what it started. A runner that has reported the
  // end, and its guard, no longer do.
  std::map<std::string, std::string> working_attempts(const std::string& run) const {
    std::map<std::string, std::string> found;  // attempt -> a command of it
    for (const pid_t pid : installation_.processes_of(run)) {
      const std::string command = command_of(pid);
      const std::string environment = read_file("/proc/" + std::to_string(pid) + "/environ") + '\0';
      const auto at = environment.find("PROVISIONER_ATTEMPT=");
      if (at == std::string::npos || is_program_of_ours(command)) {
        continue;
      }
      found[environment.substr(at, environment.find('\0', at) - at)] = command;
    }
    return found;
  }

  // I1 while it lasts: two attempts never work at one time. A look takes a moment in which one may
  // end and the next begin, hence the second.
  Json wait_for_end(const std::string& run) const {
    Json seen;
    eventually(150s, [&] {
      if (working_attempts(run).size() > 1) {
        const auto working = working_attempts(run);
        EXPECT_LE(working.size(), 1u) << ::testing::PrintToString(working);
      }
      seen = installation_.run(run);
      return seen["status"] != "queued" && seen["status"] != "running";
    });
    return seen;
  }

  // I4: what was asked for has ended, by one row a request, and nothing was lost on the way.
  void expect_end(const Round& round, const Json& run) const {
    EXPECT_EQ(run["status"], "succeeded") << run.dump(2) << installation_.log();
    const std::string wanted = round.destroy ? "destroyed" : "deployed";
    EXPECT_EQ(installation_.wait_for_status("shop", wanted)["status"], wanted);
    const int attempts = attempts_of(run);
    const bool unharmed =
        round.hit.empty() || (round.kill.victim == "daemon" && round.hit != kPhases.front());
    EXPECT_LE(attempts, unharmed ? 1 : 2) << run.dump(2) << installation_.log();
    for (int i = 0; i + 1 < attempts; ++i) {
      EXPECT_EQ(run["attempts"][i]["status"], "interrupted") << run.dump(2);
    }
    std::multiset<std::string> rows;
    for (const Json& row : installation_.runs("shop")) {
      EXPECT_EQ(row["status"], "succeeded") << row.dump(2);
      rows.insert(row["id"]);
    }
    EXPECT_EQ(rows, std::multiset<std::string>(requested_.begin(), requested_.end()));
  }

  void expect_steps(const Round& round, int attempts) const {
    EXPECT_EQ(read_file(root() / "journal").find("doubled"), std::string::npos);  // I1
    const auto lines = journal(round.run);
    for (const std::string name : {"a", "b", "c"}) {
      const std::string step =
          fmt::format("{} {} {}", name, round.destroy ? "gone" : "made", version_);
      const auto ends = std::ranges::count_if(
          lines, [&](const Line& line) { return line.what == "end" && line.step == step; });
      EXPECT_GE(ends, 1) << step << " never happened";
      if (attempts == 1) EXPECT_EQ(ends, 1) << step;
    }
    if (round.kill.victim == "tofu") return;
    // Steps follow each other: one is done, for tofu too, when the next begins.
    std::set<std::string> done;
    const Line* before = nullptr;
    for (const Line& line : lines) {
      if (line.what != "begin") continue;
      EXPECT_FALSE(done.contains(line.step))
          << line.step << " was repeated by attempt " << line.attempt;
      if (before != nullptr && before->attempt == line.attempt) done.insert(before->step);
      before = &line;
    }
  }

  // I5: one lineage, serials that grow, the content that was asked for.
  void expect_state(const Round& round) {
    const Json items = installation_.query({"state", "list", "shop"})["items"];
    std::vector<Json> versions(items.begin(), items.end());
    ASSERT_FALSE(versions.empty());
    std::ranges::sort(versions, {}, [](const Json& v) { return v["number"].get<int>(); });
    for (const Json& version : versions) {
      EXPECT_EQ(version["divergent"], false) << version.dump();
      EXPECT_EQ(version["lineage"], versions[0]["lineage"]);
    }
    for (std::size_t i = 1; i < versions.size(); ++i) {
      EXPECT_GT(versions[i]["serial"].get<int>(), versions[i - 1]["serial"].get<int>());
    }
    EXPECT_GE(versions.size(), states_.size());
    for (std::size_t i = 0; i < std::min(states_.size(), versions.size()); ++i) {
      EXPECT_EQ(versions[i]["sha256"], states_[i]["sha256"]) << "a stored state has changed";
    }
    states_ = versions;
    const auto pulled = installation_.command({"state", "pull", "shop"});
    ASSERT_EQ(pulled.code, 0) << pulled.err;
    std::set<std::string> resources;
    for (const Json& resource : Json::parse(pulled.out)["resources"]) {
      for (const Json& instance : resource["instances"]) {
        resources.insert(resource["name"].get<std::string>() + " " +
                         instance["attributes"]["triggers_replace"]["value"].get<std::string>() +
                         (instance.contains("status") ? " tainted" : ""));
      }
    }
    std::set<std::string> wanted;
    for (const auto name : {"a", "b", "c"}) {
      if (!round.destroy) wanted.insert(fmt::format("{} {}", name, version_));
    }
    EXPECT_EQ(resources, wanted);
  }

  // I8.
  void expect_nothing_lives(const Round& round) const {
    EXPECT_TRUE(eventually(60s, [&] { return installation_.processes_of(round.run).empty(); }));
  }

  // What the store's file says while no daemon has it.
  std::string sql(const std::string& statement) const {
    const auto done = run_program(
        {"sqlite3", (installation_.state_dir() / "provisioner.db").string(), statement});
    EXPECT_EQ(done.code, 0) << done.err;
    return done.out;
  }

  std::vector<Kill> draw_kills() {
    std::vector<Kill> kills(kKills);
    for (int i = 0; i < kKills; ++i) kills[i].phase = kPhases[i % kPhases.size()];
    std::ranges::shuffle(kills, draw_);
    for (int i = 0; i < kKills; ++i) kills[i].victim = kVictims[i % kVictims.size()];
    std::ranges::shuffle(kills, draw_);
    return kills;
  }

  Installation installation_;
  std::mt19937_64 draw_{seed()};
  int version_ = 1;
  std::set<std::string> requested_;
  std::vector<Json> states_;  // at the end of the round before
};

TEST_F(Kills, TwentyKillsAtAnyMomentLoseAndDoubleNothing) {
  fmt::print("seed {} (PROVISIONER_TEST_SEED)\n", seed());
  fmt::print("{:>5}  {:8}{:15}{:14}{:14}{:>8}{:>9}\n", "round", "what", "victim", "drawn", "hit",
             "attempts", "seconds");
  std::vector<Kill> kills = draw_kills();
  bool deployed = false;
  int struck = 0;
  // Where the victim was gone before the blow, the kill is tried again.
  for (std::size_t i = 0; i < kills.size() && i < 2 * kKills; ++i) {
    const auto began = std::chrono::steady_clock::now();
    const bool destroy = deployed && std::uniform_int_distribution(0, 3)(draw_) == 0;
    Round round = request(kills[i], destroy);
    SCOPED_TRACE(fmt::format("seed {}, round {}: {} of {} in phase {}", seed(), i + 1,
                             round.kill.victim, destroy ? "destroy" : "deploy", round.kill.phase));
    strike(round);
    if (round.hit.empty()) kills.push_back(round.kill);
    const Json run = wait_for_end(round.run);
    deployed = !destroy;
    expect_end(round, run);
    expect_steps(round, attempts_of(run));
    expect_state(round);
    expect_nothing_lives(round);
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
    fmt::print("{:>5}  {:8}{:15}{:14}{:14}{:>8}{:>9.1f}\n", i + 1, destroy ? "destroy" : "deploy",
               round.kill.victim, round.kill.phase, round.hit.empty() ? "(too late)" : round.hit,
               attempts_of(run), took.count());
    std::fflush(stdout);
    struck += round.hit.empty() ? 0 : 1;
    if (HasFailure()) {
      fmt::print("{}\n{}", run.dump(2), read_file(root() / "journal"));
      return;
    }
  }

  EXPECT_EQ(struck, kKills);

  // The schedule fired in between, and each of its runs has ended (I4).
  const std::string first = installation_.run(*requested_.begin())["created_at"];
  EXPECT_TRUE(eventually(70s, [&] {
    const auto fired = installation_.runs("clock");
    return !fired.empty() && fired[0]["scheduled_for"].get<std::string>() > first;
  }));
  for (const Json& fired : installation_.runs("clock")) {
    EXPECT_EQ(installation_.wait_for_end(fired["id"])["status"], "succeeded") << fired.dump(2);
  }

  // No lock is left: the next plan works, and finds nothing to do.
  const auto plan = installation_.command({"workspace", "plan", "shop"});
  EXPECT_EQ(plan.code, 0) << plan.out << plan.err;
  EXPECT_NE((plan.out + plan.err).find(deployed ? "Plan: 0 to add" : "Plan: 3 to add"),
            std::string::npos)
      << plan.out << plan.err;
  EXPECT_EQ(installation_.stop_daemon(), 0) << installation_.log();
  EXPECT_EQ(sql("SELECT * FROM state_locks WHERE workspace = 'shop'"), "");

  // I3: every minute is in the ledger once, and what fired has a run of its own.
  EXPECT_EQ(sql("SELECT sum(count) - ((max(until) - min(at)) / 60000000 + 1) FROM occurrences"
                " WHERE workspace = 'clock'"),
            "0\n");
  EXPECT_EQ(sql("SELECT x.schedule, x.at, y.at FROM occurrences x JOIN occurrences y"
                " USING (workspace, schedule) WHERE x.at < y.at AND y.at <= x.until"),
            "");
  EXPECT_EQ(sql("SELECT schedule, at FROM occurrences WHERE outcome = 'fired'"
                " AND run NOT IN (SELECT id FROM runs)"),
            "");
  EXPECT_EQ(sql("SELECT run FROM occurrences WHERE run IS NOT NULL GROUP BY run"
                " HAVING count(*) > 1"),
            "");
  EXPECT_EQ(sql("SELECT workspace, scheduled_for FROM runs WHERE scheduled_for IS NOT NULL"
                " GROUP BY workspace, scheduled_for HAVING count(*) > 1"),
            "");
}

}  // namespace
}  // namespace provisioner::testing
