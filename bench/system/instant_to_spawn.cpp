// From an instant that a schedule names to the start of tofu, among 1,000 workspaces. The recorder
// looks from outside: a program in tofu's place writes down when it began. Cron knows minutes only,
// so most instants are ends of a ttl, which fall anywhere and go the same way. The peer sleeps
// until an instant and starts the same program: what the machine needs anyway.
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <time.h>

#include <filesystem>
#include <fstream>
#include <map>
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
using testing::eventually;
using testing::Installation;

constexpr std::size_t kWorkspaces = 1'000;
constexpr int kExpiring = 100;
constexpr int kTogether = 20;
constexpr auto kSpacing = 200ms;
constexpr auto kTtl = 25s;

Instant now() {
  timespec t{};
  clock_gettime(CLOCK_REALTIME, &t);
  return from_micros(t.tv_sec * 1'000'000 + t.tv_nsec / 1'000);
}

// The minute, once a year.
std::string cron_of(Instant minute) {
  const std::time_t seconds = to_micros(minute) / 1'000'000;
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  return fmt::format("{} {} {} {} *", utc.tm_min, utc.tm_hour, utc.tm_mday, utc.tm_mon + 1);
}

Instant minute_after(Instant at) {
  return std::chrono::floor<std::chrono::minutes>(at) + std::chrono::minutes(1);
}

class Recorder {
 public:
  explicit Recorder(const fs::path& directory)
      : program_(directory / "tofu"), journal_(directory / "tofu.journal") {
    fs::create_directories(directory);
    fs::copy_file(testing::built("stand_in_tofu"), program_);
  }

  const fs::path& program() const { return program_; }

  // By run: when its first program began, and whose it is.
  struct Start {
    Instant at;
    std::string workspace;
  };
  std::map<std::string, Start> first_starts() const {
    std::map<std::string, Start> starts;
    std::ifstream journal(journal_);
    std::string run, workspace, argument;
    for (std::int64_t at = 0; journal >> at >> run >> workspace >> argument;) {
      starts.try_emplace(run, Start{from_micros(at / 1'000), workspace});
    }
    return starts;
  }

  // The peer: sleeps until `at`, then starts the program under the name of a run. Blocks.
  void start_at(Instant at, const std::string& run, int count = 1) const {
    const timespec until{.tv_sec = to_micros(at) / 1'000'000,
                         .tv_nsec = to_micros(at) % 1'000'000 * 1'000};
    while (clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &until, nullptr) != 0) {
    }
    std::vector<pid_t> started;
    for (int i = 0; i < count; ++i) {
      std::string name = fmt::format("RUN_ID={}-{}", run, i);
      std::string workspace = "WORKSPACE_ID=peer";
      std::vector<char*> environment = {name.data(), workspace.data(), nullptr};
      std::string program = program_.string();
      std::string argument = "plan";
      std::vector<char*> argv = {program.data(), argument.data(), nullptr};
      pid_t pid = 0;
      if (posix_spawn(&pid, program.c_str(), nullptr, nullptr, argv.data(), environment.data())) {
        throw std::runtime_error("the peer cannot start its program");
      }
      started.push_back(pid);
    }
    for (const pid_t pid : started) waitpid(pid, nullptr, 0);
  }

 private:
  fs::path program_;
  fs::path journal_;
};

double late_ms(Instant start, Instant due) {
  return std::chrono::duration<double, std::milli>(start - due).count();
}

class Instants {
 public:
  Instants()
      : recorder_(installation_.root() / "recorder"),
        api_(installation_.state_dir() / "provisioner.sock"),
        one_at_(minute_after(now() + 20s)),
        many_at_(minute_after(std::max<Instant>(one_at_, now() + 75s))) {
    installation_.environment["PROVISIONER_TOFU_BINARY"] = recorder_.program().string();
    installation_.environment["PROVISIONER_SCHEDULER_TIMEZONE"] = "UTC";
    add("one-due", {{"deploy_schedule", cron_of(one_at_)}});
    for (int i = 0; i < kTogether; ++i) {
      add(fmt::format("together-{:02}", i), {{"deploy_schedule", cron_of(many_at_)}});
    }
    const Json ttl = {{"ttl", fmt::format("{}s", kTtl.count())}};
    for (int i = 0; i < kExpiring; ++i) add(expiring(i), ttl);
    // The crowd: due half a year from now.
    const Json quiet = {{"deploy_schedule", cron_of(now() + std::chrono::hours(24 * 180))}};
    while (added_ < kWorkspaces) add(fmt::format("quiet-{:04}", added_), quiet);

    installation_.start();
    const bool loaded = eventually(std::chrono::seconds(60), [&] {
      return api_.get("/api/v1/workspaces")["items"].size() == kWorkspaces;
    });
    if (!loaded) throw std::runtime_error("the workspaces were not loaded\n" + installation_.log());
  }

  void measure() {
    const auto due = deploy_expiring();
    for (int i = 0; i < kExpiring; ++i) {
      // Between two of ours.
      recorder_.start_at(due[static_cast<std::size_t>(i)] + kSpacing / 2,
                         fmt::format("peer-{}", i));
      peer_due_.push_back(due[static_cast<std::size_t>(i)] + kSpacing / 2);
    }
    recorder_.start_at(many_at_ + 5s, "together", kTogether);
    std::this_thread::sleep_for(1s);
    const auto starts = recorder_.first_starts();

    std::map<std::string, std::vector<Instant>> of_workspace;
    for (const auto& [run, start] : starts) of_workspace[start.workspace].push_back(start.at);
    std::vector<double> ours, peer;
    for (int i = 0; i < kExpiring; ++i) {
      // Its first run was the deploy.
      std::vector<Instant> own = of_workspace[expiring(i)];
      std::ranges::sort(own);
      if (own.size() != 2) throw std::runtime_error(expiring(i) + " was not destroyed once");
      ours.push_back(late_ms(own[1], due[static_cast<std::size_t>(i)]));
      peer.push_back(late_ms(starts.at(fmt::format("peer-{}-0", i)).at,
                             peer_due_[static_cast<std::size_t>(i)]));
    }
    print({.name = "instant to tofu started, one due of 1,000 (p99)",
           .unit = "ms",
           .ours = percentile(ours, 0.99),
           .peer_name = "sleep and start",
           .peer = percentile(peer, 0.99),
           .target = 100,
           .note = fmt::format("{} instants: p50 {:.1f}, p90 {:.1f}, max {:.1f} ms; peer p50 "
                               "{:.1f}, max {:.1f} ms; {}",
                               kExpiring, median(ours), percentile(ours, 0.9), percentile(ours, 1),
                               median(peer), percentile(peer, 1), load_average())});

    print_note(fmt::format("one due by cron, at a minute: {:.1f} ms",
                           late_ms(of_workspace.at("one-due").at(0), one_at_)));
    std::vector<double> together, peers_together;
    for (int i = 0; i < kTogether; ++i) {
      const auto& own = of_workspace.at(fmt::format("together-{:02}", i));
      together.push_back(late_ms(own.at(0), many_at_));
      peers_together.push_back(late_ms(starts.at(fmt::format("together-{}", i)).at, many_at_ + 5s));
    }
    print_note(
        fmt::format("{} due at one minute: first {:.1f}, p50 {:.1f}, last {:.1f} ms, as many "
                    "at a time as the machine's capacity; peer first {:.1f}, last {:.1f} ms",
                    kTogether, percentile(together, 0), median(together), percentile(together, 1),
                    percentile(peers_together, 0), percentile(peers_together, 1)));
  }

 private:
  static std::string expiring(int i) { return fmt::format("expiring-{:03}", i); }

  void add(const std::string& name, const Json& config) {
    installation_.add_workspace(name, config);
    ++added_;
  }

  // Deploys them one after the other; when each is to be destroyed.
  std::vector<Instant> deploy_expiring() {
    std::vector<Instant> due;
    auto next = std::chrono::steady_clock::now();
    for (int i = 0; i < kExpiring; ++i) {
      std::this_thread::sleep_until(next);
      next += kSpacing;
      const Json run = api_.follow(api_.deploy(expiring(i)));
      if (run["status"] != "succeeded") {
        throw std::runtime_error(run.dump(2) + installation_.log());
      }
      const Json row = api_.get("/api/v1/workspaces/" + expiring(i));
      const auto at = parse_rfc3339(row.at("ttl_expires_at").get<std::string>());
      if (!at) throw std::runtime_error(at.error().message);
      due.push_back(*at);
    }
    return due;
  }

  Installation installation_;
  Recorder recorder_;
  Api api_;
  Instant one_at_;
  Instant many_at_;
  std::size_t added_ = 0;
  std::vector<Instant> peer_due_;
};

}  // namespace
}  // namespace provisioner::bench

int main() { provisioner::bench::Instants().measure(); }
