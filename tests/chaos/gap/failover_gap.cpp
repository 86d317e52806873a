// Measures from outside how long nobody decides when a leader goes, and writes the page about it.
//   failover_gap ROUNDS BUILD PAGE [PART]   PART: quick, synced or textbook alone, without a page
#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <iostream>
#include <vector>

#include "tests/chaos/gap/page.hpp"
#include "tests/chaos/gap/pulse.hpp"
#include "tests/chaos/gap/textbook.hpp"
#include "tests/support/cluster.hpp"
#include "tests/support/eventually.hpp"

namespace provisioner::testing {
namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;

constexpr const char* kStop = "graceful stop";
constexpr const char* kKill = "daemon killed, its parent alive";
constexpr const char* kPause = "host lost";

class Failovers {
 public:
  Failovers(std::chrono::seconds ttl, Cluster::Disk disk)
      : cluster_({{"PROVISIONER_ELECTION_TTL", fmt::format("{}s", ttl.count())},
                  {"PROVISIONER_ELECTION_RENEW", ttl < 5s ? "500ms" : "1s"},
                  {"PROVISIONER_ELECTION_MARGIN", ttl < 5s ? "300ms" : "500ms"}},
                 disk) {
    cluster_.start_all();
    if (cluster_.await_leader(0, 60s) < 0) throw std::runtime_error("nobody leads");
    pulse_.emplace(cluster_);
  }

  Pulse::Gap stop() {
    return after([&](int old) {
      if (cluster_.stop(old) != 0) throw std::runtime_error("a daemon did not stop in good order");
    });
  }
  Pulse::Gap kill() {
    return after([&](int old) { cluster_.kill_daemon(old); });
  }
  Pulse::Gap pause() {
    return after([&](int old) { cluster_.pause(old); });
  }
  Pulse::Gap transfer() {
    return after([&](int old) {
      const auto answer = cluster_.ask(old, "POST", "/api/v1/cluster/transfer", "{}");
      if (answer.status != 202) throw std::runtime_error("no transfer: " + answer.body);
    });
  }

  Pulse& pulse() { return *pulse_; }

 private:
  Pulse::Gap after(const std::function<void(int)>& fault) {
    const int old = cluster_.await_leader(cluster_.term() - 1, 60s);
    if (old < 0) throw std::runtime_error("nobody leads");
    const std::int64_t term = cluster_.term();
    fault(old);
    const Pulse::Gap gap = pulse_->gap_after(term);
    eventually(60s, [&] { return !cluster_.launched(old) || cluster_.pid(old) > 0; });
    cluster_.mend();
    pulse_->await(200);  // the others are candidates again, and have read what there is
    return gap;
  }

  Cluster cluster_;
  std::optional<Pulse> pulse_;
};

// What one small write and its sync take, p50 in ms.
double disk_sync() {
  const TempDirectory directory;
  const int fd = ::open((directory / "file").c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
  std::vector<double> times;
  const std::array<char, 4096> block{};
  for (int i = 0; i < 50; ++i) {
    const auto begun = std::chrono::steady_clock::now();
    if (::write(fd, block.data(), block.size()) < 0 || ::fdatasync(fd) != 0) break;
    times.push_back(
        std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begun)
            .count());
  }
  ::close(fd);
  return times.empty() ? 0 : quantile(times, 0.5);
}

std::string load_average() {
  std::ifstream file("/proc/loadavg");
  std::string text;
  file >> text;
  return text;
}

class Measurement {
 public:
  Measurement(int rounds, std::string build) : rounds_(rounds) {
    report_.command = fmt::format("tools/failover --rounds {}", rounds);
    report_.build = std::move(build);
    report_.load_before = load_average();
    report_.first_served = ::sched_getscheduler(0) != SCHED_OTHER;
  }

  void quick() {
    for (const auto ttl : {5s, 2s}) {
      Failovers failovers(ttl, Cluster::Disk::kQuick);
      report_.quick_intervals = failovers.pulse().intervals();
      take_planned(report_.quick, failovers, ttl);
      take(report_.quick, {kPause, name(ttl), ttl + 1s, {}}, [&] { return failovers.pause(); });
      report_.late += failovers.pulse().late_decisions();
    }
  }

  void synced() {
    report_.disk_sync = disk_sync();
    Failovers failovers(5s, Cluster::Disk::kSynced);
    report_.synced_intervals = failovers.pulse().intervals();
    take_planned(report_.synced, failovers, 5s);
    report_.late += failovers.pulse().late_decisions();
  }

  void textbook() {
    Cluster cluster;
    Textbook textbook(cluster);
    const auto take = [&](const char* what, const std::function<double()>& once) {
      TextbookMeasured measured{what, what, {}};
      for (int i = 0; i < std::clamp(rounds_ / 3, 1, 5); ++i) {
        measured.gaps.push_back(once());
        std::cout << fmt::format("textbook, {}: {:.0f} ms", what, measured.gaps.back())
                  << std::endl;
      }
      report_.textbook.push_back(std::move(measured));
    };
    take(kStop, [&] { return textbook.stop(); });
    take(kKill, [&] { return textbook.kill(); });
    take(kPause, [&] { return textbook.pause(); });
    report_.textbook_late = textbook.late_decisions();
    std::cout << fmt::format("textbook, late decisions: {}", report_.textbook_late) << std::endl;
  }

  const Report& report() {
    report_.load_after = load_average();
    return report_;
  }

 private:
  static std::string name(std::chrono::seconds ttl) { return fmt::format("{} s", ttl.count()); }

  void take_planned(std::vector<Measured>& all, Failovers& failovers, std::chrono::seconds ttl) {
    take(all, {kStop, name(ttl), 100ms, {}}, [&] { return failovers.stop(); });
    take(all, {"`cluster transfer`", name(ttl), 100ms, {}}, [&] { return failovers.transfer(); });
    take(all, {kKill, name(ttl), 1000ms, {}}, [&] { return failovers.kill(); });
  }

  void take(std::vector<Measured>& all, Measured m, const std::function<Pulse::Gap()>& once) {
    for (int i = 0; i < rounds_; ++i) {
      const Pulse::Gap gap = once();
      m.gaps.push_back(gap);
      std::cout << fmt::format("{}, ttl {}: {:.0f} ms = {:.1f} + {:.1f} + {:.1f}", m.what, m.ttl,
                               gap.total, gap.to_end, gap.to_claim, gap.to_decision)
                << std::endl;
    }
    all.push_back(std::move(m));
  }

  int rounds_;
  Report report_;
};

int measure(int rounds, const std::string& build, const std::string& page,
            const std::string& part) {
  Measurement measurement(rounds, build);
  if (part.empty() || part == "quick") measurement.quick();
  if (part.empty() || part == "synced") measurement.synced();
  if (part.empty() || part == "textbook") measurement.textbook();
  std::cout << fmt::format("late decisions: {}\n", measurement.report().late);
  if (!part.empty()) return 0;
  write_page(page, measurement.report());
  std::cout << "written: " << page << "\n";
  return 0;
}

}  // namespace
}  // namespace provisioner::testing

int main(int count, char** arguments) {
  if (count < 4 || count > 5) {
    std::cerr << "usage: failover_gap ROUNDS BUILD PAGE [PART]\n";
    return 2;
  }
  try {
    return provisioner::testing::measure(std::max(1, std::atoi(arguments[1])), arguments[2],
                                         arguments[3], count > 4 ? arguments[4] : "");
  } catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return 1;
  }
}
