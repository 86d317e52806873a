// What the schedule of one workspace demands now. Pure: values in, a decision out.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "model/first_seen.hpp"
#include "model/occurrence.hpp"
#include "scheduler/ledger.hpp"
#include "scheduler/situation.hpp"

namespace provisioner {

// With catch_up = none, an occurrence that nobody could look at for longer than this is missed.
inline constexpr Duration kPunctual = std::chrono::seconds(60);

struct Plan {
  // Oldest first. At most one is `fired`; it belongs to `run`.
  std::vector<Occurrence> occurrences;
  std::optional<Instant> new_cursor;  // absent: nothing was due
  std::optional<NewRun> run;          // its id is still empty
  std::string sentence;               // what was decided and why; "" = nothing was due
};

// Every occurrence in (cursor, now] gets one row; the last one acts, in whatever number they come
// and however late (I3). Nothing is due while `now` is not after the cursor, as after a step back
// of the clock. kInvalid when `now` is beyond the zone data.
Result<Plan> plan(const Situation& s);

// When plan() has something to decide next; nullopt when the schedule is empty or its zone data
// ends.
std::optional<Instant> next_occurrence_at(const Situation& s);

// The plan with the id of its run in the run and in the row that fired.
Plan with_run_id(Plan plan, const RunId& id);

// Where the cursor of a workspace starts that the store never saw.
// kLookBack: just before the last occurrence of the past 7 days, so that it acts; kWait, or without
// such an occurrence: now.
Instant first_cursor(const Timeline& timeline, FirstSeen policy, Instant now);

}  // namespace provisioner
