#include "scheduler/loop.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/experimental/parallel_group.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <limits>
#include <unordered_map>
#include <utility>

#include "runtime/first_of.hpp"
#include "scheduler/plan.hpp"
#include "scheduler/reconcile.hpp"

namespace provisioner {

using namespace std::chrono_literals;

Scheduler::Scheduler(const boost::asio::any_io_executor& loop, Clock& clock, Random& random,
                     Store& store, FenceSource fence, SpecReader read_spec, Logger log,
                     SchedulerSettings settings)
    : loop_(loop),
      clock_(clock),
      random_(random),
      store_(store),
      fence_(std::move(fence)),
      log_(std::move(log)),
      settings_(settings),
      specs_(std::move(read_spec), settings_.default_zone),
      wake_(loop) {}

void Scheduler::stop() {
  stopping_ = true;
  wake_.notify();
}

bool Scheduler::leads_with(const LeaderFence& fence) const {
  return fence_() == fence && refused_ != fence;
}

void Scheduler::note_change(const Change& change) {
  switch (change.topic) {
    case Change::Topic::kWorkspace: changed_workspaces_.insert(WorkspaceName(change.key)); break;
    case Change::Topic::kRun: changed_workspaces_.insert(WorkspaceName(change.workspace)); break;
    default: return;
  }
  wake_.notify();
}

Task<> Scheduler::run() {
  const auto subscription = store_.subscribe([this](const Change& change) { note_change(change); });
  Backoff backoff(100ms, 5s);
  while (!stopping_) {
    const auto fence = fence_();
    if (!fence || fence == refused_) {
      co_await stand_by();
      continue;
    }
    if (!behind_since_) behind_since_ = clock_.boot_now();
    const Status done = co_await round(*fence);
    if (stopping_) break;
    if (done) {
      backoff.reset();
      co_await wait_for_work();
      continue;
    }
    const Duration pause = backoff.next(random_);
    log_.warning(fmt::format("deciding nothing for {}: {}",
                             format_duration(std::chrono::floor<std::chrono::milliseconds>(pause)),
                             done.error().message));
    co_await wake_.wait_until(clock_, clock_.boot_now() + pause);
  }
}

Task<Status> Scheduler::round(LeaderFence fence) {
  if (led_with_ != fence) {
    if (Status taken = co_await take_over(fence); !taken) co_return taken;
  }
  if (clock_.boot_now() >= next_full_look_) {
    if (Status looked = co_await look_at_all(); !looked) co_return looked;
  }
  follow_changes();
  trouble_.reset();
  co_await look_at_due(fence, settings_.batch);
  if (trouble_) co_return std::unexpected(*trouble_);
  if (leads_with(fence)) co_await prune_when_due();
  co_return Status();
}

Task<> Scheduler::look_at_due(LeaderFence fence, std::size_t most) {
  std::vector<Task<>> looks;
  for (const auto& name : agenda_.take_due(clock_.now(), most)) {
    looks.push_back(look(name, fence));
  }
  co_await all_at_once(std::move(looks));
}

Task<> Scheduler::all_at_once(std::vector<Task<>> tasks) {
  using boost::asio::co_spawn;
  using boost::asio::deferred;
  if (tasks.empty()) co_return;
  std::vector<decltype(co_spawn(loop_, std::move(tasks[0]), deferred))> begun;
  begun.reserve(tasks.size());
  for (auto& task : tasks) begun.push_back(co_spawn(loop_, std::move(task), deferred));
  const auto [order, errors] =
      co_await boost::asio::experimental::make_parallel_group(std::move(begun))
          .async_wait(boost::asio::experimental::wait_for_all(), boost::asio::use_awaitable);
  for (const auto& error : errors) {
    if (error) std::rethrow_exception(error);
  }
}

// Reads everything and notes for each workspace when to look at it closely: at once if its schedule
// or its needs have something to say. What this cheap view cannot know (neighbours, recent runs)
// only makes it look too often, never too seldom.
Task<Status> Scheduler::look_at_all() {
  const bool stands_by = !fence_();
  const auto rows = co_await store_.workspaces();
  if (!rows) co_return fail("reading the workspaces", rows.error());
  const auto runs = co_await store_.runs({.statuses = {RunStatus::kQueued, RunStatus::kRunning},
                                          .limit = std::numeric_limits<int>::max()});
  if (!runs) co_return fail("reading the unfinished runs", runs.error());
  const auto cursors = co_await store_.cursors();
  if (!cursors) co_return fail("reading the cursors", cursors.error());
  const auto jobs = co_await store_.jobs(std::nullopt);
  if (!jobs) co_return fail("reading the jobs", jobs.error());
  const auto events = co_await store_.job_events();
  if (!events) co_return fail("reading what jobs wait for", events.error());

  std::unordered_map<WorkspaceName, Reading> readings;
  std::set<WorkspaceName> have_work;  // for their jobs
  for (const auto& event : *events) have_work.insert(event.workspace);
  for (const auto& run : *runs) {
    if (run.job.empty()) {
      readings[run.workspace].unfinished.push_back(run);
    } else if (!run.waiting_for.empty()) {
      have_work.insert(run.workspace);
    }
  }
  for (const auto& cursor : *cursors) readings[cursor.workspace].cursor = cursor.cursor;
  std::set<WorkspaceName> alive;
  std::size_t seen = 0;
  for (const auto& row : *rows) {
    if (++seen % 256 == 0) {
      co_await boost::asio::post(loop_, boost::asio::use_awaitable);
      if (stands_by && fence_()) co_return Status();  // there is something to decide now
    }
    alive.insert(row.name);
    census_.note(row);
    Entry& entry = entry_of(row.name);
    const auto parsed = specs_.get(row);
    if (!parsed) {
      agenda_.forget(row.name);
      complain(row.name, parsed.error().message);
      continue;
    }
    set_dependencies(row.name, (*parsed)->spec.depends_on);
    Reading reading = std::move(readings[row.name]);
    reading.workspace = row;
    reading.parsed = *parsed;
    const auto [first, last] = std::ranges::equal_range(*jobs, row.name, {}, &Job::workspace);
    note_jobs(row.name, **parsed, {first, last});
    const Situation s = reading.situation(clock_.now());
    if (s.cursor > s.now + 1h) {
      complain(row.name, fmt::format("its schedule was followed until {} already, and the clock is "
                                     "far behind that: nothing fires before",
                                     format_rfc3339(s.cursor)));
    } else {
      entry.complaint.clear();
    }
    note_as_seen(s);
    if (have_work.contains(row.name)) agenda_.note(row.name, s.now);
  }
  std::vector<WorkspaceName> gone;
  for (const auto& [name, entry] : entries_) {
    if (!alive.contains(name)) gone.push_back(name);
  }
  for (const auto& name : gone) forget(name);
  knows_all_ = true;
  next_full_look_ = clock_.boot_now() + settings_.full_look;
  co_return Status();
}

void Scheduler::follow_changes() {
  const Instant now = clock_.now();
  for (const auto& name : std::exchange(changed_workspaces_, {})) {
    const auto note = [&](const WorkspaceName& workspace) {
      entry_of(workspace).has_changed = true;
      agenda_.note(workspace, now);
    };
    for (const auto& below : dependents_[name]) note(below);
    for (const auto& above : entry_of(name).depends_on) {
      if (entries_.contains(above)) note(above);
    }
    note(name);
  }
}

Task<> Scheduler::prune_when_due() {
  if (clock_.boot_now() < next_prune_) co_return;
  next_prune_ = clock_.boot_now() + settings_.prune_every;
  const auto report = co_await store_.prune(settings_.retention, clock_.now());
  if (!report) {
    log_.warning(
        fmt::format("pruning what is older than the retention: {}", report.error().message));
  } else if (report->runs + report->occurrences + report->state_versions + report->bundles > 0) {
    log_.info(fmt::format("pruned {} runs, {} occurrences, {} state versions and {} bundles",
                          report->runs, report->occurrences, report->state_versions,
                          report->bundles));
  }
}

Duration Scheduler::behind() const {
  return behind_since_ && fence_() ? clock_.boot_now() - *behind_since_ : Duration::zero();
}

Task<> Scheduler::wait_for_work() {
  const auto next = agenda_.next();
  if (next && *next <= clock_.now()) {
    co_await boost::asio::post(loop_, boost::asio::use_awaitable);
    co_return;
  }
  behind_since_.reset();
  const BootInstant latest = std::min(next_full_look_, next_prune_);
  if (!next) {
    co_await wake_.wait_until(clock_, latest);
    co_return;
  }
  const auto woken = [](Signal& wake, Clock& clock, BootInstant until) -> Task<> {
    co_await wake.wait_until(clock, until);
  };
  co_await first_of(woken(wake_, clock_, latest), clock_.sleep_until_wall(*next));
}

void Scheduler::forget(const WorkspaceName& name) {
  set_dependencies(name, {});
  agenda_.forget(name);
  specs_.forget(name);
  census_.forget(name);
  entries_.erase(name);
}

void Scheduler::set_dependencies(const WorkspaceName& name,
                                 const std::vector<WorkspaceName>& depends_on) {
  Entry& entry = entry_of(name);
  if (entry.depends_on == depends_on) return;
  for (const auto& above : entry.depends_on) dependents_[above].erase(name);
  for (const auto& above : depends_on) dependents_[above].insert(name);
  entry.depends_on = depends_on;
}

void Scheduler::note_next(const Situation& s) {
  auto next = next_occurrence_at(s);
  const auto need = next_look(s);
  if (!next || (need && *need < *next)) next = need;
  const auto job = entry_of(s.workspace.name).next_job;
  if (!next || (job && *job < *next)) next = job;
  if (next) {
    agenda_.note(s.workspace.name, *next);
  } else {
    agenda_.forget(s.workspace.name);
  }
}

// By a reading that may lack neighbours and recent runs.
void Scheduler::note_as_seen(const Situation& s) {
  if (reconcile(s).nothing()) {
    note_next(s);
  } else {
    agenda_.note(s.workspace.name, s.now);
  }
}

void Scheduler::complain(const WorkspaceName& name, const std::string& what) {
  if (!fence_()) return;  // once in a cluster is enough
  Entry& entry = entry_of(name);
  if (entry.complaint == what) return;
  entry.complaint = what;
  log_.warning(what, {{"workspace", name.value}});
}

}  // namespace provisioner
