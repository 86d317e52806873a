#include "tests/chaos/gap/page.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <thread>

#include "tests/chaos/gap/textbook.hpp"

namespace provisioner::testing {
namespace {

using Part = double Pulse::Gap::*;

std::vector<double> parts(const std::vector<Pulse::Gap>& gaps, Part part) {
  std::vector<double> all;
  for (const auto& gap : gaps) all.push_back(gap.*part);
  return all;
}

std::string table(const std::vector<Measured>& all) {
  std::string text =
      "| event | ttl | rounds | p50 | max | promised | | p50 of: until the term is handed back | "
      "until the next is claimed | until its first decision |\n"
      "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n";
  for (const Measured& m : all) {
    const auto total = parts(m.gaps, &Pulse::Gap::total);
    const auto p50 = [&](Part part) { return quantile(parts(m.gaps, part), 0.5); };
    const double max = quantile(total, 1);
    const bool handed_back = p50(&Pulse::Gap::to_end) > 0;
    text += fmt::format(
        "| {} | {} | {} | {:.0f} ms | {:.0f} ms | {} ms | {} | {} | {:.0f} ms | "
        "{:.0f} ms |\n",
        m.what, m.ttl, m.gaps.size(), quantile(total, 0.5), max, m.promised.count(),
        max <= static_cast<double>(m.promised.count()) ? "kept" : "missed",
        handed_back ? fmt::format("{:.0f} ms", p50(&Pulse::Gap::to_end)) : "-",
        p50(&Pulse::Gap::to_claim), p50(&Pulse::Gap::to_decision));
  }
  return text;
}

std::string textbook_table(const Report& report) {
  std::string text =
      "| event | rounds | p50 | max | ours, p50 | the textbook's is |\n"
      "| --- | --- | --- | --- | --- | --- |\n";
  for (const TextbookMeasured& m : report.textbook) {
    const auto ours = std::ranges::find(report.quick, m.ours, &Measured::what);
    const double mine = quantile(parts(ours->gaps, &Pulse::Gap::total), 0.5);
    const double theirs = quantile(m.gaps, 0.5);
    text += fmt::format("| {} | {} | {:.0f} ms | {:.0f} ms | {:.0f} ms | {:.1f} times as long |\n",
                        m.what, m.gaps.size(), theirs, quantile(m.gaps, 1), mine, theirs / mine);
  }
  return text;
}

}  // namespace

double quantile(std::vector<double> values, double q) {
  std::ranges::sort(values);
  const auto last = static_cast<double>(values.size() - 1);
  return values[static_cast<std::size_t>(q * last + 0.5)];
}

void write_page(const std::filesystem::path& path, const Report& report) {
  std::ofstream page(path);
  page << fmt::format(
      R"(# Failover

Written by `{}` ({} build): three daemons, three etcd members and PostgreSQL with {} workspaces, all on
one machine with {} processors, whose load average was {} before and {} after{}. Measured from outside,
by the database's clock: from the last decision that the old leader committed to the first that the next one
did. To have decisions at all times, a program beside them gives the scheduler something to decide
every {} ms. The next leader finds that waiting; the last decision of the old one may be that much
older than its end. In peace {:.0f} ms (p50; {:.0f} ms p99) lie between two decisions, and that is part
of every figure.

)",
      report.command, report.build, Pulse::kWorkspaces, std::thread::hardware_concurrency(),
      report.load_before, report.load_after,
      report.first_served
          ? " (other work went on; all of this ran at real-time priority, before it)"
          : "",
      Pulse::kInterval.count(), quantile(report.quick_intervals, 0.5),
      quantile(report.quick_intervals, 0.99));
  page << table(report.quick);
  page << fmt::format(R"(
A lost host is one whose daemon and parent are paused. It decided {} times more when it went on.

etcd and PostgreSQL wrote to memory there, which shows what the product takes. On the disk of this
machine, where a sync takes {:.1f} ms (p50) and each of their commits waits for one or two, decisions in
peace are {:.0f} ms apart (p50; {:.0f} ms p99), and:

)",
                      report.late, report.disk_sync, quantile(report.synced_intervals, 0.5),
                      quantile(report.synced_intervals, 0.99));
  page << table(report.synced);
  page << fmt::format(R"(
## The textbook's design

A session with a ttl of {} s, campaign, decide; observe, and stop when another name appears
(`tests/chaos/gap/textbook_candidate.cpp`). Three processes at the same etcd, with a decision every
{} ms that is one INSERT: nothing to load, to read or to check before it. In the same run:

)",
                      Textbook::kTtl.count(), Textbook::kInterval.count());
  page << textbook_table(report);
  page << fmt::format(R"(
Its paused leaders made {} decisions, all told, after another had begun to decide.

Runs in flight go on in all of these: their runners wait for their daemon. What else is tried, and
judged by who runs, what the tables hold and what a journal says, is in `tests/chaos/failover`.
)",
                      report.textbook_late);
}

}  // namespace provisioner::testing
