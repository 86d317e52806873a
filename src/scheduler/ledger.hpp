// Rows of the ledger for the occurrences of one timeline.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "model/job.hpp"
#include "model/occurrence.hpp"
#include "schedule/timeline.hpp"

namespace provisioner {

// More occurrences than this that share one fate become one row with a count.
inline constexpr std::int64_t kMostSingleRows = 1000;

inline constexpr Duration kTick(1);  // the smallest step between two instants

// Views, valid for one decision.
struct Ledger {
  const WorkspaceName& workspace;
  JobName job;  // "" = the workspace itself
  const Timeline& timeline;

  Occurrence row(const TimelinePoint& point, Outcome outcome, std::string reason) const;

  // One row each for the points in (after, until], or one for all of them if they are too many.
  Status append(Instant after, Instant until, Outcome outcome, const std::string& reason,
                std::vector<Occurrence>& rows) const;
};

}  // namespace provisioner
