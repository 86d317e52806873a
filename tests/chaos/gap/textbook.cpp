#include "tests/chaos/gap/textbook.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "tests/support/daemon.hpp"
#include "tests/support/eventually.hpp"

namespace provisioner::testing {

using namespace std::chrono_literals;

Textbook::Textbook(Cluster& cluster) : cluster_(cluster) {
  cluster_.sql(
      fmt::format("CREATE TABLE textbook (at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(), name "
                  "TEXT NOT NULL); GRANT ALL ON textbook TO {}",
                  PostgresServer::kUser));
  for (std::size_t i = 0; i < candidates_.size(); ++i) launch(i);
}

void Textbook::launch(std::size_t number) {
  // A name of its own for each life, by which its decisions are known.
  name_of_[number] = fmt::format("t{}", ++names_);
  candidates_[number] = std::make_unique<Background>(
      std::vector<std::string>{
          built("textbook_candidate"), name_of_[number], cluster_.etcd().urls(),
          fmt::format("host={} port={} dbname={} user={} password='{}'", PostgresServer::kHost,
                      cluster_.postgres().port(), cluster_.database(), PostgresServer::kUser,
                      PostgresServer::kPassword)},
      Environment{}, cluster_.root() / (name_of_[number] + ".log"));
}

std::size_t Textbook::deciding(const std::string& not_this) {
  std::string name;
  eventually(kTtl * 3, [&] {
    std::this_thread::sleep_for(250ms);  // as the other measure does
    const auto rows = cluster_.sql("SELECT name FROM textbook ORDER BY at DESC LIMIT 1");
    name = rows.empty() ? "" : rows[0];
    return !name.empty() && name != not_this;
  });
  const auto found = std::ranges::find(name_of_, name);
  if (found == name_of_.end() || name == not_this) throw std::runtime_error("nobody decides");
  return static_cast<std::size_t>(found - name_of_.begin());
}

double Textbook::number(const std::string& sql) { return std::stod(cluster_.sql(sql).at(0)); }

double Textbook::after(int signal) {
  const std::size_t old = deciding("");
  const std::string name = name_of_[old];
  // Somewhere between two of its keep-alives, and with the others in the queue.
  const double until = number("SELECT count(*) FROM textbook") + 200;
  eventually(kTtl, [&] {
    std::this_thread::sleep_for(250ms);
    return number("SELECT count(*) FROM textbook") >= until;
  });

  candidates_[old]->signal(signal);
  deciding(name);
  const std::string began = fmt::format(
      "(SELECT min(at) FROM textbook WHERE at > (SELECT max(at) FROM textbook WHERE "
      "name = '{0}') AND name <> '{0}')",
      name);
  const double gap = number(fmt::format(
      "SELECT extract(epoch FROM {} - (SELECT max(at) FROM textbook WHERE name = '{}')) * 1000",
      began, name));
  const double before =
      number(fmt::format("SELECT count(*) FROM textbook WHERE name = '{}'", name));
  if (signal == SIGSTOP) {
    candidates_[old]->signal(SIGCONT);
    // It ends by itself when it has observed that another leads.
    if (candidates_[old]->wait(60s) < 0) throw std::runtime_error("a deposed leader lives on");
    late_ += static_cast<int>(
        number(fmt::format("SELECT count(*) FROM textbook WHERE name = '{}'", name)) - before);
  }
  candidates_[old]->wait();
  launch(old);
  return gap;
}

}  // namespace provisioner::testing
