#include "tests/chaos/failover/recorder.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <random>
#include <sstream>
#include <stdexcept>

#include "tests/support/eventually.hpp"

namespace provisioner::testing {

using namespace std::chrono_literals;

namespace {

constexpr std::string_view kUnended = "status IN ('queued', 'running')";

std::string step(const Cluster& cluster, const std::string& workspace, std::string_view seconds) {
  return fmt::format("sh {}/step {} {}", cluster.root().string(), workspace, seconds);
}

}  // namespace

http::Request late_write(const std::filesystem::path& attempt) {
  const Json note = Json::parse(read_file(attempt / "attempt.json"));
  return {.method = "POST",
          .target = "/runner/v1/state?ID=late",
          .headers = {{"Authorization",
                       fmt::format("Bearer {}.{}.{}", note["run"].get<std::string>(),
                                   note["attempt"].get<int>(), note["claim"].get<std::string>())}},
          .body = R"({"version": 4, "serial": 1000, "lineage": "late", "outputs": {},
                      "resources": []})"};
}

Recorder::Recorder(Cluster& cluster, int long_steps) : cluster_(cluster) {
  // A lock on an open file ends with the last process that holds it: whoever finds it taken has met
  // another living attempt. Short lines are appended whole.
  write_file(cluster.root() / "step", fmt::format(R"(cd {}
exec 9>busy-$1
flock -n 9 || {{ echo "$PROVISIONER_ATTEMPT doubled" >> journal; exit 1; }}
echo "$PROVISIONER_ATTEMPT begin" >> journal
sleep $2
echo "$PROVISIONER_ATTEMPT end" >> journal
)",
                                                  cluster.root().string()));
  const Json schedules = {{"deploy_schedule", "*/2 * * * *"},
                          {"destroy_schedule", "1-59/2 * * * *"},
                          {"on_change", "ignore"}};
  const Json by_hand = {{"on_change", "ignore"}};
  for (int i = 0; i + 1 < kWorkspaces; ++i) add_script(fmt::format("w{}", i), schedules, "0.3");
  const std::string real = fmt::format("w{}", kWorkspaces - 1);
  add(real, schedules,
      fmt::format(R"(resource "terraform_data" "one" {{
  provisioner "local-exec" {{
    command = "{}"
  }}
}}
resource "terraform_data" "two" {{
  depends_on = [terraform_data.one]
}}
)",
                  step(cluster, real, "0.3")));
  add_script("watched", schedules, "0.1");
  add_script("slow", by_hand, "3");
  add_steps("brief", 3, 3);
  add_steps("longer", 8, 5);
  add_steps("long", long_steps, 5);
}

void Recorder::add(const std::string& name, Json config, const std::string& tf) {
  cluster_.add_workspace(name, config, tf);
  ++workspaces_;
}

void Recorder::add_script(const std::string& name, Json config, const std::string& seconds) {
  config["custom_deploy"] = {{"init_command", "true"},
                             {"plan_command", "true"},
                             {"apply_command", step(cluster_, name, seconds)}};
  config["custom_destroy"] = {{"init_command", "true"},
                              {"destroy_command", step(cluster_, name, seconds)}};
  add(name, std::move(config));
  scripts_ += fmt::format("{}'{}'", scripts_.empty() ? "" : ", ", name);
}

void Recorder::add_steps(const std::string& name, int count, int seconds) {
  std::string steps, before;
  for (int i = 0; i < count; ++i) {
    steps += fmt::format(R"(resource "terraform_data" "s{}" {{
  triggers_replace = timestamp()
  depends_on = [{}]
  provisioner "local-exec" {{
    command = "{}"
  }}
}}
)",
                         i, before, step(cluster_, name, std::to_string(seconds)));
    before = fmt::format("terraform_data.s{}", i);
  }
  add(name, {{"on_change", "ignore"}}, steps);
}

bool Recorder::all_published() {
  return cluster_.sql("SELECT 1 FROM workspace_states").size() ==
         static_cast<std::size_t>(workspaces_);
}

void Recorder::begin_work() {
  worker_ = std::jthread([this](const std::stop_token& stop) { work(stop); });
}

void Recorder::work(const std::stop_token& stop) {
  std::mt19937 random(20261123);
  const auto below = [&](int n) { return std::uniform_int_distribution(0, n - 1)(random); };
  while (!stop.stop_requested()) {
    const auto answer = cluster_.ask(below(Cluster::kSize), "POST",
                                     fmt::format("/api/v1/workspaces/w{}/{}", below(kWorkspaces),
                                                 below(2) == 0 ? "deploy" : "destroy"),
                                     "{}", 500ms);
    if (answer.status == 202) {
      const std::lock_guard guard(mutex_);
      accepted_.push_back(Json::parse(answer.body)["id"]);
    }
    std::this_thread::sleep_for(100ms);
  }
}

void Recorder::end_work() {
  if (worker_.joinable()) {
    worker_.request_stop();
    worker_.join();
  }
  if (eventually(90s, [&] { return is_at_rest(); })) return;
  std::string unended;
  for (const auto& row :
       cluster_.sql(fmt::format("SELECT to_jsonb(runs) - 'config' FROM runs WHERE {}", kUnended))) {
    unended += row + "\n";
  }
  for (const auto& row : cluster_.sql("SELECT workspace || ' ' || cursor FROM schedules")) {
    unended += "planned up to: " + row + "\n";
  }
  throw std::runtime_error("no rest:\n" + unended);
}

// Everything has ended, and the schedules begin nothing until the judgement is over.
bool Recorder::is_at_rest() {
  return cluster_
             .sql(fmt::format(
                 "SELECT 1 WHERE extract(second FROM now()) < 50 AND NOT EXISTS (SELECT 1 "
                 "FROM runs WHERE {}) AND NOT EXISTS (SELECT 1 FROM schedules WHERE "
                 "workspace LIKE 'w%' AND cursor < date_trunc('minute', now()))",
                 kUnended))
             .size() == 1;
}

std::string Recorder::deploy(int daemon, const std::string& workspace,
                             std::chrono::milliseconds patience) {
  std::string run;
  eventually(patience, [&] {
    const auto answer =
        cluster_.ask(daemon, "POST", fmt::format("/api/v1/workspaces/{}/deploy", workspace), "{}");
    if (answer.status == 202) run = Json::parse(answer.body)["id"];
    return !run.empty();
  });
  if (!run.empty()) {
    const std::lock_guard guard(mutex_);
    accepted_.push_back(run);
  }
  return run;
}

std::vector<std::string> Recorder::accepted() {
  const std::lock_guard guard(mutex_);
  return accepted_;
}

std::vector<std::string> Recorder::forget_lost() {
  const std::lock_guard guard(mutex_);
  const auto lost = std::ranges::partition(accepted_, [&](const std::string& run) {
    return !cluster_.sql("SELECT 1 FROM runs WHERE id = '" + run + "'").empty();
  });
  std::vector<std::string> runs(lost.begin(), lost.end());
  accepted_.erase(lost.begin(), lost.end());
  return runs;
}

std::filesystem::path Recorder::directory_of(const std::string& run) {
  return cluster_
      .sql("SELECT directory FROM run_attempts WHERE attempt = 1 AND run = '" + run + "'")
      .at(0);
}

int Recorder::begun_steps(const std::string& run) const {
  std::istringstream journal(read_file(cluster_.root() / "journal"));
  int count = 0;
  for (std::string attempt, what; journal >> attempt >> what;) {
    if (attempt.starts_with(run + ".") && what == "begin") ++count;
  }
  return count;
}

int Recorder::ended_runs() {
  return std::stoi(
      cluster_.sql(fmt::format("SELECT count(*) FROM runs WHERE NOT {}", kUnended)).at(0));
}

std::string Recorder::judge(Harm done) {
  std::string wrong;
  judge_runs(done, wrong);
  judge_journal(done, wrong);
  judge_ledger(wrong);
  judge_states(wrong);
  return wrong;
}

// I4, I9
void Recorder::judge_runs(Harm done, std::string& wrong) {
  const std::lock_guard guard(mutex_);
  for (const auto& run : accepted_) {
    const auto rows = cluster_.sql("SELECT status FROM runs WHERE id = '" + run + "'");
    if (rows.empty()) wrong += fmt::format("run {} was accepted and is lost\n", run);
  }
  accepted_.clear();
  if (done == Harm::kNone) {
    for (const auto& row : cluster_.sql(fmt::format(
             "SELECT id || ' ' || workspace || ' ' || status || ' attempt ' || attempt || ' ' || "
             "error FROM runs WHERE seq > {} AND (status = 'failed' OR EXISTS (SELECT 1 FROM "
             "run_attempts a WHERE a.run = id AND a.attempt < runs.attempt AND a.error NOT LIKE "
             "'%before its runner had registered%'))",
             since_))) {
      wrong += fmt::format("not at the first attempt: {}\n", row);
    }
  }
  // I2, as far as runs show it.
  for (const auto& row : cluster_.sql(
           "SELECT old.run || ' claimed with term ' || old.term || ' after term ' || next.term "
           "FROM "
           "run_attempts old JOIN run_attempts next ON old.term < next.term AND old.started_at > "
           "next.started_at")) {
    wrong += row + "\n";
  }
  since_ = cluster_.sql("SELECT coalesce(max(seq), 0) FROM runs").at(0);
}

// I1, and that what counts as done was done, once.
void Recorder::judge_journal(Harm done, std::string& wrong) {
  std::istringstream journal(read_file(cluster_.root() / "journal"));
  std::map<std::string, std::vector<std::string>> attempts;
  for (std::string attempt, what; journal >> attempt >> what;) attempts[attempt].push_back(what);
  for (const auto& [attempt, steps] : attempts) {
    bool is_good = true;
    for (std::size_t i = 0; i < steps.size(); ++i) {
      is_good = is_good && steps[i] == (i % 2 == 0 ? "begin" : "end");
    }
    if (is_good) continue;
    wrong += fmt::format("attempt {}:", attempt);
    for (const auto& what : steps) wrong += " " + what;
    wrong += "\n";
  }
  for (const auto& attempt : cluster_.sql(
           fmt::format("SELECT id || '.' || attempt FROM runs WHERE status = 'succeeded' AND "
                       "workspace IN ({})",
                       scripts_))) {
    const std::size_t steps = attempts[attempt].size();
    if (steps < 2 || (steps > 2 && done != Harm::kLostCommits)) {
      wrong += fmt::format("attempt {} succeeded, but did not do its work\n", attempt);
    }
  }
}

// I3: of each schedule every occurrence, once.
void Recorder::judge_ledger(std::string& wrong) {
  for (const auto& row : cluster_.sql(R"sql(
    WITH bounds AS (SELECT workspace, schedule, min(at) AS first, max(until) AS last
                    FROM occurrences GROUP BY workspace, schedule)
    SELECT b.workspace || ' ' || b.schedule || ' ' || wanted || ': ' || count(o.at) || ' rows'
    FROM bounds b CROSS JOIN generate_series(b.first, b.last, '2 minutes') AS wanted
    LEFT JOIN occurrences o ON o.workspace = b.workspace AND o.schedule = b.schedule
                               AND wanted BETWEEN o.at AND o.until
    GROUP BY b.workspace, b.schedule, wanted HAVING count(o.at) <> 1)sql")) {
    wrong += "occurrence " + row + "\n";
  }
  for (const auto& row : cluster_.sql(
           "SELECT workspace || ' ' || scheduled_for || ' ' || count(*) FROM runs WHERE trigger = "
           "'schedule' GROUP BY workspace, scheduled_for HAVING count(*) > 1")) {
    wrong += "occurrence that started several runs: " + row + "\n";
  }
  for (const auto& row : cluster_.sql("SELECT workspace || ' ' || cursor FROM schedules WHERE "
                                      "workspace LIKE 'w%' AND cursor < "
                                      "date_trunc('minute', now() - interval '10 seconds')")) {
    wrong += "schedule left behind: " + row + "\n";
  }
}

// I5
void Recorder::judge_states(std::string& wrong) {
  for (const auto& row : cluster_.sql(R"sql(
    SELECT workspace || ' version ' || number || ' serial ' || serial || ' after ' || before
    FROM (SELECT workspace, number, serial, lineage,
                 lag(serial) OVER w AS before, lag(lineage) OVER w AS lineage_before
          FROM state_versions WHERE NOT divergent
          WINDOW w AS (PARTITION BY workspace ORDER BY number)
         ) AS versions
    WHERE serial <= before OR lineage <> lineage_before)sql")) {
    wrong += "state " + row + "\n";
  }
  for (const auto& row :
       cluster_.sql("SELECT workspace || ' ' || number FROM state_versions WHERE divergent")) {
    wrong += "divergent state " + row + "\n";
  }
  for (const auto& row : cluster_.sql("SELECT workspace FROM state_locks")) {
    wrong += "lock left behind on " + row + "\n";
  }
}

}  // namespace provisioner::testing
