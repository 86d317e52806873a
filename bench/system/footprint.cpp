// What the programs take of a machine: 10,000 workspaces, the quick start at rest, one runner.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <regex>
#include <sstream>
#include <stdexcept>
#include <thread>
#include <vector>

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
using testing::built;
using testing::eventually;
using testing::Installation;
using testing::write_file;

constexpr std::size_t kWorkspaces = 10'000;

void add_many(const Installation& installation) {
  for (std::size_t i = 0; i < kWorkspaces; ++i) {
    const fs::path folder = installation.workspace_dir(fmt::format("workspace-{:05}", i));
    write_file(folder / "config.json", fmt::format(R"({{"description": "workspace {0}",
  "deploy_schedule": ["{1} 7 * 1 MON-FRI", "{1} 9 * 1 SAT"],
  "destroy_schedule": "{1} 19 * 1 *",
  "timezone": "Europe/Zurich",
  "variables": {{"size": "small", "number": {0}}}}})",
                                                   i, i % 60));
    write_file(folder / "main.tf",
               fmt::format("variable \"size\" {{}}\nvariable \"number\" {{}}\n"
                           "resource \"terraform_data\" \"r{}\" {{\n  input = 1\n}}\n",
                           i));
  }
}

// The peer of loading: every file opened and read, nothing done with it.
double seconds_to_read(const fs::path& directory) {
  const auto start = steady_clock::now();
  std::size_t bytes = 0;
  for (const auto& entry : fs::recursive_directory_iterator(directory)) {
    if (entry.is_regular_file()) bytes += testing::read_file(entry.path()).size();
  }
  if (bytes == 0) throw std::runtime_error("nothing was read");
  return seconds_since(start);
}

// How many lines of the daemon's log say it; reads on where it stopped.
class Count {
 public:
  Count(fs::path log, std::string what) : log_(std::move(log)), what_(std::move(what)) {}
  std::size_t now() {
    std::ifstream stream(log_);
    stream.seekg(read_);
    for (std::string line; std::getline(stream, line);) {
      if (stream.eof()) break;  // half a line: next time
      read_ = stream.tellg();
      if (line.find(what_) != std::string::npos) ++count_;
    }
    return count_;
  }

 private:
  fs::path log_;
  std::string what_;
  std::streamoff read_ = 0;
  std::size_t count_ = 0;
};

// Until the process has used next to nothing for a second.
void wait_for_rest(pid_t pid, std::chrono::seconds longest) {
  eventually(longest, [pid] {
    const auto before = cpu_time_of(pid);
    std::this_thread::sleep_for(1s);
    return cpu_time_of(pid) - before < 20ms;
  });
}

std::string metrics_url(const Installation& installation) {
  static const std::regex address(R"re("address":"(http://[^"]+/metrics)")re");
  const std::string log = installation.log();
  std::smatch found;
  if (!std::regex_search(log, found, address)) throw std::runtime_error("no metrics: " + log);
  return found[1];
}

// As a monitoring system gets it, by curl's clock: connecting, the page, all of it read.
void measure_metrics(const Installation& installation) {
  const std::string url = metrics_url(installation);
  std::vector<double> milliseconds;
  double bytes = 0;
  for (int i = 0; i < 51; ++i) {
    const auto page = testing::run_program(
        {"curl", "-sS", "-o", "/dev/null", "-w", "%{time_total} %{size_download}", url});
    std::istringstream said(page.out);
    double seconds = 0;
    if (!(said >> seconds >> bytes)) throw std::runtime_error("no page: " + page.err);
    milliseconds.push_back(seconds * 1000);
  }
  print({.name = "10,000 workspaces: a page of metrics",
         .unit = "ms",
         .ours = median(milliseconds),
         .target = 10,
         .note = fmt::format("median of {}; the worst {:.2f} ms", milliseconds.size(),
                             std::ranges::max(milliseconds))});
  print({.name = "10,000 workspaces: its size", .unit = "KB", .ours = bytes / 1000, .target = 100});
}

void measure_many() {
  Installation installation;
  installation.environment["PROVISIONER_METRICS_LISTEN"] = "127.0.0.1:0";
  add_many(installation);
  const double reading = seconds_to_read(installation.config_dir());

  const auto validation_start = steady_clock::now();
  const auto validated = installation.command({"workspace", "validate", "--all"});
  const double validating = seconds_since(validation_start);
  if (validated.code != 0) throw std::runtime_error("not valid: " + validated.err);
  print({.name = "10,000 workspaces: validate --all",
         .unit = "s",
         .ours = validating,
         .peer_name = "reading the files",
         .peer = reading,
         .target = 2,
         .note = load_average()});

  const auto start = steady_clock::now();
  installation.start();
  Count loaded(installation.root() / "daemon.log", "workspace loaded");
  if (!eventually(120s, [&] { return loaded.now() == kWorkspaces; })) {
    throw std::runtime_error(fmt::format("only {} workspaces were loaded", loaded.now()));
  }
  const double loading = seconds_since(start);
  const pid_t pid = installation.daemon().pid();
  const double busy = cpu_time_of(pid).count();
  print({.name = "10,000 workspaces: empty store to all published",
         .unit = "s",
         .ours = loading,
         .peer_name = "reading the files",
         .peer = reading,
         .target = 2,
         .note = fmt::format("{:.2f} s of processor time; {}", busy, load_average())});

  wait_for_rest(pid, 60s);
  Api api(installation.state_dir() / "provisioner.sock");
  const Memory memory = memory_of(pid);
  const double settled = cpu_time_of(pid).count();
  const std::size_t listed = api.get("/api/v1/workspaces")["items"].size();
  if (listed != kWorkspaces) throw std::runtime_error(fmt::format("{} are listed", listed));
  print({.name = "10,000 workspaces: memory of the daemon",
         .unit = "MB",
         .ours = memory.rss,
         .target = 150,
         .note = fmt::format("at rest, {:.2f} s of processor time after the start; peak {:.0f} MB",
                             settled, peak_megabytes_of(pid))});

  measure_metrics(installation);

  installation.stop_daemon();
  const auto again = steady_clock::now();
  installation.start();
  print_note(fmt::format("started again over the same store: answers after {:.2f} s",
                         seconds_since(again)));
}

void measure_quick_start() {
  Installation installation;
  const fs::path examples = fs::path(PROVISIONER_SOURCE_DIR) / "examples" / "quickstart";
  fs::copy(examples / "workspaces", installation.config_dir() / "workspaces",
           fs::copy_options::recursive);
  installation.environment["PROVISIONER_LISTEN"] = "127.0.0.1:0";
  installation.start();
  Api api(installation.state_dir() / "provisioner.sock");
  std::this_thread::sleep_for(1s);
  // What the schedules want at the start comes first.
  eventually(60s, [&] { return api.get("/api/v1/runs?status=queued,running")["items"].empty(); });
  const pid_t pid = installation.daemon().pid();
  wait_for_rest(pid, 20s);

  const auto start = steady_clock::now();
  const auto before = cpu_time_of(pid);
  const auto runs_before = api.get("/api/v1/runs?limit=500")["items"].size();
  std::this_thread::sleep_for(30s);
  const double used = (cpu_time_of(pid) - before).count() / seconds_since(start) * 100;
  const Memory memory = memory_of(pid);
  const auto runs = api.get("/api/v1/runs?limit=500")["items"].size() - runs_before;
  print({.name = "quick start at rest: memory of the daemon",
         .unit = "MB",
         .ours = memory.rss,
         .target = 30,
         .note = fmt::format("resident; {:.1f} MB when shared pages count in part", memory.pss)});
  print({.name = "quick start at rest: processor",
         .unit = "% of a core",
         .ours = used,
         .target = 0.5,
         .note = fmt::format("over 30 s, in which {} runs began; {}", runs, load_average())});
}

void measure_runner() {
  constexpr int kStarts = 200;
  std::vector<double> ours, peer;
  for (int i = 0; i < kStarts; ++i) {
    auto start = steady_clock::now();
    run_quietly({built("provisioner-runner")});  // refuses, having started
    ours.push_back(seconds_since(start) * 1000);
    start = steady_clock::now();
    run_quietly({"/bin/true"});
    peer.push_back(seconds_since(start) * 1000);
  }
  print({.name = "runner: start to end",
         .unit = "ms",
         .ours = median(ours),
         .peer_name = "/bin/true",
         .peer = median(peer),
         .target = 10,
         .note = fmt::format("median of {} in turn, p99 {:.1f} ms; {}", kStarts,
                             percentile(ours, 0.99), load_average())});

  Installation installation;
  const fs::path gate = installation.root() / "go";
  const std::string wait = fmt::format("while [ ! -e {} ]; do sleep 0.05; done", gate.string());
  installation.add_workspace(
      "waits", {{"custom_deploy",
                 {{"init_command", "true"}, {"plan_command", "true"}, {"apply_command", wait}}}});
  installation.start();
  Api api(installation.state_dir() / "provisioner.sock");
  eventually(20s, [&] { return !api.get("/api/v1/workspaces")["items"].empty(); });
  const std::string run = api.deploy("waits");
  std::vector<pid_t> runner;
  eventually(20s, [&] {
    runner = installation.processes_of(run, "provisioner-runner run");
    return !runner.empty() && !installation.processes_of(run, "sleep").empty();
  });
  const auto guard = installation.processes_of(run, "provisioner-guard guard");
  if (runner.empty() || guard.empty()) throw std::runtime_error("no runner was seen");
  print({.name = "runner: memory",
         .unit = "MB",
         .ours = peak_megabytes_of(runner.front()),
         .target = 10,
         .note = fmt::format("most that was resident; its guard {:.1f} MB; shared pages in part: "
                             "{:.1f} and {:.1f} MB",
                             peak_megabytes_of(guard.front()), memory_of(runner.front()).pss,
                             memory_of(guard.front()).pss)});
  write_file(gate, "");
  api.follow(run);
}

}  // namespace
}  // namespace provisioner::bench

int main() {
  provisioner::bench::measure_runner();
  provisioner::bench::measure_many();
  provisioner::bench::measure_quick_start();
}
