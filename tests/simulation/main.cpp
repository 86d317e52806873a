// simulate: seeds one after the other, until one breaks an invariant.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <random>

#include "tests/simulation/mutation.hpp"
#include "tests/simulation/simulation.hpp"

namespace {

using namespace provisioner::simulation;

struct Totals {
  std::int64_t seeds = 0, faults = 0, events = 0, runs = 0, in_flight = 0;
  provisioner::Duration time{0};
};

void add(Totals& totals, const SeedReport& report) {
  ++totals.seeds;
  totals.faults += report.figures.faults;
  totals.events += static_cast<std::int64_t>(report.events);
  totals.runs += report.figures.runs;
  totals.in_flight += report.figures.in_flight;
  totals.time += report.time;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Simulates an installation under faults: one seed, one history.");
  std::optional<std::uint64_t> seed;
  std::uint64_t seeds = 100;
  double minutes = 0;
  bool history = false, go_on = false;
  std::string mutation;
  app.add_option("--seed", seed, "the first (default: drawn)");
  app.add_option("--seeds", seeds, "how many");
  app.add_option("--minutes", minutes, "for so long, instead of a number");
  app.add_flag("--history", history, "tell all that happens");
  app.add_flag("--go-on", go_on, "after a broken invariant, too");
  app.add_option("--mutation", mutation, "a wrong design (in the binary that has it)");
  CLI11_PARSE(app, argc, argv);

  for (const auto& known : kMutations) {
    if (known.name == mutation) active_mutation = known.mutation;
  }
  if (!mutation.empty() && active_mutation == Mutation::kNone) {
    fmt::print(stderr, "simulate: there is no mutation {}\n", mutation);
    return 2;
  }
  if (seed && minutes == 0 && app.count("--seeds") == 0) seeds = 1;
  std::uint64_t next = seed.value_or(std::random_device()());
  Listeners listeners;
  if (history) listeners.line = [](std::string_view line) { fmt::print("{}\n", line); };

  using Clock = std::chrono::steady_clock;
  const auto began = Clock::now();
  const auto spent = [&] { return std::chrono::duration<double>(Clock::now() - began).count(); };
  Totals totals;
  std::int64_t broken = 0;
  while (minutes > 0 ? spent() < minutes * 60 : static_cast<std::uint64_t>(totals.seeds) < seeds) {
    const SeedReport report = simulate(next++, listeners);
    add(totals, report);
    if (seeds == 1) {
      fmt::print("{}\ntrace {:016x}\n", sentence_of(report), report.trace);
      for (const auto& [kind, count] : report.faults) fmt::print("  {:3} {}\n", count, kind);
    }
    if (!report.violation) continue;
    ++broken;
    if (seeds != 1) fmt::print("{}\n", sentence_of(report));
    fmt::print("replay it: tools/simulate --seed {} --history\n", report.seed);
    if (!go_on) break;
  }
  fmt::print(
      "{} seeds, {} faults, {} events, {} runs ({} times one was in flight when a fault "
      "struck), {:.1f} virtual hours in {:.1f} s; {} broken\n",
      totals.seeds, totals.faults, totals.events, totals.runs, totals.in_flight,
      static_cast<double>(totals.time.count()) / 3.6e9, spent(), broken);
  return broken == 0 ? 0 : 1;
}
