// What becomes of wall-clock times that a change of the clocks removes or repeats.
#pragma once

namespace provisioner {

// Applies to expressions that name times on the wall clock (CronExpression::is_wall_clock_bound).
struct DstPolicy {
  // A time the clocks skip: at the first instant after the gap (several of one expression become
  // one), or not at all.
  enum class Gap { kShift, kSkip };
  // A time the clocks show twice: at its first, its last, or both of its instants.
  enum class Overlap { kFirst, kLast, kBoth };

  Gap gap = Gap::kShift;
  Overlap overlap = Overlap::kFirst;

  friend bool operator==(const DstPolicy&, const DstPolicy&) = default;
};

}  // namespace provisioner
