// The one row that says who leads.
#pragma once

#include <optional>

#include "base/ids.hpp"
#include "base/time.hpp"

namespace provisioner {

struct Leadership {
  LeaderFence fence;  // term 0 and an empty claim while nobody ever led
  InstanceId leader;  // empty after a resignation
  Instant claimed_at;
};

// A live or past daemon.
struct Instance {
  InstanceId id;
  Incarnation incarnation;
  std::string version;
  Instant started_at;
  Instant last_seen;
};

}  // namespace provisioner
