#include "execution/recent_ends.hpp"

#include <fmt/format.h>

#include "execution/recovery.hpp"

namespace provisioner::execution {

void RecentEnds::acknowledged(const Run& run, const AttemptResult& result) {
  if (ends_.size() == kMost) ends_.pop_front();
  Run remembered = run;
  remembered.definition.config.clear();  // nobody asks for it, and it may be long
  ends_.push_back({.run = std::move(remembered),
                   .status = result.status,
                   .at = parts_.clock.now(),
                   .remembered_since = parts_.clock.boot_now()});
}

Task<> RecentEnds::run() {
  while (true) {
    co_await parts_.clock.sleep_for(kLookEvery);
    co_await look();
  }
}

Task<bool> RecentEnds::look() {
  while (!ends_.empty() && ends_.front().remembered_since + kRemembered < parts_.clock.boot_now()) {
    ends_.pop_front();
  }
  if (ends_.empty() && looked_in_) co_return true;
  const auto row = co_await parts_.store.leadership();
  if (!row) co_return false;
  if (looked_in_ == row->fence) co_return true;
  // What is acknowledged meanwhile comes to the end, and needs no look.
  const std::deque<End> present = ends_;
  for (const End& end : present) {
    if (!co_await check(end)) co_return false;
  }
  looked_in_ = row->fence;
  co_return true;
}

Task<bool> RecentEnds::check(End end) {
  const auto known = co_await parts_.store.run(end.run.id);
  if (!known && known.error().kind != ErrorKind::kNotFound) co_return false;
  if (known && (is_final(known->status) || known->attempt > end.run.attempt)) co_return true;
  if (!known) {
    // A person who removes a workspace removes its runs.
    const auto workspace = co_await parts_.store.workspace(end.run.workspace);
    if (!workspace && workspace.error().kind == ErrorKind::kNotFound) co_return true;
    if (!workspace) co_return false;
    if (workspace->created_at > end.at) co_return true;
  }
  co_await tell(end, !known);
  std::erase_if(ends_, [&](const End& other) { return other.run.id == end.run.id; });
  co_return true;
}

Task<> RecentEnds::tell(End end, bool is_unknown) {
  const Run& run = end.run;
  const std::string what = fmt::format(
      "the database has forgotten {}run {}, a {} that ended {} at {}: it failed over to a server "
      "that lacked its last commits, and resources may be further than the state says",
      is_unknown ? "" : "the end of ", run.id.value, to_string(run.operation),
      to_string(end.status), format_rfc3339(end.at));
  parts_.log.error(what, {{"workspace", run.workspace.value},
                          {"run_id", run.id.value},
                          {"correlation_id", run.correlation_id.value}});
  const auto recorded = co_await parts_.store.audit({.at = parts_.clock.now(),
                                                     .actor = "instance " + parts_.me.value,
                                                     .action = "cluster.forgotten_run",
                                                     .target = run.workspace.value,
                                                     .outcome = what});
  if (!recorded) parts_.log.warning("recording it: " + recorded.error().message);
  // A run that the store knows is resumed, or its workspace held, by those who find it without its
  // processes.
  if (!is_unknown || parts_.on_interrupt != OnInterrupt::kHold) co_return;
  const auto held = co_await hold_workspace(
      parts_.store, run.workspace,
      fmt::format("{}; compare with `workspace plan {}`, then `workspace release {}`", what,
                  run.workspace.value, run.workspace.value),
      parts_.clock.now());
  if (!held) parts_.log.error("cannot hold the workspace: " + held.error().message);
}

}  // namespace provisioner::execution
