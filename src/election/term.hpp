// From a won election to a term in the store.
#pragma once

#include <optional>

#include "base/error.hpp"
#include "base/ids.hpp"
#include "base/time.hpp"
#include "election/election.hpp"
#include "runtime/clock.hpp"
#include "runtime/random.hpp"
#include "store/store.hpp"

namespace provisioner {

struct WonTerm {
  LeaderFence fence;
  BootInstant deadline{};
};

// Claims the next term, in the only safe order: (a) read the store's row, (b) then prove that the
// session still wins, (c) compare-and-set on what (a) saw, (d) check the deadline again. A winner
// that became stale between (a) and (c) can only lose the compare-and-set, or be superseded. A lost
// reply is looked up by the claim id. `seen`: the row, where the caller has just read it.
// Errors: kFenced (the session is lost), kConflict (others were first, several times), kTimeout
// (the lease ended meanwhile), kUnavailable.
Task<Result<WonTerm>> claim_term(Election& election, Store& store, const Clock& clock,
                                 Random& random, InstanceId me,
                                 std::optional<Leadership> seen = {});

}  // namespace provisioner
