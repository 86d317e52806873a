// The page about what was measured.
#pragma once

#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

#include "tests/chaos/gap/pulse.hpp"

namespace provisioner::testing {

// One kind of fault, struck several times.
struct Measured {
  std::string what;
  std::string ttl;
  std::chrono::milliseconds promised;
  std::vector<Pulse::Gap> gaps;
};

struct TextbookMeasured {
  std::string what;
  std::string ours;  // `what` of the same fault above, at the default ttl
  std::vector<double> gaps;
};

struct Report {
  std::string command, build;
  std::string load_before;    // the machine's, before this began
  std::string load_after;     // with what this adds
  bool first_served = false;  // other work went on, and all that was measured went before it
  std::vector<Measured> quick, synced;
  std::vector<double> quick_intervals, synced_intervals;  // between two decisions in peace
  double disk_sync = 0;                                   // ms, p50
  int late = 0;
  std::vector<TextbookMeasured> textbook;
  int textbook_late = 0;
};

void write_page(const std::filesystem::path& path, const Report& report);

// Of what lies in `values`, which is not empty.
double quantile(std::vector<double> values, double q);

}  // namespace provisioner::testing
