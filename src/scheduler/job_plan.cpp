#include "scheduler/job_plan.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <set>
#include <utility>

#include "base/text.hpp"
#include "model/job_order.hpp"
#include "scheduler/job_run.hpp"
#include "scheduler/ledger.hpp"
#include "scheduler/plan.hpp"

namespace provisioner {
namespace {

struct Verdict {
  Outcome outcome = Outcome::kFired;
  std::string reason;
  bool fires() const { return outcome == Outcome::kFired; }
};

bool is_up(const Situation& s) {
  if (const Run* last = last_word(s); last != nullptr && last->operation == Operation::kDestroy) {
    return false;
  }
  return is_deployed(s.workspace);
}

std::string not_up(const Situation& s) {
  return fmt::format("the workspace is {}: its jobs run only while it is deployed",
                     to_string(s.workspace.status));
}

std::string jobs_listed(const std::vector<std::string>& names) {
  return fmt::format("{} {}", names.size() == 1 ? "job" : "jobs", listed(names));
}

std::string_view how_it_ended(RunStatus status) {
  switch (status) {
    case RunStatus::kFailed: return "has failed";
    case RunStatus::kTimedOut: return "ran into its timeout";
    case RunStatus::kInterrupted: return "was interrupted";
    default: return "was not run to its end";
  }
}

class Planner {
 public:
  Planner(const JobsSituation& s, const std::function<RunId()>& new_id)
      : s_(s), new_id_(new_id), order_(order_of(s.own.spec.jobs).in_order) {
    for (const Job& row : s.view.jobs) rows_.emplace(row.name, row);
    for (const JobRun& run : s.view.runs) note(run);
  }

  Result<JobsPlan> plan() {
    define();
    for (const std::size_t i : order_) {
      if (auto done = follow_schedule(i); !done) return std::unexpected(done.error());
    }
    for (const JobEventRow& event : s_.view.events) follow_event(event);
    follow_waits();
    destroy_template_jobs();
    return std::move(plan_);
  }

 private:
  Instant now() const { return s_.own.now; }
  const Workspace& workspace() const { return s_.own.workspace; }

  // Rows follow the configuration.
  void define() {
    std::set<JobName> present;
    for (std::size_t place = 0; place < order_.size(); ++place) {
      const JobSpec& spec = s_.own.spec.jobs[order_[place]];
      present.insert(spec.name);
      const auto known = rows_.find(spec.name);
      JobDefinition wanted{.name = spec.name,
                           .type = spec.type,
                           .present = true,
                           .enabled = spec.enabled,
                           .position = static_cast<std::int64_t>(place),
                           .events = spec.events,
                           .schedule_hash = spec.schedule_hash};
      const bool is_new = known == rows_.end() || !known->second.present ||
                          known->second.schedule_hash != spec.schedule_hash;
      if (is_new) wanted.cursor = now();
      if (!is_new && is_as(known->second, wanted)) continue;
      Job& row = rows_[spec.name];
      row.name = spec.name;
      row.enabled = spec.enabled;
      row.present = true;
      row.position = wanted.position;
      if (is_new) row.cursor = std::max(row.cursor, now());
      plan_.commit.definitions.push_back(std::move(wanted));
      decision_of(spec.name).next_run = next_of(order_[place], row.cursor);
    }
    for (const Job& row : s_.view.jobs) {
      if (!row.present || present.contains(row.name)) continue;
      plan_.commit.definitions.push_back({.name = row.name,
                                          .type = row.type,
                                          .present = false,
                                          .enabled = row.enabled,
                                          .position = row.position,
                                          .events = {},
                                          .schedule_hash = row.schedule_hash});
    }
  }

  static bool is_as(const Job& row, const JobDefinition& d) {
    return row.type == d.type && row.present == d.present && row.enabled == d.enabled &&
           row.position == d.position && row.events == d.events;
  }

  std::optional<Instant> next_of(std::size_t job, Instant cursor) const {
    if (!s_.own.spec.jobs[job].enabled) return std::nullopt;
    const auto next = s_.timelines[job].next(cursor);
    if (!next || !*next) return std::nullopt;
    return (*next)->at;
  }

  Status follow_schedule(std::size_t i) {
    const JobSpec& spec = s_.own.spec.jobs[i];
    const Timeline& timeline = s_.timelines[i];
    const Instant cursor = rows_.at(spec.name).cursor;
    Instant reached = cursor;
    skipped_.clear();
    // With catch_up all, one that was left out makes room for the next at once; behind one that
    // fired the next waits for the end of its run, which calls for another look.
    for (bool fired = false; !fired && reached < now();) {
      const std::size_t runs = plan_.commit.runs.size();
      const auto handled = act(spec, timeline, reached);
      if (!handled) return std::unexpected(handled.error());
      if (!*handled) break;
      reached = **handled;
      fired = plan_.commit.runs.size() > runs;
    }
    const auto next = next_of(i, reached);
    if (reached != cursor) {
      JobDecision& decision = decision_of(spec.name);
      decision.cursor = reached;
      decision.next_run = next;
      decision.skipped = std::move(skipped_);
    }
    // What is left of the past waits for the job to become free.
    if (next && *next > now() && (!plan_.next || *next < *plan_.next)) plan_.next = next;
    return {};
  }

  JobDecision& decision_of(const JobName& job) {
    auto& all = plan_.commit.decisions;
    const auto [known, is_new] = decisions_.try_emplace(job, all.size());
    if (is_new) all.push_back({.job = job, .cursor = {}, .next_run = {}, .skipped = {}});
    return all[known->second];
  }

  // Decides about the occurrences in (cursor, now]. Returns how far it came; nothing was due, or
  // may be decided yet: nullopt.
  Result<std::optional<Instant>> act(const JobSpec& spec, const Timeline& timeline,
                                     Instant cursor) {
    const auto last = timeline.last(cursor, now());
    if (!last) return std::unexpected(last.error());
    if (!*last) return std::nullopt;
    const Ledger ledger{.workspace = workspace().name, .job = spec.name, .timeline = timeline};
    Instant from = cursor;
    TimelinePoint point = **last;
    const auto miss_until = [&](Instant until, const std::string& why) -> Status {
      if (until <= from) return {};
      const std::size_t before = plan_.commit.occurrences.size();
      auto missed = ledger.append(from, until, Outcome::kMissed, why, plan_.commit.occurrences);
      if (plan_.commit.occurrences.size() > before) from = until;
      return missed;
    };
    const Instant old = std::min(point.at, now() - kPunctual - kTick);
    if (spec.catch_up == JobCatchUp::kNone) {
      if (auto missed = miss_until(old, "nobody could act on it in time, and catch_up is none");
          !missed) {
        return std::unexpected(missed.error());
      }
      if (from >= point.at) return point.at;
    }
    if (spec.catch_up == JobCatchUp::kAll) {
      const auto first = first_to_catch_up(spec, timeline, from);
      if (!first) return std::unexpected(first.error());
      if (auto missed = miss_until(
              std::min(first->at - kTick, now()),
              fmt::format("older than what catch_up all goes back: {} and {} occurrences",
                          format_duration(spec.catch_up_window), kMostCaughtUp));
          !missed) {
        return std::unexpected(missed.error());
      }
      point = *first;
      if (point.at > now()) return now();  // all of it was too old
      const bool late = point.at < now() - kPunctual;
      if (late && is_busy(spec) && !suspended(spec, point.at)) {
        if (from == cursor) return std::nullopt;
        return from;
      }
    } else if (auto overtaken = ledger.append(
                   from, point.at - kTick, Outcome::kSuperseded,
                   fmt::format("overtaken by that of {}", timeline.local_time(point.at)),
                   plan_.commit.occurrences);
               !overtaken) {
      return std::unexpected(overtaken.error());
    }
    if (auto lost = lose_ties(ledger, point); !lost) return std::unexpected(lost.error());
    fire(spec, ledger.row(point, Outcome::kFired, ""), suspended(spec, point.at), BundleHash());
    return point.at;
  }

  // The oldest occurrence after `from` that is neither too old nor one too many. Past now: none.
  Result<TimelinePoint> first_to_catch_up(const JobSpec& spec, const Timeline& timeline,
                                          Instant from) const {
    Instant begin = std::max(from, now() - spec.catch_up_window);
    const auto count = timeline.count(begin, now());
    if (!count) return std::unexpected(count.error());
    if (*count == 0) return TimelinePoint{.at = Instant::max()};
    const auto all = timeline.points(begin, now(), static_cast<std::size_t>(*count));
    if (!all) return std::unexpected(all.error());
    const auto most = static_cast<std::size_t>(kMostCaughtUp);
    return all->size() > most ? (*all)[all->size() - most] : all->front();
  }

  // Several expressions that meet at one instant start the job once: the winner takes `point`.
  Status lose_ties(const Ledger& ledger, TimelinePoint& point) {
    const auto points =
        ledger.timeline.points(point.at - kTick, point.at, ledger.timeline.rules().size() + 1);
    if (!points) return std::unexpected(points.error());
    if (points->empty()) {
      return fail(ErrorKind::kInternal, "a timeline forgot the occurrence it had found");
    }
    point = points->back();
    for (std::size_t i = 0; i + 1 < points->size(); ++i) {
      plan_.commit.occurrences.push_back(ledger.row(
          (*points)[i], Outcome::kSuperseded, "another schedule of the job at the same instant"));
    }
    return {};
  }

  std::optional<Verdict> suspended(const JobSpec& spec, Instant at) const {
    const Workspace& w = workspace();
    const bool alone = is_standalone(w.name);
    if (is_held(w, at)) {
      return Verdict{Outcome::kSkippedHold,
                     w.hold_reason.empty()
                         ? std::string("the workspace is held")
                         : fmt::format("the workspace is held: {}", w.hold_reason)};
    }
    if (auto off = switched_off(spec)) return off;
    if (!alone && !is_up(s_.own)) return Verdict{Outcome::kSkippedDisabled, not_up(s_.own)};
    return std::nullopt;
  }

  std::optional<Verdict> switched_off(const JobSpec& spec) const {
    const Workspace& w = workspace();
    if (!spec.enabled) return Verdict{Outcome::kSkippedDisabled, "the job is disabled"};
    if (!w.enabled) return Verdict{Outcome::kSkippedDisabled, "the workspace is disabled"};
    if (w.detached) {
      return Verdict{Outcome::kSkippedDisabled, is_standalone(w.name)
                                                    ? "its file has vanished"
                                                    : "the workspace is detached: its folder has "
                                                      "vanished, only its destroy schedule counts"};
    }
    return std::nullopt;
  }

  bool is_busy(const JobSpec& spec) {
    return std::ranges::any_of(runs_of(spec.name),
                               [](const JobRun* run) { return !is_final(run->status); });
  }

  bool has_queued(const JobSpec& spec) {
    return std::ranges::any_of(runs_of(spec.name), [](const JobRun* run) {
      return run->status == RunStatus::kQueued && !run->concurrent;
    });
  }

  const std::vector<JobRun*>& runs_of(const JobName& job) { return of_job_[job]; }

  Verdict judge_overlap(const JobSpec& spec) {
    // Two at a time on one state are never right.
    const Overlap overlap = spec.type == JobType::kTemplate && spec.overlap == Overlap::kAllow
                                ? Overlap::kQueue
                                : spec.overlap;
    if (overlap == Overlap::kAllow || !is_busy(spec)) return {Outcome::kFired, "it is due"};
    if (overlap == Overlap::kSkip) {
      return {Outcome::kSkippedOverlap, "an earlier run of it has not ended, and overlap is skip"};
    }
    if (has_queued(spec)) {
      return {Outcome::kSkippedOverlap, "one run of it waits already behind the one at work"};
    }
    return {Outcome::kFired, "it waits for the run at work"};
  }

  // `due` gets its outcome; when that is fired, the run comes with it.
  bool fire(const JobSpec& spec, Occurrence due, std::optional<Verdict> against,
            const BundleHash& bundle, const std::string& event = "",
            const std::string& waiting_for = "") {
    Verdict verdict = against ? *against : judge_overlap(spec);
    std::optional<NewRun> run;
    if (verdict.fires()) {
      run = make_run_of(spec, bundle);
      if (!run) {
        verdict = {Outcome::kMissed, fmt::format("there is no template \"{}\"", spec.body)};
      }
    }
    due.outcome = verdict.outcome;
    due.reason = verdict.reason;
    if (run) {
      run->trigger = event.empty() ? Trigger::kSchedule : Trigger::kEvent;
      run->requested_by = to_string(run->trigger);
      if (event.empty()) run->scheduled_for = due.at;
      run->event = event;
      run->waiting_for = waiting_for;
      due.run = run->id;
      note_planned(*run);
      plan_.commit.runs.push_back(*std::move(run));
    } else {
      skipped_ = verdict.reason;
    }
    auto& told = verdict.fires() ? plan_.sentences : plan_.left_out;
    told.push_back(fmt::format("job {} due at {}: {}, {}", spec.name.value, due.local_time,
                               to_string(due.outcome), due.reason));
    plan_.commit.occurrences.push_back(std::move(due));
    return verdict.fires();
  }

  void note(JobRun run) {
    JobRun& kept = runs_.emplace_back(std::move(run));
    of_job_[kept.job].push_back(&kept);
  }

  // What is planned counts at once for what is planned after it.
  void note_planned(const NewRun& run) {
    JobRun seen;
    seen.id = run.id;
    seen.job = run.job;
    seen.operation = run.operation;
    seen.waiting_for = run.waiting_for;
    seen.event = run.event;
    seen.concurrent = run.concurrent;
    note(std::move(seen));
  }

  // Absent: its template is unknown.
  std::optional<NewRun> make_run_of(const JobSpec& spec, const BundleHash& bundle) const {
    const auto found = s_.templates.find(spec.body);
    auto run = job_run(workspace(), spec, bundle,
                       found == s_.templates.end() ? std::nullopt : std::optional(found->second));
    if (!run) return std::nullopt;
    run->id = new_id_();
    run->created_at = now();
    return run;
  }

  void follow_event(const JobEventRow& event) {
    plan_.commit.handled_events.push_back(event.number);
    const std::string group = fmt::format("{}#{}", to_string(event.event), event.number);
    std::map<JobName, bool> fired;  // of those that wait for this event
    for (const std::size_t i : order_) {
      const JobSpec& spec = s_.own.spec.jobs[i];
      if (!spec.events.contains(event.event) || !spec.enabled) continue;
      std::vector<std::string> needed;
      std::optional<Verdict> against = switched_off(spec);
      if (event.event == JobEvent::kReboot && !against && !is_standalone(workspace().name) &&
          !is_up(s_.own)) {
        against = Verdict{Outcome::kSkippedDisabled, not_up(s_.own)};
      }
      if (!against && spec.type == JobType::kTemplate && !is_up(s_.own)) {
        against = Verdict{Outcome::kSkippedDisabled, not_up(s_.own)};
      }
      for (const JobName& above : spec.depends_on) {
        const auto known = fired.find(above);
        if (known == fired.end()) continue;
        needed.push_back(above.value);
        if (!known->second && !against) {
          against = Verdict{Outcome::kSkippedDisabled,
                            fmt::format("job {}, which it depends on, was left out", above.value)};
        }
      }
      Occurrence due;
      due.workspace = workspace().name;
      due.job = spec.name;
      due.schedule = event_label(spec.name, event.event);
      due.at = due.until = event.at;
      due.local_time = s_.timelines[i].local_time(event.at);
      due.action = Action::kRun;
      skipped_.clear();
      fired[spec.name] =
          fire(spec, std::move(due), against, event.bundle, group,
               needed.empty() ? "" : fmt::format("{} to succeed", jobs_listed(needed)));
      if (!skipped_.empty()) {
        JobDecision& decision = decision_of(spec.name);
        if (!decision.cursor && !decision.next_run) {
          decision.next_run = next_of(i, rows_.at(spec.name).cursor);
        }
        decision.skipped = skipped_;
      }
    }
  }

  // Runs of one event, by what became of those that they depend on.
  void follow_waits() {
    std::map<std::string, std::map<JobName, JobRun*>> groups;
    for (JobRun& run : runs_) {
      if (!run.event.empty()) groups[run.event][run.job] = &run;
    }
    for (auto& [event, members] : groups) {
      for (const std::size_t i : order_) {
        const JobSpec& spec = s_.own.spec.jobs[i];
        const auto member = members.find(spec.name);
        if (member == members.end() || member->second->waiting_for.empty() ||
            member->second->status != RunStatus::kQueued) {
          continue;
        }
        follow_wait(spec, *member->second, members);
      }
      for (auto& [name, run] : members) release_unknown(*run);
    }
  }

  void follow_wait(const JobSpec& spec, JobRun& waiting,
                   const std::map<JobName, JobRun*>& members) {
    std::vector<std::string> missing;
    for (const JobName& above : spec.depends_on) {
      const auto found = members.find(above);
      if (found == members.end()) continue;
      const JobRun& needed = *found->second;
      if (needed.status == RunStatus::kSucceeded) continue;
      if (is_final(needed.status)) {
        waiting.status = RunStatus::kCancelled;
        waiting.error = fmt::format("skipped: job {}, which it depends on, {}", above.value,
                                    how_it_ended(needed.status));
        plan_.commit.endings.push_back({waiting.id, waiting.status, waiting.error});
        plan_.sentences.push_back(fmt::format("job {} is {}", spec.name.value, waiting.error));
        return;
      }
      missing.push_back(above.value);
    }
    set_waiting(waiting, missing.empty() ? "" : fmt::format("{} to succeed", jobs_listed(missing)));
  }

  // One that the configuration knows no longer would wait for ever.
  void release_unknown(JobRun& run) {
    const auto known = std::ranges::any_of(
        s_.own.spec.jobs, [&](const JobSpec& spec) { return spec.name == run.job; });
    if (known || run.status != RunStatus::kQueued || run.waiting_for.empty()) return;
    run.status = RunStatus::kCancelled;
    plan_.commit.endings.push_back(
        {run.id, run.status, "skipped: the configuration does not name the job any more"});
  }

  void set_waiting(JobRun& run, std::string waiting_for) {
    if (run.waiting_for == waiting_for) return;
    run.waiting_for = waiting_for;
    // One that was planned just now says it right away.
    const auto planned = std::ranges::find(plan_.commit.runs, run.id, &NewRun::id);
    if (planned != plan_.commit.runs.end()) {
      planned->waiting_for = std::move(waiting_for);
    } else {
      plan_.commit.waits.push_back({run.id, std::move(waiting_for)});
    }
  }

  // Before a workspace goes, its template jobs do, from the last to the first.
  void destroy_template_jobs() {
    const Run* own = s_.own.queued;
    if (own == nullptr || own->operation != Operation::kDestroy) return;
    std::vector<const Job*> standing;
    for (const Job& row : s_.view.jobs) {
      if (row.type == JobType::kTemplate) standing.push_back(&row);
    }
    std::ranges::sort(standing, std::greater<>(), &Job::position);
    for (const Job* row : standing) {
      if (destroy_before(*row, *own)) return;
    }
  }

  // False when nothing of it is left.
  bool destroy_before(const Job& row, const Run& own) {
    bool failed = false;
    std::string error;
    for (JobRun* of_row : runs_of(row.name)) {
      JobRun& run = *of_row;
      if (run.status == RunStatus::kRunning) return true;
      if (run.status == RunStatus::kQueued) {
        if (run.operation == Operation::kDestroy) return true;
        run.status = RunStatus::kCancelled;
        plan_.commit.endings.push_back(
            {run.id, run.status, fmt::format("run {} destroys the workspace", own.id.value)});
      } else if (run.event == own.id.value && run.status != RunStatus::kSucceeded) {
        failed = true;
        error = run.error;
      }
    }
    if (!may_have_resources(row)) return false;
    if (failed) {
      plan_.commit.endings.push_back(
          {own.id, RunStatus::kFailed,
           fmt::format("template job {} could not be destroyed: {}", row.name.value, error)});
      plan_.sentences.push_back(plan_.commit.endings.back().error);
      return true;
    }
    NewRun run;
    run.id = new_id_();
    run.workspace = workspace().name;
    run.job = row.name;
    run.operation = Operation::kDestroy;
    run.mode = workspace().deployed_mode;
    run.trigger = own.trigger;
    run.requested_by = own.requested_by;
    run.definition = *row.deployed;
    run.event = own.id.value;
    run.created_at = now();
    plan_.sentences.push_back(
        fmt::format("destroy template job {} before its workspace", row.name.value));
    plan_.commit.runs.push_back(std::move(run));
    return true;
  }

  const JobsSituation& s_;
  const std::function<RunId()>& new_id_;
  std::vector<std::size_t> order_;
  std::deque<JobRun> runs_;  // with those that were planned
  std::map<JobName, std::vector<JobRun*>> of_job_;
  std::map<JobName, Job> rows_;
  JobsPlan plan_;
  std::map<JobName, std::size_t> decisions_;  // where they are in plan_
  std::string skipped_;                       // of the last occurrence, why it was left out
};

}  // namespace

bool JobsPlan::nothing() const {
  const JobsCommit& c = commit;
  return c.definitions.empty() && c.decisions.empty() && c.occurrences.empty() &&
         c.endings.empty() && c.waits.empty() && c.runs.empty() && c.handled_events.empty();
}

Result<JobsPlan> plan_jobs(const JobsSituation& s, const std::function<RunId()>& new_id) {
  return Planner(s, new_id).plan();
}

std::optional<Instant> next_job_occurrence(const WorkspaceSpec& spec,
                                           std::span<const Timeline> timelines,
                                           std::span<const Job> rows) {
  std::map<JobName, const Job*> known;
  for (const Job& row : rows) known.emplace(row.name, &row);
  std::optional<Instant> first;
  for (std::size_t i = 0; i < spec.jobs.size(); ++i) {
    const auto row = known.find(spec.jobs[i].name);
    // One without a row is to be looked at now.
    const auto next = row == known.end()
                          ? Result<std::optional<TimelinePoint>>(TimelinePoint{.at = Instant()})
                          : timelines[i].next(row->second->cursor);
    if (next && *next && (!first || (*next)->at < *first)) first = (*next)->at;
  }
  return first;
}

}  // namespace provisioner
