// When has a lease ended? When somebody has *seen* its heartbeat stand still for the lease's whole
// length on his own CLOCK_BOOTTIME. Nobody's wall clock decides, and no row's lease_expires_at.
#pragma once

#include <map>
#include <span>
#include <utility>
#include <vector>

#include "base/time.hpp"
#include "model/run.hpp"

namespace provisioner::execution {

// Pure: it holds what was seen, and gets the time from its caller. After a change of leader (or of
// the database's time line) the observation starts anew: a predecessor's patience does not count.
class LeaseObserver {
 public:
  explicit LeaseObserver(Duration patience) : patience_(patience) {}  // the lease plus a margin

  // Looks at the running attempts as the store showed them in an answer to a question asked at
  // `asked` and answered at `answered`. Returns those whose heartbeat stood still for `patience`:
  // from the first answer that showed it to the last question that still did.
  std::vector<AttemptRow> observe(Term term, std::span<const AttemptRow> running, BootInstant asked,
                                  BootInstant answered);

 private:
  struct Sight {
    std::int64_t heartbeat_seq = 0;
    bool registered = false;
    BootInstant since;
  };
  using Key = std::pair<RunId, Attempt>;

  Duration patience_;
  Term term_;
  std::map<Key, Sight> seen_;
};

}  // namespace provisioner::execution
