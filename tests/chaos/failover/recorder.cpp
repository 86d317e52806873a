#include "tests/chaos/failover/recorder.hpp"

#include <fmt/format.h>

#include <map>
#include <random>
#include <sstream>
#include <stdexcept>

#include "tests/support/eventually.hpp"

namespace provisioner::testing {

using namespace std::chrono_literals;

namespace {

constexpr std::string_view kUnended = "status IN ('queued', 'running')";

std::string step(const Cluster& cluster, const std::string& workspace, std::string_view what) {
  return fmt::format("sh {}/step {} {}", cluster.root().string(), workspace, what);
}

}  // namespace

Recorder::Recorder(Cluster& cluster) : cluster_(cluster) {
  // A lock on an open file ends with the last process that holds it: whoever finds it taken has met
  // another living attempt. Short lines are appended whole.
  write_file(cluster.root() / "step", fmt::format(R"(cd {}
exec 9>busy-$1
flock -n 9 || {{ echo "$PROVISIONER_ATTEMPT doubled" >> journal; exit 1; }}
echo "$PROVISIONER_ATTEMPT begin" >> journal
sleep ${{3:-0.3}}
echo "$PROVISIONER_ATTEMPT end" >> journal
)",
                                                  cluster.root().string()));
  const Json schedules = {{"deploy_schedule", "*/2 * * * *"},
                          {"destroy_schedule", "1-59/2 * * * *"},
                          {"on_change", "ignore"}};
  for (int i = 0; i + 1 < kWorkspaces; ++i) {
    const std::string name = fmt::format("w{}", i);
    Json config = schedules;
    config["custom_deploy"] = {{"init_command", "true"},
                               {"plan_command", "true"},
                               {"apply_command", step(cluster, name, "deploy")}};
    config["custom_destroy"] = {{"init_command", "true"},
                                {"destroy_command", step(cluster, name, "destroy")}};
    cluster.add_workspace(name, config);
  }
  const std::string real = fmt::format("w{}", kWorkspaces - 1);
  cluster.add_workspace(real, schedules,
                        fmt::format(R"(resource "terraform_data" "one" {{
  provisioner "local-exec" {{
    command = "{}"
  }}
}}
resource "terraform_data" "two" {{
  depends_on = [terraform_data.one]
}}
)",
                                    step(cluster, real, "deploy")));
  // For a test of its own to deploy: a short one of one step, a long one of many.
  cluster.add_workspace("slow", {{"on_change", "ignore"},
                                 {"custom_deploy",
                                  {{"init_command", "true"},
                                   {"plan_command", "true"},
                                   {"apply_command", step(cluster, "slow", "deploy 3")}}}});
  std::string steps, before;
  for (int i = 0; i < 12; ++i) {
    steps += fmt::format(R"(resource "terraform_data" "s{}" {{
  triggers_replace = timestamp()
  depends_on = [{}]
  provisioner "local-exec" {{
    command = "{}"
  }}
}}
)",
                         i, before, step(cluster, "long", "deploy 5"));
    before = fmt::format("terraform_data.s{}", i);
  }
  cluster.add_workspace("long", {{"on_change", "ignore"}}, steps);
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
  const bool ended = eventually(90s, [&] {
    return cluster_.sql(fmt::format("SELECT 1 FROM runs WHERE {} LIMIT 1", kUnended)).empty();
  });
  if (ended) return;
  std::string unended;
  for (const auto& row :
       cluster_.sql(fmt::format("SELECT to_jsonb(runs) - 'config' FROM runs WHERE {}", kUnended))) {
    unended += row + "\n";
  }
  throw std::runtime_error("runs without an end:\n" + unended);
}

bool Recorder::has_begun(const std::string& run) const {
  return read_file(cluster_.root() / "journal").find(run + ".") != std::string::npos;
}

int Recorder::ended_runs() {
  return std::stoi(
      cluster_.sql(fmt::format("SELECT count(*) FROM runs WHERE NOT {}", kUnended)).at(0));
}

std::string Recorder::judge(bool runners_were_killed) {
  std::string wrong;
  judge_runs(runners_were_killed, wrong);
  judge_journal(wrong);
  judge_ledger(wrong);
  judge_states(wrong);
  return wrong;
}

// I4, I9
void Recorder::judge_runs(bool runners_were_killed, std::string& wrong) {
  const std::lock_guard guard(mutex_);
  for (const auto& run : accepted_) {
    const auto rows = cluster_.sql("SELECT status FROM runs WHERE id = '" + run + "'");
    if (rows.empty()) wrong += fmt::format("run {} was accepted and is lost\n", run);
  }
  accepted_.clear();
  if (!runners_were_killed) {
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
void Recorder::judge_journal(std::string& wrong) {
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
                       "workspace NOT IN ('w{}', 'long')",
                       kWorkspaces - 1))) {
    if (attempts[attempt].size() != 2) {
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
