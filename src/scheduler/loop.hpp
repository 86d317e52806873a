// The leader's coroutine: waits for the next instant or a notification, reads the store, lets the
// pure functions decide, and commits each decision under the fence of its term.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "runtime/backoff.hpp"
#include "runtime/clock.hpp"
#include "runtime/random.hpp"
#include "runtime/signal.hpp"
#include "scheduler/agenda.hpp"
#include "scheduler/census.hpp"
#include "scheduler/situation.hpp"
#include "scheduler/spec_cache.hpp"
#include "store/store.hpp"
#include "telemetry/log.hpp"

namespace provisioner {

// The fence while this instance leads, else nothing; asked again after every await (I6).
using FenceSource = std::function<std::optional<LeaderFence>()>;

struct SchedulerSettings {
  Zone default_zone;  // of workspaces that name none
  RetentionPolicy retention;
  // Notifications wake the scheduler; this guarantees that nothing is overlooked without them.
  Duration full_look = std::chrono::seconds(60);
  Duration prune_every = std::chrono::hours(1);
  // A stand-by reads what changed this often, and all of it when that is more than `most_reads`.
  Duration standby_read = std::chrono::seconds(1);
  std::size_t most_reads = 200;
  // It does so with as many connections as a store keeps open, and so do the first decisions of a
  // term: to open more takes longer than they do.
  std::size_t warm = 4;
  // So many workspaces are looked at before the loop sees to others again; at the same time, so
  // that their commits share the disk's syncs.
  std::size_t batch = 32;
};

// Acts only while `fence` answers. Without it, it keeps in mind what there is to look at and when,
// so that its first decisions as leader need not wait for a reading of everything, which then
// follows them. What it remembers says when to look; what to decide is read anew each time. Loop
// only. The references outlive run().
class Scheduler {
 public:
  Scheduler(const boost::asio::any_io_executor& loop, Clock& clock, Random& random, Store& store,
            FenceSource fence, SpecReader read_spec, Logger log, SchedulerSettings settings);

  // Returns after stop(), with nothing of its own in flight.
  Task<> run();
  void stop();

  // From the next pruning on.
  void set_retention(RetentionPolicy retention) { settings_.retention = retention; }

  // The answer of `fence` may have changed: look again.
  void wake() { wake_.notify(); }

  // Of all workspaces, at most a moment old; also on a stand-by. Empty before the first look.
  const Census::Counts& census() const { return census_.counts(); }

  // How long it has been at work without coming to the end of what is due; zero while it waits for
  // the next instant, and without a fence.
  Duration behind() const;

  // Called on the loop after each commit of occurrences, with what was queued for them.
  using PlanListener =
      std::function<void(const std::vector<Occurrence>&, const std::optional<NewRun>&)>;
  void on_plan(PlanListener listener) { on_plan_ = std::move(listener); }

 private:
  // What is remembered of a workspace between two looks.
  struct Entry {
    std::vector<WorkspaceName> depends_on;
    std::string complaint;     // the last one logged, so that it is logged once
    bool has_changed = false;  // or something beside it, since it was looked at
    // Of its jobs: whether there are any, in the configuration or in the store, and when a schedule
    // of theirs has something to say.
    bool has_jobs = false;
    std::optional<Instant> next_job;
  };

  // What the store says about one workspace just now.
  struct Reading {
    Workspace workspace;
    std::shared_ptr<const ParsedSpec> parsed;
    Instant cursor;
    std::vector<Run> unfinished;
    std::vector<Run> recent;  // of all, newest first
    Neighbours neighbours;
    JobsView jobs;  // of one that has jobs

    Situation situation(Instant now) const;
    RunId newest_run() const { return recent.empty() ? RunId() : recent.front().id; }
  };

  // loop.cpp: rounds over all workspaces.
  bool leads_with(const LeaderFence& fence) const;
  void note_change(const Change& change);
  Task<Status> round(LeaderFence fence);
  Task<Status> look_at_all();
  void follow_changes();
  Task<> look_at_due(LeaderFence fence, std::size_t most);
  Task<> all_at_once(std::vector<Task<>> tasks);
  Task<> prune_when_due();
  Task<> wait_for_work();

  // standby.cpp: before and right after the begin of a term.
  Task<> stand_by();
  Task<> read_changed();
  Task<> read_again(WorkspaceName name);
  Task<Status> take_over(LeaderFence fence);
  Task<Status> learn_dependencies(std::vector<WorkspaceName> names);

  Entry& entry_of(const WorkspaceName& name) { return entries_[name]; }
  void forget(const WorkspaceName& name);
  void set_dependencies(const WorkspaceName& name, const std::vector<WorkspaceName>& depends_on);
  void note_next(const Situation& s);
  void note_as_seen(const Situation& s);
  void complain(const WorkspaceName& name, const std::string& what);

  // jobs.cpp: the jobs of one workspace.
  void note_jobs(const WorkspaceName& name, const ParsedSpec& parsed, std::span<const Job> rows);
  Task<Status> read_jobs(Reading& reading);
  Task<Status> follow_jobs(const Reading& reading, LeaderFence fence);

  // look.cpp: one workspace. What cannot be decided now is noted for later.
  Task<> look(WorkspaceName name, LeaderFence fence);
  Task<Status> decide(WorkspaceName name, LeaderFence fence);
  Task<Result<Reading>> read(WorkspaceName name, int recent_runs);
  // True when a run was queued.
  Task<Result<bool>> follow_schedule(Reading& reading, LeaderFence fence);
  Task<Status> follow_needs(const Reading& reading, LeaderFence fence);

  boost::asio::any_io_executor loop_;
  Clock& clock_;
  Random& random_;
  Store& store_;
  FenceSource fence_;
  Logger log_;
  SchedulerSettings settings_;
  SpecCache specs_;

  Signal wake_;
  bool stopping_ = false;
  std::optional<LeaderFence> led_with_;  // the term that was taken over; none of a stand-by
  bool knows_all_ = false;               // the memory below comes from a look at all
  std::optional<LeaderFence> refused_;   // the store called it stale: wait for another one
  Agenda agenda_;
  Census census_;
  PlanListener on_plan_;
  std::optional<BootInstant> behind_since_;
  std::map<WorkspaceName, Entry> entries_;
  std::map<WorkspaceName, std::set<WorkspaceName>> dependents_;  // by what they depend on
  std::set<WorkspaceName> changed_workspaces_;
  std::optional<Error> trouble_;  // of this round: wait it out
  BootInstant next_full_look_{};
  BootInstant next_read_{};  // of a stand-by
  BootInstant next_prune_{};
};

}  // namespace provisioner
