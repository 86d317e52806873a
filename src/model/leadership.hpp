// The one row that says who leads.
#pragma once

#include <optional>
#include <string>

#include "base/ids.hpp"
#include "base/time.hpp"

namespace provisioner {

// A person's wish that another instance leads. The leader answers it by resigning; a candidate who
// is not meant lets the others go first for a while. It ends with the next term.
struct TransferRequest {
  std::string id;   // of this wish, so that each instance follows it once
  InstanceId from;  // who led when it was made
  InstanceId to;    // empty = anyone but `from`

  bool means(const InstanceId& instance) const {
    return to.empty() ? instance != from : instance == to;
  }
  friend bool operator==(const TransferRequest&, const TransferRequest&) = default;
};

struct Leadership {
  LeaderFence fence;  // term 0 and an empty claim while nobody ever led
  InstanceId leader;  // empty after a resignation
  Instant claimed_at;
  std::optional<TransferRequest> transfer;
};

// A live or past daemon.
struct Instance {
  InstanceId id;
  Incarnation incarnation;
  std::string version;
  // Machine and state directory: the lock on that directory proves that an earlier incarnation with
  // the same home is dead.
  std::string home;
  Instant started_at;
  Instant last_seen;
  bool ready = false;     // as it said when it was last seen
  bool draining = false;  // set by a person: it neither leads nor claims runs
  bool stopped = false;   // its last beat was its good-bye
  friend bool operator==(const Instance&, const Instance&) = default;
};

}  // namespace provisioner
