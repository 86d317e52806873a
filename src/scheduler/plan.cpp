#include "scheduler/plan.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "scheduler/ledger.hpp"

namespace provisioner {
namespace {

Operation operation_of(Action action) {
  return action == Action::kDeploy ? Operation::kDeploy : Operation::kDestroy;
}

std::string described(const TimelineRule& rule) {
  if (rule.mode.empty()) return std::string(to_string(rule.action));
  return fmt::format("{} in mode {}", to_string(rule.action), rule.mode);
}

Ledger ledger_of(const Situation& s) {
  return {.workspace = s.workspace.name, .job = {}, .timeline = s.timeline};
}

struct Verdict {
  Outcome outcome = Outcome::kFired;
  std::string reason;
};

// Somebody ordered something after the occurrence: that holds until the next one.
const Run* ordered_since(const Situation& s, Instant at) {
  const auto counts = [&](const Run& run) {
    const bool order = run.trigger == Trigger::kManual || run.trigger == Trigger::kTtl;
    const bool changes =
        run.operation == Operation::kDeploy || run.operation == Operation::kDestroy;
    // A run "from the future" was created before the clock went back: it is older than it says.
    return order && changes && run.status != RunStatus::kCancelled && run.created_at > at &&
           run.created_at <= s.now;
  };
  const auto found = std::ranges::find_if(s.recent, counts);
  return found == s.recent.end() ? nullptr : &*found;
}

Verdict judge_deploy(const Situation& s, const std::string& mode) {
  const Workspace& w = s.workspace;
  const bool same_content = w.deployed && w.deployed->same_content(w.current);
  if (w.status == WorkspaceStatus::kNeedsConfirmation && same_content) {
    return {Outcome::kNoChange,
            "a change that deletes or replaces something waits for `workspace confirm`"};
  }
  if (w.status != WorkspaceStatus::kDeployed) {
    return {Outcome::kFired, fmt::format("the workspace is {}", to_string(w.status))};
  }
  if (w.deployed_mode != mode) {
    return {Outcome::kFired,
            fmt::format("deployed in mode \"{}\", due is \"{}\"", w.deployed_mode, mode)};
  }
  if (same_content) return {Outcome::kNoChange, "already deployed, and the content is the same"};
  if (s.spec.on_change == OnChange::kIgnore) {
    return {Outcome::kNoChange, "already deployed; the content changed, but on_change is ignore"};
  }
  return {Outcome::kFired, "the content changed since it was deployed"};
}

Verdict judge_destroy(const Situation& s) {
  switch (s.workspace.status) {
    case WorkspaceStatus::kPending: return {Outcome::kNoChange, "it was never deployed"};
    case WorkspaceStatus::kDestroyed: return {Outcome::kNoChange, "already destroyed"};
    default:
      return {Outcome::kFired, fmt::format("the workspace is {}", to_string(s.workspace.status))};
  }
}

// Whether `run` already does what the rule asks for.
bool does_the_same(const Situation& s, const Run& run, const TimelineRule& rule) {
  if (run.cancel_requested || run.operation != operation_of(rule.action)) return false;
  return rule.action == Action::kDestroy ||
         (run.mode == rule.mode && run.definition.same_content(s.workspace.current));
}

// What becomes of the last occurrence.
Verdict judge(const Situation& s, const TimelinePoint& point) {
  const TimelineRule& rule = s.timeline.rules()[point.rule];
  const Workspace& w = s.workspace;
  if (is_held(w, point.at)) {
    return {Outcome::kSkippedHold, w.hold_reason.empty()
                                       ? std::string("the workspace is held")
                                       : fmt::format("the workspace is held: {}", w.hold_reason)};
  }
  if (!w.enabled) return {Outcome::kSkippedDisabled, "the workspace is disabled"};
  if (w.detached && rule.action == Action::kDeploy) {
    return {Outcome::kSkippedDisabled,
            "the workspace is detached: its folder has vanished, only its destroy schedule counts"};
  }
  if (const Run* order = ordered_since(s, point.at)) {
    return {Outcome::kSuperseded,
            fmt::format("a {} {} at {} came after it", to_string(order->trigger),
                        to_string(order->operation), s.timeline.local_time(order->created_at))};
  }
  if (const Run* run = last_word(s)) {
    if (does_the_same(s, *run, rule)) {
      return {Outcome::kSkippedOverlap,
              fmt::format("{} run {} is {}", described(rule), run->id.value,
                          run->status == RunStatus::kRunning ? "still running" : "already queued")};
    }
    return {Outcome::kFired, fmt::format("after {} run {}, which is {}", to_string(run->operation),
                                         run->id.value, to_string(run->status))};
  }
  return rule.action == Action::kDeploy ? judge_deploy(s, rule.mode) : judge_destroy(s);
}

// The rows of the last instant: all that meet there, the winner last.
Result<TimelinePoint> append_last_instant(const Situation& s, Instant at,
                                          std::vector<Occurrence>& rows) {
  const Ledger ledger = ledger_of(s);
  const auto points = s.timeline.points(at - kTick, at, s.timeline.rules().size() + 1);
  if (!points) return std::unexpected(points.error());
  if (points->empty()) {
    return fail(ErrorKind::kInternal, "a timeline forgot the occurrence it had found");
  }
  const TimelinePoint winner = points->back();
  const std::string reason =
      fmt::format("{} at the same instant wins", described(s.timeline.rules()[winner.rule]));
  for (std::size_t i = 0; i + 1 < points->size(); ++i) {
    rows.push_back(ledger.row((*points)[i], Outcome::kSuperseded, reason));
  }
  return winner;
}

}  // namespace

Result<Plan> plan(const Situation& s) {
  Plan result;
  if (s.now <= s.cursor) return result;
  const auto last = s.timeline.last(s.cursor, s.now);
  if (!last) return std::unexpected(last.error());
  if (!*last) return result;
  const Instant at = (*last)->at;
  result.new_cursor = at;

  const Ledger ledger = ledger_of(s);
  Instant from = s.cursor;
  if (s.spec.catch_up == CatchUp::kNone) {
    const Instant old = std::min(at, s.now - kPunctual - kTick);
    const Status missed =
        ledger.append(from, old, Outcome::kMissed,
                      "nobody could act on it in time, and catch_up is none", result.occurrences);
    if (!missed) return std::unexpected(missed.error());
    from = std::max(from, old);
  }
  if (from >= at) {
    result.sentence =
        fmt::format("missed what was due until {}: catch_up is none", s.timeline.local_time(at));
    return result;
  }

  const Status overtaken = ledger.append(
      from, at - kTick, Outcome::kSuperseded,
      fmt::format("overtaken by {} at {}", described(s.timeline.rules()[(*last)->rule]),
                  s.timeline.local_time(at)),
      result.occurrences);
  if (!overtaken) return std::unexpected(overtaken.error());
  const auto winner = append_last_instant(s, at, result.occurrences);
  if (!winner) return std::unexpected(winner.error());

  const TimelineRule& rule = s.timeline.rules()[winner->rule];
  const Verdict verdict = judge(s, *winner);
  result.occurrences.push_back(ledger.row(*winner, verdict.outcome, verdict.reason));
  if (verdict.outcome == Outcome::kFired) {
    result.run = make_run(s, operation_of(rule.action), rule.mode, Trigger::kSchedule);
    result.run->scheduled_for = at;
  }
  result.sentence = fmt::format("{} due at {}: {}, {}", described(rule), s.timeline.local_time(at),
                                to_string(verdict.outcome), verdict.reason);
  if (result.run && !result.run->waiting_for.empty()) {
    result.sentence += fmt::format("; it waits for {}", result.run->waiting_for);
  }
  return result;
}

std::optional<Instant> next_occurrence_at(const Situation& s) {
  const auto next = s.timeline.next(s.cursor);
  if (!next || !*next) return std::nullopt;
  return (*next)->at;
}

Plan with_run_id(Plan plan, const RunId& id) {
  if (!plan.run) return plan;
  plan.run->id = id;
  for (auto& row : plan.occurrences) {
    if (row.outcome == Outcome::kFired) row.run = id;
  }
  return plan;
}

Instant first_cursor(const Timeline& timeline, FirstSeen policy, Instant now) {
  if (policy == FirstSeen::kWait) return now;
  const auto last = timeline.last(now - std::chrono::hours(24 * 7), now);
  return last && *last ? (*last)->at - kTick : now;
}

}  // namespace provisioner
