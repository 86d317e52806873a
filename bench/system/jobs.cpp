// Jobs in numbers: an edit among 1,000 workspaces with 5 jobs each, and an event that 500 jobs wait
// for.
#include <fmt/format.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "base/time.hpp"
#include "bench/system/shared/api.hpp"
#include "bench/system/shared/figure.hpp"
#include "bench/system/shared/observed.hpp"
#include "tests/support/daemon.hpp"
#include "tests/support/eventually.hpp"

namespace provisioner::bench {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using std::chrono::steady_clock;
using testing::eventually;
using testing::Installation;
using testing::write_file;

constexpr std::size_t kWorkspaces = 1'000;
constexpr std::chrono::milliseconds kSettle = 500ms;

std::string with_jobs(std::size_t jobs, const std::string& schedule, const std::string& more) {
  Json config = {{"description", more}, {"jobs", Json::array()}};
  for (std::size_t i = 0; i < jobs; ++i) {
    config["jobs"].push_back({{"name", fmt::format("job-{}", i)},
                              {"type", "command"},
                              {"command", "true"},
                              {"schedule", schedule}});
  }
  return config.dump(2);
}

Instant instant_of(const Json& field) { return parse_rfc3339(field.get<std::string>()).value(); }

double milliseconds(Duration duration) {
  return std::chrono::duration<double, std::milli>(duration).count();
}

std::size_t count_in_log(const Installation& installation, const std::string& what) {
  const std::string log = installation.log();
  std::size_t count = 0;
  for (auto at = log.find(what); at != std::string::npos; at = log.find(what, at + 1)) ++count;
  return count;
}

void wait_for_log(const Installation& installation, const std::string& what, std::size_t times) {
  if (!eventually(120s, [&] { return count_in_log(installation, what) >= times; })) {
    throw std::runtime_error(fmt::format("\"{}\" was not logged {} times", what, times));
  }
}

// The newest run that `trigger` made.
Json wait_for_run(Api& api, const std::string& workspace, const std::string& trigger) {
  Json found;
  const bool seen = eventually(60s, [&] {
    for (const Json& run : api.get("/api/v1/runs?workspace=" + workspace).at("items")) {
      if (run.at("trigger") == trigger) {
        found = run;
        return true;
      }
    }
    return false;
  });
  if (!seen) throw std::runtime_error("no run by " + trigger);
  return found;
}

void measure_edit() {
  Installation installation;
  installation.environment["PROVISIONER_CHANGE_SETTLE"] = "500ms";
  for (std::size_t i = 0; i < kWorkspaces; ++i) {
    const fs::path folder = installation.workspace_dir(fmt::format("w-{:04}", i));
    write_file(folder / "config.json", with_jobs(5, fmt::format("{} 3 1 1 *", i % 60), "made"));
    write_file(folder / "main.tf", "resource \"terraform_data\" \"x\" {\n  input = 1\n}\n");
  }
  installation.start();
  wait_for_log(installation, "\"workspace loaded\"", kWorkspaces);
  Api api(installation.state_dir() / "provisioner.sock");
  std::vector<double> lags;
  for (int i = 0; i < 9; ++i) {
    const std::string name = fmt::format("w-{:04}", i * 100);
    if (api.follow(api.deploy(name)).at("status") != "succeeded") {
      throw std::runtime_error("the deploy before the edit failed");
    }
    write_file(installation.workspace_dir(name) / "main.tf",
               "resource \"terraform_data\" \"x\" {\n  input = 2\n}\n");
    const Instant edited = std::chrono::time_point_cast<Duration>(std::chrono::system_clock::now());
    const Json run = wait_for_run(api, name, "change");
    lags.push_back(milliseconds(instant_of(run.at("created_at")) - edited - kSettle));
  }
  print({.name = "1,000 workspaces with 5 jobs: an edit, from settled to planned",
         .unit = "ms",
         .ours = median(lags),
         .target = 100,
         .note = fmt::format("median of {}; the worst {:.0f} ms; {}", lags.size(),
                             std::ranges::max(lags), load_average())});

  const auto reading = steady_clock::now();
  std::size_t bytes = 0;
  for (const auto& entry : fs::recursive_directory_iterator(installation.config_dir())) {
    if (entry.is_regular_file()) bytes += testing::read_file(entry.path()).size();
  }
  const double peer = seconds_since(reading);
  const pid_t pid = installation.daemon().pid();
  const auto before = cpu_time_of(pid);
  if (kill(pid, SIGHUP) != 0) throw std::runtime_error("no daemon to tell");
  wait_for_log(installation, "reading all workspaces", 1);
  std::chrono::duration<double> used{};
  eventually(30s, [&] {
    const auto now = cpu_time_of(pid) - before;
    const bool rests = now - used < 5ms && now > 0ms;
    used = now;
    if (!rests) std::this_thread::sleep_for(500ms);
    return rests;
  });
  print({.name = "1,000 workspaces with 5 jobs: a full reload of what has not changed",
         .unit = "s",
         .ours = used.count(),
         .peer_name = fmt::format("reading the files ({} KB)", bytes / 1000),
         .peer = peer,
         .target = 1,
         .note = "processor time of the daemon: each file is read and hashed, none is parsed"});
}

// From the end of the deploy until the last of the jobs that wait for it is queued.
double milliseconds_to_queue(std::size_t jobs) {
  Installation installation;
  write_file(installation.workspace_dir("shop") / "config.json",
             with_jobs(jobs, "@deployment", "many"));
  write_file(installation.workspace_dir("shop") / "main.tf",
             "resource \"terraform_data\" \"x\" {\n  input = 1\n}\n");
  installation.start();
  wait_for_log(installation, "\"workspace loaded\"", 1);
  Api api(installation.state_dir() / "provisioner.sock");
  const Json deploy = api.follow(api.deploy("shop"));
  Instant last{};
  std::size_t seen = 0;
  const bool all = eventually(60s, [&] {
    seen = 0;
    std::string cursor;
    do {
      const Json page = api.get("/api/v1/runs?workspace=shop&limit=500" +
                                (cursor.empty() ? std::string() : "&cursor=" + cursor));
      for (const Json& run : page.at("items")) {
        if (run.at("trigger") != "event") continue;
        ++seen;
        last = std::max(last, instant_of(run.at("created_at")));
      }
      cursor = page.contains("next_cursor") && page.at("next_cursor").is_string()
                   ? page.at("next_cursor").get<std::string>()
                   : std::string();
    } while (!cursor.empty());
    return seen >= jobs;
  });
  const Instant visible = std::chrono::time_point_cast<Duration>(std::chrono::system_clock::now());
  if (!all) throw std::runtime_error(fmt::format("only {} of {} were queued", seen, jobs));
  return milliseconds(visible - instant_of(deploy.at("finished_at")));
}

}  // namespace
}  // namespace provisioner::bench

int main() {
  using namespace provisioner::bench;
  measure_edit();
  const double fifty = milliseconds_to_queue(50);
  const double five_hundred = milliseconds_to_queue(500);
  print({.name = "500 jobs of one deploy: all queued, and seen through the API",
         .unit = "ms",
         .ours = five_hundred,
         .peer_name = "50 jobs",
         .peer = fifty,
         .target = 1000,
         .note = load_average()});
  return 0;
}
