#include "tests/simulation/observer.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "tests/simulation/attempt.hpp"
#include "tofu/state_body.hpp"

namespace provisioner::simulation {

using namespace std::chrono_literals;

void Observer::violated(std::string invariant, std::string sentence) {
  world_.note(fmt::format("VIOLATION {}: {}", invariant, sentence));
  if (!violation_) violation_ = Violation{std::move(invariant), std::move(sentence)};
}

void Observer::fault_strikes() {
  ++figures_.faults;
  for (const auto& [workspace, key] : active_) {
    if (find_processes(key.first, key.second) != nullptr) ++figures_.in_flight;
  }
}

void Observer::proved(const InstanceId& who, BootInstant permitted_until, Duration proved_at) {
  permitted_[who] = std::max(permitted_[who], permitted_until);
  proved_at_[who] = std::max(proved_at_[who], proved_at);
}

void Observer::believes(const InstanceId& who, BootInstant now) {
  if (now < permitted_[who]) return;
  violated("I6", fmt::format("{} acts as leader {} after its deadline", who.value,
                             format_duration(now - permitted_[who])));
}

void Observer::leaders(const std::vector<InstanceId>& who) {
  if (who.size() < 2 || world_.now() < excused_until_) return;
  violated("I6", fmt::format("{} and {} both lead", who[0].value, who[1].value));
}

void Observer::claimed_term(const InstanceId& who, const Leadership& row) {
  if (row.fence == leader_) return;  // a repeated claim
  if (row.fence.term <= highest_) {
    violated("I2", fmt::format("{} claimed term {} after term {}", who.value, row.fence.term.value,
                               highest_.value));
  }
  if (proved_at_[who] < leader_since_) {
    violated("I2", fmt::format("{} replaced term {} with a proof that was older than that term",
                               who.value, leader_.term.value));
  }
  highest_ = std::max(highest_, row.fence.term);
  leader_ = row.fence;
  leader_since_ = world_.now();
  ++figures_.terms;
}

void Observer::resigned(const LeaderFence& fence) {
  if (fence == leader_) leader_.claim = ClaimId();
}

void Observer::decided(const InstanceId& who, const LeaderFence& fence, const std::string& what) {
  if (fence == leader_) return;
  violated("I2", fmt::format("{} of {} with term {} was committed under term {}", what, who.value,
                             fence.term.value, leader_.term.value));
}

void Observer::planned(const PlanCommit& plan) {
  if (plan.run) enqueued(plan.run->id);
  for (const Occurrence& o : plan.occurrences) {
    ++figures_.occurrences;
    if (!ledger_.emplace(o.workspace, o.schedule, o.at).second) {
      violated("I3", fmt::format("occurrence {} of {} of {} is in the ledger twice",
                                 format_rfc3339(o.at), o.schedule, o.workspace.value));
    }
    const auto run = o.run ? o.run : plan.run ? std::optional(plan.run->id) : std::nullopt;
    if (o.outcome == Outcome::kFired && run && !fired_.insert(*run).second) {
      violated("I3", fmt::format("run {} was started by two occurrences", run->value));
    }
  }
}

void Observer::claimed(const InstanceId& who, const ClaimedRun& run) {
  const Key key(run.fence.run, run.fence.attempt);
  if (attempts_.contains(key)) return;  // found again after a lost reply
  const auto [active, free] = active_.try_emplace(run.run.workspace, key);
  if (!free) {
    violated("I1", fmt::format("attempt {} of run {} was claimed while attempt {} of run {} runs",
                               key.second.value, key.first.value, active->second.second.value,
                               active->second.first.value));
  }
  Seen seen{run.run.workspace, who, run.fence.claim};
  seen.last_heard = world_.now();
  attempts_.emplace(key, std::move(seen));
  ++figures_.attempts;
}

Observer::Seen* Observer::find(const AttemptFence& fence) {
  const auto found = attempts_.find(Key(fence.run, fence.attempt));
  return found == attempts_.end() ? nullptr : &found->second;
}

void Observer::registered(const AttemptFence& fence) {
  beat(fence);
  if (Seen* seen = find(fence)) seen->registered = true;
}

void Observer::beat(const AttemptFence& fence) {
  Seen* seen = find(fence);
  if (seen != nullptr && seen->running && seen->claim == fence.claim) {
    seen->last_heard = world_.now();
    return;
  }
  violated("I1", fmt::format("a stale attempt {} of run {} spoke and was heard",
                             fence.attempt.value, fence.run.value));
}

void Observer::end(const Key& key) {
  const auto seen = attempts_.find(key);
  if (seen == attempts_.end() || !seen->second.running) return;
  seen->second.running = false;
  active_.erase(seen->second.workspace);
}

void Observer::finished(const AttemptFence& fence, RunStatus status) {
  const AttemptProcesses* processes = find_processes(fence.run, fence.attempt);
  if (processes != nullptr && processes->works()) {
    violated("I8", fmt::format("attempt {} of run {} was reported as {}, and works on",
                               fence.attempt.value, fence.run.value, to_string(status)));
  }
  end(Key(fence.run, fence.attempt));
}

void Observer::interrupted(const InstanceId& who, bool fenced, const Interruption& what,
                           const std::optional<StateVersion>& current) {
  const Key key(what.run, what.attempt);
  ++figures_.interrupted;
  const auto seen = attempts_.find(key);
  if (seen != attempts_.end()) {
    const bool own = seen->second.instance == who;
    if (!own && !fenced) {
      violated("I2", fmt::format("{} ended attempt {} of run {} of {} without a term", who.value,
                                 key.second.value, key.first.value, seen->second.instance.value));
    }
    // Proved dead by its own host, or its lease has ended: then its guard has ended it, unless
    // somebody stopped or killed the guard.
    AttemptProcesses* processes = find_processes(key.first, key.second);
    const bool near = processes != nullptr && &processes->host() == lives_on[who];
    // Without a registration nothing was spawned, and nothing will be.
    const bool lives = processes != nullptr &&
                       (own && seen->second.registered
                            ? processes->any_alive()
                            : processes->works() && (near || !processes->guard_disturbed()));
    if (lives) {
      violated("I1",
               fmt::format("{} ended attempt {} of run {} ({}), and its {} lives", who.value,
                           key.second.value, key.first.value, what.reason, processes->living()));
    }
    // Whoever says that it was silent for its whole lease must be right.
    const Duration silent = world_.now() - seen->second.last_heard;
    if (what.reason.find("whole lease") != std::string::npos && silent < lease_) {
      violated("I1",
               fmt::format("{} ended attempt {} of run {} for its silence, which had lasted {}",
                           who.value, key.second.value, key.first.value, format_duration(silent)));
    }
    if (current) follow_state({seen->second.workspace, ""}, *current);
  }
  end(key);
}

void Observer::wrote(const StateSlot& slot, const std::optional<AttemptFence>& by,
                     const StateVersion& version) {
  ++figures_.states;
  if (by) {
    const Seen* seen = find(*by);
    if (seen == nullptr || !seen->running || seen->claim != by->claim ||
        seen->workspace != slot.workspace) {
      violated("I5", fmt::format("attempt {} of run {} wrote a state without being the current one",
                                 by->attempt.value, by->run.value));
    }
  }
  follow_state(slot, version);
}

void Observer::follow_state(const StateSlot& slot, const StateVersion& version) {
  const auto [known, first] = lineages_.try_emplace(
      slot.workspace, Lineage{version.meta.lineage, version.meta.serial, version.meta.sha256});
  if (first) return;
  Lineage& before = known->second;
  if (before.lineage != version.meta.lineage) {
    violated("I5", fmt::format("the state of {} changed its lineage", slot.workspace.value));
  }
  const bool same = before.serial == version.meta.serial && before.sha256 == version.meta.sha256;
  if (version.meta.serial <= before.serial && !same) {
    violated("I5", fmt::format("the serial of {} went from {} to {}", slot.workspace.value,
                               before.serial, version.meta.serial));
  }
  before = {version.meta.lineage, version.meta.serial, version.meta.sha256};
}

void Observer::lease_granted(const AttemptFence& fence, BootInstant sent) {
  if (Seen* seen = find(fence)) {
    seen->lease_until = std::max(seen->lease_until, sent + lease_ - margin_);
  }
}

void Observer::tofu_started(AttemptProcesses& attempt) {
  const Seen* seen = find(attempt.fence());
  if (seen == nullptr) return violated("I1", "tofu was started by an attempt that nobody claimed");
  for (const auto& [key, other] : attempts_) {
    if (other.workspace != seen->workspace || &other == seen) continue;
    const AttemptProcesses* processes = find_processes(key.first, key.second);
    if (processes == nullptr || !processes->works() || processes->guard_disturbed()) continue;
    violated("I1", fmt::format("tofu of attempt {} of run {} began while that of attempt {} of run "
                               "{} works",
                               attempt.fence().attempt.value, attempt.fence().run.value,
                               key.second.value, key.first.value));
  }
  tofu_works(attempt);
}

void Observer::tofu_works(AttemptProcesses& attempt) {
  const Seen* seen = find(attempt.fence());
  if (seen == nullptr || attempt.guard_disturbed()) return;
  const BootInstant now = attempt.host().boot_now();
  if (now <= seen->lease_until + 100ms) return;
  violated("I6", fmt::format("tofu of attempt {} of run {} works {} after its lease",
                             attempt.fence().attempt.value, attempt.fence().run.value,
                             format_duration(now - seen->lease_until)));
}

void Observer::made_state(const WorkspaceName& workspace, const std::string& body) {
  const auto meta = tofu::parse_state(body);
  if (!meta) return violated("I5", "the simulated tofu wrote no state: " + meta.error().message);
  states_[workspace].insert(meta->sha256);
}

}  // namespace provisioner::simulation
