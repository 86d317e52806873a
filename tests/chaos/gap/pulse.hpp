// Makes the leader decide about something every few milliseconds, and notes each decision by the
// database's own clock.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include "tests/support/cluster.hpp"

namespace provisioner::testing {

// Ten thousand workspaces, of which a few have their time to live end again and again: that the
// scheduler finds nothing to destroy and clears it is a decision, committed under its term. While
// nobody leads they wait, so the next leader has its first decision to make at once; the last
// decision of the old one lies up to one interval before the last it could have made.
class Pulse {
 public:
  static constexpr std::chrono::milliseconds kInterval{10};
  static constexpr int kWorkspaces = 10'000;

  // Of a cluster that runs. Returns once decisions are made.
  explicit Pulse(Cluster& cluster);
  ~Pulse();
  Pulse(const Pulse&) = delete;
  Pulse& operator=(const Pulse&) = delete;

  // Where the time went, in ms. Each part begins where the one before it ends.
  struct Gap {
    double total = 0;
    double to_end = 0;  // until the old term was handed back; 0 when it was not
    double to_claim = 0;
    double to_decision = 0;
  };
  // Between the last decision of `term` and the first of the term after it. Waits for that one.
  Gap gap_after(std::int64_t term);

  // Until `more` decisions were made: all is at work again.
  void await(int more);

  // Between two decisions in peace, in ms: what of a gap is the measure's own.
  std::vector<double> intervals();
  // Decisions that were made by a term when a later one had begun to decide.
  int late_decisions();

 private:
  class Beating;

  Cluster& cluster_;
  std::unique_ptr<Beating> beating_;
};

}  // namespace provisioner::testing
