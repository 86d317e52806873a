#include "scheduler/reconcile.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace provisioner {
namespace {

// The last thing done was to deploy just this change: whatever became of it, it is not repeated.
bool change_was_tried(const Situation& s) {
  const auto newest = std::ranges::find_if(s.recent, [](const Run& run) {
    return run.operation == Operation::kDeploy || run.operation == Operation::kDestroy;
  });
  return newest != s.recent.end() && newest->trigger == Trigger::kChange &&
         newest->definition.same_content(s.workspace.current);
}

bool wants_redeploy(const Situation& s) {
  const Workspace& w = s.workspace;
  const bool deployed = w.status == WorkspaceStatus::kDeployed ||
                        w.status == WorkspaceStatus::kDeployFailed ||
                        w.status == WorkspaceStatus::kNeedsConfirmation;
  const bool by_policy =
      s.spec.on_change == OnChange::kRedeploy || s.spec.on_change == OnChange::kForce;
  return deployed && by_policy && !w.detached && w.deployed &&
         !w.deployed->same_content(w.current) && !change_was_tried(s);
}

Decision redeploy(const Situation& s) {
  Decision d;
  d.run = make_run(s, Operation::kDeploy, s.workspace.deployed_mode, Trigger::kChange);
  d.run->confirmed = s.spec.on_change == OnChange::kForce;
  d.sentence = "deploy: the content changed since the last deploy";
  return d;
}

// Expired, by the workspace's present definition, and not renewed by a later deploy.
Decision expire(const Situation& s) {
  const Workspace& w = s.workspace;
  const Instant ttl = *w.ttl_expires_at;
  Decision d;
  d.clear_ttl = ttl;
  if (w.last_deployed && ttl <= *w.last_deployed) {
    d.sentence = fmt::format("nothing destroyed: the ttl of {} is older than the deploy of {}",
                             format_rfc3339(ttl), format_rfc3339(*w.last_deployed));
  } else if (!s.spec.ttl) {
    d.sentence = "nothing destroyed: the ttl was taken out of the configuration";
  } else {
    d.run = make_run(s, Operation::kDestroy, "", Trigger::kTtl);
    d.sentence = fmt::format("destroy: its ttl ended at {}", format_rfc3339(ttl));
  }
  return d;
}

bool has_ttl(const Workspace& w) { return w.ttl_expires_at && may_have_resources(w); }

bool has_retry(const Workspace& w) {
  return w.retry_at && w.status == WorkspaceStatus::kDestroyFailed;
}

std::optional<Waiting> explain_waiting(const Situation& s) {
  if (s.queued == nullptr || s.queued->waiting_for.empty()) return std::nullopt;
  std::string now_for = waits_for(s.neighbours, s.queued->operation);
  if (now_for == s.queued->waiting_for) return std::nullopt;
  return Waiting{.run = s.queued->id, .waiting_for = std::move(now_for)};
}

}  // namespace

Decision reconcile(const Situation& s) {
  Decision d;
  if (auto waiting = explain_waiting(s)) {
    d.sentence = waiting->waiting_for.empty()
                     ? fmt::format("run {} need not wait any longer", waiting->run.value)
                     : fmt::format("run {} waits for {}", waiting->run.value, waiting->waiting_for);
    d.waiting = std::move(waiting);
    return d;
  }
  const Workspace& w = s.workspace;
  // What is on its way decides anew when it has ended.
  if (is_suspended(w, s.now) || s.active != nullptr || s.queued != nullptr) return d;
  if (has_ttl(w) && s.now >= *w.ttl_expires_at) return expire(s);
  if (has_retry(w) && s.now >= *w.retry_at) {
    d.run = make_run(s, Operation::kDestroy, "", Trigger::kRetry);
    d.clear_retry = true;
    d.sentence = fmt::format("destroy again: {} in a row failed", w.failed_destroys);
    return d;
  }
  if (wants_redeploy(s)) return redeploy(s);
  return d;
}

std::optional<Instant> next_look(const Situation& s) {
  const Workspace& w = s.workspace;
  std::optional<Instant> next;
  const auto consider = [&](Instant at) {
    if (at > s.now && (!next || at < *next)) next = at;
  };
  if (has_ttl(w)) consider(*w.ttl_expires_at);
  if (has_retry(w)) consider(*w.retry_at);
  if (w.held && w.hold_until) consider(*w.hold_until);
  return next;
}

}  // namespace provisioner
