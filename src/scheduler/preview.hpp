// What a schedule will do: for `schedule preview` and for `next` of a workspace. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "base/ids.hpp"
#include "base/time.hpp"
#include "schedule/timeline.hpp"

namespace provisioner {

struct PreviewPoint {
  Instant at;
  std::string local_time;  // with offset
  std::string timezone;
  Action action = Action::kDeploy;
  std::string mode;
  std::string schedule;    // the rule's label
  bool overruled = false;  // another rule at the same instant wins
  JobName job = {};        // whose schedule it is; "" = the workspace's

  friend bool operator==(const PreviewPoint&, const PreviewPoint&) = default;
};

// The first `limit` occurrences in (after, until]. kInvalid when the zone data ends before.
Result<std::vector<PreviewPoint>> preview(const Timeline& timeline, Instant after, Instant until,
                                          std::size_t limit);

// The next `count` occurrences after `after`; fewer where the zone data ends.
Result<std::vector<PreviewPoint>> preview_next(const Timeline& timeline, Instant after,
                                               std::size_t count);

}  // namespace provisioner
