// A scheduler that does not lead yet, and its first decisions when it does.
#include <algorithm>
#include <utility>

#include "scheduler/loop.hpp"
#include "scheduler/reconcile.hpp"

namespace provisioner {

using namespace std::chrono_literals;

// Nobody waits for it: what cannot be read now is read later, at the latest by the look at all that
// each term begins with.
Task<> Scheduler::stand_by() {
  led_with_.reset();
  behind_since_.reset();
  if (clock_.boot_now() >= next_full_look_) {
    next_full_look_ = clock_.boot_now() + settings_.full_look;
    if (const Status looked = co_await look_at_all(); !looked) {
      log_.debug("a stand-by's reading: " + looked.error().message);
    }
    co_return;
  }
  if (clock_.boot_now() >= next_read_) {
    next_read_ = clock_.boot_now() + settings_.standby_read;
    co_await read_changed();
    co_return;
  }
  co_await wake_.wait_until(clock_, std::min(next_read_, next_full_look_));
}

Task<> Scheduler::read_changed() {
  if (changed_workspaces_.size() > settings_.most_reads) {
    changed_workspaces_.clear();
    next_full_look_ = clock_.boot_now();
    co_return;
  }
  while (!changed_workspaces_.empty() && !fence_() && !stopping_) {
    std::vector<Task<>> readings;
    while (!changed_workspaces_.empty() && readings.size() < settings_.warm) {
      readings.push_back(read_again(*changed_workspaces_.begin()));
      changed_workspaces_.erase(changed_workspaces_.begin());
    }
    co_await all_at_once(std::move(readings));
  }
}

Task<> Scheduler::read_again(WorkspaceName name) {
  const auto reading = co_await read(name, 1);
  if (reading) {
    note_as_seen(reading->situation(clock_.now()));
  } else if (reading.error().kind == ErrorKind::kNotFound) {
    forget(name);
  } else {
    agenda_.note(name, clock_.now());  // whoever leads looks at it first
  }
}

// What is due by what is known already is decided before everything is read again.
Task<Status> Scheduler::take_over(LeaderFence fence) {
  led_with_ = fence;
  next_full_look_ = next_prune_ = clock_.boot_now();
  if (!knows_all_ || changed_workspaces_.size() > settings_.most_reads) co_return Status();
  const Instant begun = clock_.now();
  auto changed = std::exchange(changed_workspaces_, {});
  // A dependency that was drawn a moment ago must be known before the workspace that it leads to
  // is decided about.
  if (Status learnt = co_await learn_dependencies({changed.begin(), changed.end()}); !learnt) {
    changed_workspaces_.merge(changed);
    co_return learnt;
  }
  for (const auto& name : changed) agenda_.note(name, begun);
  trouble_.reset();
  std::size_t looks = 0;
  while (leads_with(fence) && !stopping_) {
    const auto next = agenda_.next();
    if (!next || *next > std::min(begun, clock_.now())) break;
    const std::size_t most = looks < settings_.batch ? settings_.warm : settings_.batch;
    co_await look_at_due(fence, most);
    looks += most;
    if (trouble_) co_return std::unexpected(*trouble_);
  }
  co_return Status();
}

// One round trip, and one more for each that was removed meanwhile.
Task<Status> Scheduler::learn_dependencies(std::vector<WorkspaceName> names) {
  while (!names.empty()) {
    const WorkspaceName first = names.back();
    names.pop_back();
    const auto view = co_await store_.view({.workspace = first, .neighbours = names});
    if (!view && view.error().kind == ErrorKind::kNotFound) continue;
    if (!view) co_return fail("reading the changed workspaces", view.error());
    const auto learn = [this](const Workspace& row) {
      if (const auto parsed = specs_.get(row)) {
        set_dependencies(row.name, (*parsed)->spec.depends_on);
      }
    };
    learn(view->workspace);
    for (const Workspace& row : view->neighbours) learn(row);
    co_return Status();
  }
  co_return Status();
}

}  // namespace provisioner
