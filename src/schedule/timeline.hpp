// The desired state of one workspace over time: its deploy and destroy rules as one row of points.
// The occurrences of one job are such a row too.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "base/time.hpp"
#include "schedule/cron.hpp"
#include "schedule/dst.hpp"
#include "schedule/zone.hpp"

namespace provisioner {

enum class Action { kDeploy, kDestroy, kRun };

std::string_view to_string(Action action);  // "deploy", "destroy", "run" (of a job)
Result<Action> parse_action(std::string_view text);

struct TimelineRule {
  std::string
      label;  // where it stands: "deploy_schedule", "deploy_schedule[1]", "mode_schedules.busy[0]"
  Action action = Action::kDeploy;
  std::string mode;  // of a deploy; "" = none
  CronExpression cron;
};

// One occurrence of one rule.
struct TimelinePoint {
  Instant at;
  std::size_t rule = 0;           // index into Timeline::rules()
  std::int64_t local_minute = 0;  // CronTime::local_minute

  friend bool operator==(const TimelinePoint&, const TimelinePoint&) = default;
};

// Two rules that meet at one instant.
struct TimelineConflict {
  bool is_error = false;  // else a warning
  std::string message;
};

// Points are ordered by instant. At one instant they are ordered by the local time their rules name
// (so times moved out of a gap keep their order), then so that the winner stands last: deploy after
// destroy, modes by alphabet, then the order of the rules. The desired state at an instant is what
// the last point at or before it said.
// Immutable after construction, safe to share between threads.
class Timeline {
 public:
  Timeline(std::vector<TimelineRule> rules, Zone zone, DstPolicy dst);

  const std::vector<TimelineRule>& rules() const { return rules_; }
  const Zone& zone() const { return zone_; }
  DstPolicy dst() const { return dst_; }

  // The winning point of the first instant strictly after `after`; nullopt without rules. kInvalid
  // if every rule's next occurrence lies beyond the zone data.
  Result<std::optional<TimelinePoint>> next(Instant after) const;

  // The winning point of the last instant in (after, until], searched backwards; nullopt if there
  // is none. kInvalid if `until` is beyond the zone data.
  Result<std::optional<TimelinePoint>> last(Instant after, Instant until) const;

  // The first `limit` points in (after, until], in order. kInvalid if the zone data ends before
  // either bound is reached.
  Result<std::vector<TimelinePoint>> points(Instant after, Instant until, std::size_t limit) const;

  // The number of points in (after, until], those that lose a tie included.
  Result<std::int64_t> count(Instant after, Instant until) const;

  // "2026-03-29T03:00:00+02:00" in the timeline's zone.
  std::string local_time(Instant at) const { return zone_.format_local(at); }

  // Rules that meet at one instant, judged by the calendar alone (exact except around changes of
  // the clocks): deploy and destroy is a warning; two modes are a warning, or an error if the
  // losing rule never fires without the winning one, so that it could never act.
  std::vector<TimelineConflict> conflicts() const;

 private:
  // True if `a` stands before `b` in the order above.
  bool precedes(const TimelinePoint& a, const TimelinePoint& b) const;
  std::optional<TimelinePoint> next_of(std::size_t rule, Instant after) const;

  std::vector<TimelineRule> rules_;
  Zone zone_;
  DstPolicy dst_;
};

}  // namespace provisioner
