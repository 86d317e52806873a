// How the daemon stops (SIGTERM, SIGINT), within shutdown.timeout. Each further signal ends the
// phase that is waited for.
//
//   1. /ready is red, and each answer is the last of its connection. Nothing is claimed or decided
//   any
//      more, and the leadership is handed over: others need no part of the time that follows.
//   2. shutdown.pause: load balancers notice; requests are answered.
//   3. The network's listeners are closed, requests in flight answered, event streams told to come
//   back.
//   4. With shutdown.drain, runs of this instance are waited for; when the time is nearly over they
//   are
//      interrupted, once. Without it they go on, and report to the next daemon.
//   5. The unix socket, which runners need until then, and everything else.
#include <fmt/format.h>

#include <algorithm>

#include "app/daemon.hpp"
#include "app/process.hpp"
#include "runtime/first_of.hpp"

namespace provisioner {
namespace {

constexpr Duration kLookAtRuns = std::chrono::milliseconds(100);
// What systemd adds to the timeout before it kills.
constexpr Duration kBeyondTimeout = std::chrono::seconds(10);

}  // namespace

Task<> Daemon::end() {
  const Duration timeout = settings_.shutdown.timeout;
  const BootInstant deadline = clock_.boot_now() + timeout;
  const bool drains = settings_.shutdown.drain;
  log_.info(drains ? "stopping; runs are waited for" : "stopping; runs go on",
            {{"active", std::to_string(dispatcher_->active())}});
  notify_systemd(fmt::format("STOPPING=1\nSTATUS=stopping\nEXTEND_TIMEOUT_USEC={}",
                             (timeout + kBeyondTimeout).count()));
  local_->end_keep_alive();
  network_->end_keep_alive();
  dispatcher_->set_claiming(false);
  fetcher_->stop();
  scheduler_->stop();
  leadership_->stop();

  const Duration pause = std::min(settings_.shutdown.pause, timeout);
  if (pause > Duration::zero()) {
    notify_systemd("STATUS=stopping: not ready, for load balancers to notice");
    co_await pass(clock_.sleep_for(pause), deadline);
  }
  notify_systemd("STATUS=stopping: answering the last requests");
  co_await pass(network_->drain(), deadline);
  if (drains) co_await end_runs(deadline);
  runner_api_->release_watchers();
  co_await pass(local_->drain(), deadline);

  // Leadership is handed back before anything is cancelled.
  for (Background* group : {&deciding_, &background_}) {
    if (group == &background_) group->cancel_all();
    co_await pass(until_ended(*group, deadline), deadline);
  }
  co_await pass(membership_->leave(), deadline);
  log_.info("stopped");
}

// Returns when `phase` has ended, at the deadline, or when a further signal asks to hurry.
Task<> Daemon::pass(Task<> phase, BootInstant deadline) {
  const auto until_hurried = [](Signal& stop, Clock& clock, BootInstant at) -> Task<> {
    co_await stop.wait_until(clock, at);
  };
  co_await first_of(std::move(phase), until_hurried(stop_, clock_, deadline));
}

Task<> Daemon::until_ended(Background& group, BootInstant deadline) {
  const std::string alive = co_await group.ended(clock_, deadline);
  if (!alive.empty()) log_.warning("stopped without waiting for: " + alive);
}

Task<> Daemon::end_runs(BootInstant deadline) {
  const auto count = [this] { return std::to_string(dispatcher_->active()); };
  const BootInstant now = clock_.boot_now();
  // As long as an interrupted tofu may take to write its state, but not all of the time.
  const Duration last_part = std::min(settings_.runs.stop_allowance, (deadline - now) / 2);
  notify_systemd("STATUS=stopping: waiting for runs");
  co_await pass(until_no_run_is_active(), deadline - last_part);
  if (dispatcher_->active() == 0) co_return;
  log_.warning("interrupting runs: they are resumed elsewhere", {{"active", count()}});
  notify_systemd("STATUS=stopping: interrupting runs");
  dispatcher_->interrupt_all();
  co_await pass(until_no_run_is_active(), deadline);
  if (dispatcher_->active() > 0) {
    log_.error("stopped without waiting for runs", {{"active", count()}});
  }
}

Task<> Daemon::until_no_run_is_active() {
  while (dispatcher_->active() > 0) co_await clock_.sleep_for(kLookAtRuns);
}

}  // namespace provisioner
