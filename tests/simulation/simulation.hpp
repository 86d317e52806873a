// One seed: an installation, a time of faults, a heal, and the proof that all came out well.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/time.hpp"
#include "tests/simulation/observer.hpp"

namespace provisioner::simulation {

struct SeedReport {
  std::uint64_t seed = 0;
  std::optional<Violation> violation;
  Figures figures;
  std::map<std::string, std::int64_t> faults;  // by kind
  std::uint64_t events = 0;
  std::uint64_t trace = 0;  // equal for equal histories
  Duration time{0};         // virtual
};

struct Listeners {
  std::function<void(std::string_view)> line;  // the history, for people who look into one seed
};

// Deterministic: the same seed and mutation give the same report.
SeedReport simulate(std::uint64_t seed, const Listeners& listeners = {});

// "seed 7: I2: ..." or "seed 7: 14 faults, 61 runs, ..."
std::string sentence_of(const SeedReport& report);

}  // namespace provisioner::simulation
