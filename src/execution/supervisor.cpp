#include "execution/supervisor.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace provisioner::execution {
namespace {

using namespace std::chrono_literals;

constexpr Duration kLookAgain = 1s;
constexpr Duration kLookSoon = 100ms;  // while something is stopping
constexpr Duration kKillPatience = 5s;
// Clocks of two machines may run apart by that much within a lease, and then some.
constexpr Duration kLeaseMargin = 5s;

// <state>/work/<workspace>/attempts/<run>-<attempt>
WorkspaceName workspace_of(const runner::AttemptDirectory& directory) {
  return WorkspaceName(directory.root.parent_path().parent_path().filename().string());
}

}  // namespace

Supervisor::Supervisor(Parts parts)
    : parts_(std::move(parts)),
      here_(parts_.launcher.habitat()),
      leases_(parts_.lease + kLeaseMargin),
      wake_(parts_.loop) {}

Task<> Supervisor::start() {
  const auto directories = co_await parts_.launcher.find_directories();
  while (!co_await look()) co_await parts_.clock.sleep_for(kLookAgain);
  co_await sweep_orphans(directories);
}

Task<> Supervisor::run() {
  while (true) {
    const Duration pause = patience_.empty() ? kLookAgain : kLookSoon;
    co_await wake_.wait_until(parts_.clock, parts_.clock.boot_now() + pause);
    co_await look();
  }
}

Status Supervisor::watch(const RunId& run, Attempt attempt, const WorkspaceName& workspace,
                         pid_t guard) {
  auto process = parts_.launcher.watch_guard(guard, std::nullopt, [this] { wake_.notify(); });
  if (!process) return std::unexpected(process.error());
  guards_.insert_or_assign(
      Key(run, attempt),
      Guard{std::move(*process),
            runner::AttemptDirectory::of(parts_.state_dir, workspace, run, attempt), workspace});
  return {};
}

void Supervisor::terminate_all() {
  for (const auto& [key, guard] : guards_) guard.process->terminate();
}

// False when the store could not be asked.
Task<bool> Supervisor::look() {
  // Guards that ended are noted before the store is asked: what they reported is then in its
  // answer.
  using Ended = std::pair<Key, Guard>;
  std::vector<Ended> ended;
  for (auto it = guards_.begin(); it != guards_.end();) {
    const bool exited = it->second.process->exited();
    if (exited) ended.emplace_back(it->first, std::move(it->second));
    it = exited ? guards_.erase(it) : std::next(it);
  }

  const auto asked = parts_.clock.boot_now();
  const auto rows = co_await parts_.store.running_attempts();
  const auto answered = parts_.clock.boot_now();
  if (!rows) {
    if (!store_away_) parts_.log.warning("cannot look after attempts: " + rows.error().message);
    store_away_ = true;
    for (auto& [key, guard] : ended) guards_.insert_or_assign(key, std::move(guard));
    co_return false;
  }
  store_away_ = false;

  const auto fence = parts_.current_fence();
  const auto expired = leases_.observe(fence ? fence->term : Term(0), *rows, asked, answered);
  running_.clear();
  unwatched_ = 0;
  std::vector<Key> settled;
  for (const auto& row : *rows) {
    const Key key(row.run, row.attempt);
    const bool lease_expired = std::ranges::any_of(
        expired, [&](const auto& other) { return Key(other.run, other.attempt) == key; });
    const bool mine = row.instance == parts_.me;
    if (mine) running_.push_back(key);
    if (!mine && !fence) continue;  // other instances' attempts are the leader's business
    const auto verdict = judge_row(row, lease_expired);
    if (said_[key] != verdict.reason && mine) {
      parts_.log.debug("an attempt is running: " + verdict.reason, fields_of(row));
    }
    said_[key] = verdict.reason;
    if (mine && !guards_.contains(key)) {
      unguarded_.insert_or_assign(key, directory_of(row));
    } else {
      unguarded_.erase(key);
    }
    if (verdict.action == AdoptionAction::kEnd || verdict.action == AdoptionAction::kEndUnproved) {
      if (co_await end(row, verdict, lease_expired, fence)) {
        settled.push_back(key);
        unguarded_.erase(key);
      }
    } else if (verdict.action == AdoptionAction::kWait && mine) {
      ++unwatched_;
    }
  }
  const auto has_ended = [&](const auto& entry) {
    return std::ranges::none_of(
        *rows, [&](const auto& row) { return Key(row.run, row.attempt) == entry.first; });
  };
  std::erase_if(said_, has_ended);
  std::erase_if(patience_, has_ended);
  if (!ended.empty()) parts_.capacity_freed();
  auto left = std::exchange(untidy_, {});
  for (const auto& [key, directory] : unguarded_) {
    const bool guarded =
        guards_.contains(key) || std::ranges::find(ended, key, &Ended::first) != ended.end();
    if (!guarded && has_ended(std::pair(key, 0))) left.push_back(directory);
  }
  std::erase_if(unguarded_, has_ended);
  for (auto& [key, guard] : ended) {
    if (std::ranges::find(running_, key) == running_.end()) {
      co_await tidy(guard.directory, guard.workspace);
    } else if (std::ranges::find(settled, key) == settled.end()) {
      guards_.insert_or_assign(key, std::move(guard));  // the next look tries again
    }
  }
  co_await sweep_orphans(std::move(left));
  co_return true;
}

AdoptionVerdict Supervisor::judge_row(const AttemptRow& row, bool lease_expired) {
  const Key key(row.run, row.attempt);
  AttemptFacts facts{row, parts_.me, here_};
  facts.lease_expired = lease_expired;
  facts.in_hand = guards_.contains(key) || (claims_in_hand_ > 0 && !row.process);
  if (!facts.in_hand && row.instance == parts_.me && row.process) {
    const auto pid = static_cast<pid_t>(row.process->guard_pid);
    auto process =
        parts_.launcher.watch_guard(pid, row.process->guard_start, [this] { wake_.notify(); });
    facts.guard = process                                        ? GuardState::kAlive
                  : process.error().kind == ErrorKind::kNotFound ? GuardState::kDead
                                                                 : GuardState::kUnknown;
    const auto verdict = judge(facts);
    if (process && verdict.action == AdoptionAction::kWatch) {
      parts_.log.info("adopted a running attempt: " + verdict.reason, fields_of(row));
      guards_.insert_or_assign(key, Guard{std::move(*process), directory_of(row), row.workspace});
    }
    return verdict;
  }
  return judge(facts);
}

Task<bool> Supervisor::end(AttemptRow row, AdoptionVerdict verdict, bool lease_expired,
                           std::optional<LeaderFence> fence) {
  if (verdict.action == AdoptionAction::kEnd) {
    // Or beginning: a runner that is about to register is let in, and watched from the next look.
    if (!lease_expired && co_await is_stopping(row)) co_return false;
    const auto killed =
        co_await parts_.launcher.kill_process_set(row.run, row.attempt, kKillPatience);
    if (!killed) {
      parts_.log.error("cannot prove an attempt dead: " + killed.error().message, fields_of(row));
      ++unwatched_;
      // The proof is missing, so the lease decides.
      if (!lease_expired) co_return false;
    }
  }
  const auto interrupted = co_await interrupt(row, verdict, fence);
  if (!interrupted) {
    // It moved on meanwhile, or the store is away: the next look decides anew.
    parts_.log.warning("could not end an attempt: " + interrupted.error().message, fields_of(row));
    co_return false;
  }
  // A guard that the dispatcher started only after the process set was proved empty still lives;
  // its runner will not be let in. Its directory is tidied when it has ended.
  if (const auto guard = guards_.find(Key(row.run, row.attempt));
      guard != guards_.end() && guard->second.process->exited()) {
    guards_.erase(guard);
  }
  parts_.capacity_freed();
  co_return true;
}

// A process set without its guard is not killed at once: SIGKILL would cost tofu's last state.
Task<bool> Supervisor::is_stopping(AttemptRow row) {
  if (co_await parts_.launcher.is_process_set_empty(row.run, row.attempt)) co_return false;
  const auto now = parts_.clock.boot_now();
  const auto [patience, fresh] =
      patience_.try_emplace(Key(row.run, row.attempt), now + parts_.stop_allowance);
  if (fresh) {
    parts_.log.info(row.process ? "waiting for what a dead guard left to stop"
                                : "waiting for a runner that has not registered yet",
                    fields_of(row));
  }
  co_return now < patience->second;
}

// `fence` is the one that the verdict was reached with.
Task<Status> Supervisor::interrupt(AttemptRow row, AdoptionVerdict verdict,
                                   std::optional<LeaderFence> fence) {
  const auto directory = directory_of(row);
  Interruption interruption;
  interruption.run = row.run;
  interruption.attempt = row.attempt;
  interruption.heartbeat_seq = row.heartbeat_seq;
  interruption.reason = verdict.reason;
  Leftovers left;
  if (verdict.action == AdoptionAction::kEnd) {
    left = co_await parts_.launcher.read_leftovers(directory);
    if (!left.last_words.empty()) interruption.reason += ": " + left.last_words;
    if (left.note) {
      const auto delivered = co_await deliver_log(parts_.store, left.note->fence, directory.log());
      if (!delivered) co_return delivered;
    }
  }
  // An attempt that never registered has started nothing, so nothing of it can be missing.
  if (row.process && !left.note && parts_.on_interrupt == OnInterrupt::kHold) {
    interruption.hold_reason = fmt::format(
        "attempt {} of run {} was lost ({}) and its directory {} cannot be read: resources may "
        "exist that the state does not know; look, then `workspace release {}`",
        row.attempt.value, row.run.value, verdict.reason, directory.root.string(),
        row.workspace.value);
  } else if (!left.unreadable.empty()) {
    interruption.hold_reason = fmt::format(
        "attempt {} of run {} left a state that cannot be read ({}); its directory is "
        "kept below {}",
        row.attempt.value, row.run.value, left.unreadable.front(),
        (parts_.state_dir / "spool" / "kept").string());
  }
  interruption.recovered = std::move(left.states);
  const bool mine = row.instance == parts_.me;
  // Others' attempts are the leader's to end, and what an earlier one observed does not count.
  if (!mine && (!fence || parts_.current_fence() != fence)) {
    co_return fail(ErrorKind::kFenced, "this instance does not lead any more");
  }
  const auto outcome = co_await parts_.store.interrupt_attempt(mine ? std::nullopt : fence,
                                                               interruption, parts_.clock.now());
  if (!outcome) co_return std::unexpected(outcome.error());
  parts_.log.warning(outcome->sentence, fields_of(row));
  parts_.interrupted(row, outcome->sentence);
  if (verdict.action != AdoptionAction::kEnd) co_return Status();

  Status cleared;
  if (left.unreadable.empty()) {
    cleared = co_await parts_.launcher.remove(directory);
  } else if (const auto kept = co_await parts_.launcher.keep_apart(row.workspace, directory);
             !kept) {
    cleared = std::unexpected(kept.error());
  }
  // The attempt is ended all the same; the sweep at the next start comes back to it.
  if (!cleared) parts_.log.warning(cleared.error().message, fields_of(row));
  co_return Status();
}

// The attempt has ended in the store and so has its guard. What the store has, nobody needs any
// more: the answer to the call that ended the attempt may have been lost. A state that it lacks
// (the attempt was fenced while tofu worked) is kept for a person.
Task<> Supervisor::tidy(runner::AttemptDirectory directory, WorkspaceName workspace) {
  const LogFields fields = {{"workspace", workspace.value}, {"directory", directory.root.string()}};
  auto left = co_await parts_.launcher.read_leftovers(directory);
  if (!left.states.empty()) {
    const StateSlot slot{workspace, left.note ? left.note->job.value : ""};
    const auto stored = co_await parts_.store.state_versions(slot);
    if (!stored) {
      parts_.log.warning(
          "cannot look for the states of an ended attempt, trying again: " + stored.error().message,
          fields);
      untidy_.push_back(std::move(directory));
      co_return;
    }
    std::erase_if(left.states, [&](const RecoveredState& state) {
      return std::ranges::find(*stored, state.meta, &StateVersion::meta) != stored->end();
    });
  }
  if (left.states.empty() && left.unreadable.empty()) {
    const auto removed = co_await parts_.launcher.remove(directory);
    if (!removed) parts_.log.warning(removed.error().message, fields);
    co_return;
  }
  const std::string reason = fmt::format(
      "an attempt that no longer counted left a state that nobody took: compare {} with the "
      "current state, then `workspace release {}`",
      kept_place(parts_.state_dir, workspace, directory).string(), workspace.value);
  const auto held = co_await hold_workspace(parts_.store, workspace, reason, parts_.clock.now());
  // Without a workspace there is nothing to hold.
  if (!held && held.error().kind != ErrorKind::kNotFound) {
    parts_.log.warning("cannot hold the workspace, trying again: " + held.error().message, fields);
    untidy_.push_back(std::move(directory));
    co_return;
  }
  parts_.log.error(reason, fields);
  const auto moved = co_await parts_.launcher.keep_apart(workspace, directory);
  if (!moved) parts_.log.error(moved.error().message, fields);
}

// Directories of attempts that ended while no daemon looked. Their processes may still live.
Task<> Supervisor::sweep_orphans(std::vector<runner::AttemptDirectory> directories) {
  for (const auto& directory : directories) {
    const auto note = co_await parts_.launcher.read_note(directory);
    // Without a note nothing was started yet.
    if (note) {
      const Key key(note->fence.run, note->fence.attempt);
      if (std::ranges::find(running_, key) != running_.end()) continue;
      const auto killed =
          co_await parts_.launcher.kill_process_set(key.first, key.second, kKillPatience);
      if (!killed) {
        parts_.log.error("an ended attempt lives on: " + killed.error().message);
        continue;
      }
    }
    co_await tidy(directory, workspace_of(directory));
  }
}

runner::AttemptDirectory Supervisor::directory_of(const AttemptRow& row) const {
  if (row.process) return {row.process->directory};
  return runner::AttemptDirectory::of(parts_.state_dir, row.workspace, row.run, row.attempt);
}

LogFields Supervisor::fields_of(const AttemptRow& row) const {
  return {{"workspace", row.workspace.value},
          {"run_id", row.run.value},
          {"correlation_id", row.correlation_id.value},
          {"attempt", fmt::format("{}", row.attempt.value)}};
}

}  // namespace provisioner::execution
