// Measures from outside how long nobody decides when a leader goes, and writes the page about it.
//   failover_gap ROUNDS BUILD PAGE
#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <thread>
#include <vector>

#include "tests/support/cluster.hpp"
#include "tests/support/eventually.hpp"

namespace provisioner::testing {
namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;

// Notes each change of the leader's row by the database's own clock.
constexpr const char* kWatch = R"sql(
CREATE TABLE watched (at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(), term BIGINT, leader TEXT);
CREATE FUNCTION watch() RETURNS TRIGGER LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
  IF NEW.term <> OLD.term OR NEW.leader_id <> OLD.leader_id THEN
    INSERT INTO public.watched (term, leader) VALUES (NEW.term, NEW.leader_id);
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER watch AFTER UPDATE ON leader_election FOR EACH ROW EXECUTE FUNCTION watch();
)sql";

struct Measured {
  std::string what;
  std::string ttl;
  milliseconds promised;
  std::vector<double> gaps;  // ms
};

class Measurement {
 public:
  Measurement(const std::string& ttl, const std::string& renew)
      : cluster_({{"PROVISIONER_ELECTION_TTL", ttl},
                  {"PROVISIONER_ELECTION_RENEW", renew},
                  {"PROVISIONER_ELECTION_MARGIN", "300ms"}}) {
    cluster_.start_all();
    leader_ = checked(cluster_.await_leader(0, 60s));
    cluster_.sql(kWatch);
  }

  // From the old leader's giving back its term to the next claim.
  double stop() {
    const int old = leader_;
    const std::int64_t term = cluster_.term();
    if (cluster_.stop(old) != 0) throw std::runtime_error("a daemon did not stop in good order");
    settle(term);
    const double gap =
        number(fmt::format("SELECT extract(epoch FROM (SELECT min(at) FROM watched WHERE term > "
                           "{0}) - (SELECT min(at) "
                           "FROM watched WHERE term = {0} AND leader = '')) * 1000",
                           term));
    cluster_.start(old);
    return gap;
  }

  double kill() {
    return from_now([&](int old) { cluster_.kill_daemon(old); },
                    [&](int old) { eventually(60s, [&] { return cluster_.pid(old) > 0; }); });
  }

  double pause() {
    return from_now([&](int old) { cluster_.pause(old); }, [&](int old) { cluster_.resume(old); });
  }

 private:
  static int checked(int leader) {
    if (leader < 0) throw std::runtime_error("nobody leads");
    return leader;
  }
  double number(const std::string& sql) {
    const auto rows = cluster_.sql(sql);
    if (rows.empty() || rows[0].empty()) throw std::runtime_error("no figure from " + sql);
    return std::stod(rows[0]);
  }
  // Until all is at rest again: the others are candidates, with sessions of their own.
  void settle(std::int64_t term) { leader_ = checked(cluster_.await_leader(term, 60s)); }

  // The old leader may have decided until the moment of the fault. The database's clock is this
  // machine's.
  template <typename Fault, typename Mend>
  double from_now(Fault fault, Mend mend) {
    const int old = leader_;
    const std::int64_t term = cluster_.term();
    const auto at = std::chrono::system_clock::now();
    fault(old);
    settle(term);
    const double claimed = number(fmt::format(
        "SELECT extract(epoch FROM min(at)) * 1000 FROM watched WHERE term > {}", term));
    mend(old);
    cluster_.mend();
    return claimed - std::chrono::duration<double, std::milli>(at.time_since_epoch()).count();
  }

  Cluster cluster_;
  int leader_ = -1;
};

double quantile(std::vector<double> sorted, double q) {
  std::sort(sorted.begin(), sorted.end());
  const auto last = static_cast<double>(sorted.size() - 1);
  return sorted[static_cast<std::size_t>(q * last + 0.5)];
}

std::string load_average() {
  std::ifstream file("/proc/loadavg");
  std::string text;
  file >> text;
  return text;
}

void write_page(const std::string& path, const std::string& build, const std::vector<Measured>& all,
                int rounds) {
  std::ofstream page(path);
  page << fmt::format(R"(# Failover

Written by `tools/failover --rounds {}` ({} build): three daemons, three etcd members and PostgreSQL
on one machine with {} processors, at a load average of {}. Measured from outside: from the last
moment at which the old leader could decide anything to the commit of the next term, after which the
next one decides. For a graceful stop that moment is the commit by which it hands its term back;
else it is the signal.

| event | ttl | p50 | max | promised | |
| --- | --- | --- | --- | --- | --- |
)",
                      rounds, build, std::thread::hardware_concurrency(), load_average());
  for (const Measured& m : all) {
    const double max = quantile(m.gaps, 1);
    page << fmt::format("| {} | {} | {:.0f} ms | {:.0f} ms | {} {} ms | {} |\n", m.what, m.ttl,
                        quantile(m.gaps, 0.5), max, "at most", m.promised.count(),
                        max <= static_cast<double>(m.promised.count()) ? "kept" : "missed");
  }
  page << R"(
Runs in flight go on in all three: their runners wait for their daemon. What else is tried, and
judged by who runs, what the tables hold and what a journal says, is in `tests/chaos/failover`.
)";
}

int measure(int rounds, const std::string& build, const std::string& path) {
  std::vector<Measured> all;
  const auto take = [&](Measured m, auto&& once) {
    for (int i = 0; i < rounds; ++i) {
      m.gaps.push_back(once());
      std::cout << fmt::format("{}, ttl {}: {:.0f} ms", m.what, m.ttl, m.gaps.back()) << std::endl;
    }
    all.push_back(std::move(m));
  };
  for (const auto& [ttl, renew] : {std::pair{5s, "1s"}, std::pair{2s, "500ms"}}) {
    const std::string name = fmt::format("{} s", ttl.count());
    Measurement measurement(fmt::format("{}s", ttl.count()), renew);
    take({"graceful stop", name, 100ms, {}}, [&] { return measurement.stop(); });
    take({"daemon killed, its parent alive", name, 1000ms, {}}, [&] { return measurement.kill(); });
    take({"daemon and parent paused, as a lost host", name, ttl + 1s, {}},
         [&] { return measurement.pause(); });
  }
  write_page(path, build, all, rounds);
  std::cout << "written: " << path << "\n";
  return 0;
}

}  // namespace
}  // namespace provisioner::testing

int main(int count, char** arguments) {
  if (count != 4) {
    std::cerr << "usage: failover_gap ROUNDS BUILD PAGE\n";
    return 2;
  }
  try {
    return provisioner::testing::measure(std::max(1, std::atoi(arguments[1])), arguments[2],
                                         arguments[3]);
  } catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return 1;
  }
}
