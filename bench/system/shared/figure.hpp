// What the benchmarks of the whole system print: one line a figure, for people and for tools/bench.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace provisioner::bench {

struct Figure {
  std::string name;
  std::string unit;
  double ours = 0;
  std::string peer_name;       // "" = there is no peer, only a bound
  std::optional<double> peer;  // in the same unit, from the same run
  // What is promised: of ours / peer when `of_ratio`, else of `ours`.
  double target = 0;
  bool of_ratio = false;
  bool at_least = false;  // else: at most
  // Says what the figure does not: samples, percentiles.
  std::string note;

  double judged() const;
  bool met() const;
};

// "figure | <name> | <ours> | <peer> | <ratio> | <target> | met", and the note on a line below.
void print(const Figure& figure);

// A line that promises nothing.
void print_note(const std::string& text);

double median(std::vector<double> values);
// The smallest value that `share` (0..1) of them do not exceed.
double percentile(std::vector<double> values, double share);

}  // namespace provisioner::bench
