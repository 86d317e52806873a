#include "store/postgres/states.hpp"

#include <fmt/format.h>

#include "model/transitions.hpp"
#include "store/postgres/attempt_rows.hpp"
#include "store/postgres/runs.hpp"
#include "store/postgres/workspaces.hpp"
#include "store/run_rules.hpp"
#include "store/state_rows.hpp"
#include "store/state_rules.hpp"
#include "store/workspace_rows.hpp"
#include "store/workspace_rules.hpp"

namespace provisioner::postgres {
namespace {

// A writer is a run's running attempt, in its own workspace only, or a person. The workspace is
// held first, so that all that is asked for afterwards in the same round trip stays true.
struct Writer {
  Transaction::Answer workspace;
  std::optional<Transaction::Answer> attempt;
};

Writer lock_writer(Transaction& tx, const StateSlot& slot, const std::optional<AttemptFence>& by) {
  static const std::string held =
      fmt::format("{}WHERE w.name = $1 FOR NO KEY UPDATE", kSelectWorkspaces);
  if (!by) return {.workspace = tx.lock(held, slot.workspace), .attempt = std::nullopt};
  return {.workspace = lock_workspace_of(tx, by->run),
          .attempt = ask_attempt(tx, by->run, by->attempt)};
}

// Returns the slot's workspace.
Task<Result<Workspace>> check_writer(Transaction& tx, const Writer& writer, const StateSlot& slot,
                                     const std::optional<AttemptFence>& by) {
  const Rows rows = co_await tx.rows(writer.workspace);
  if (by) {
    const auto found = one_attempt(co_await tx.rows(*writer.attempt));
    if (auto runs_still = check_attempt_fence(found, *by); !runs_still) {
      co_return std::unexpected(runs_still.error());
    }
    if (auto own = check_own_slot(slot, *by, {found->row.workspace, found->row.job.value}); !own) {
      co_return std::unexpected(own.error());
    }
  }
  if (rows.empty()) co_return std::unexpected(no_such_workspace(slot.workspace));
  co_return read_workspace(rows[0]);
}

Transaction::Answer ask_lock(Transaction& tx, const StateSlot& slot) {
  static const std::string text =
      fmt::format("{}WHERE workspace = $1 AND job = $2", kSelectStateLocks);
  return tx.ask(text, slot.workspace, slot.job);
}

Task<std::optional<StateLock>> one_lock(Transaction& tx, Transaction::Answer answer) {
  const Rows rows = co_await tx.rows(answer);
  if (rows.empty()) co_return std::nullopt;
  co_return read_state_lock(rows[0]);
}

Transaction::Answer ask_current(Transaction& tx, const StateSlot& slot) {
  static const std::string text = fmt::format(
      "{}WHERE workspace = $1 AND job = $2 AND NOT divergent ORDER BY number DESC LIMIT 1",
      kSelectStateVersions);
  return tx.ask(text, slot.workspace, slot.job);
}

// The last number that was given to any version.
Transaction::Answer ask_last(Transaction& tx, const StateSlot& slot) {
  return tx.ask(
      "SELECT coalesce(max(number), 0) FROM state_versions WHERE workspace = $1 AND job = $2",
      slot.workspace, slot.job);
}

Task<std::optional<StateVersion>> one_version(Transaction& tx, Transaction::Answer answer) {
  const Rows rows = co_await tx.rows(answer);
  if (rows.empty()) co_return std::nullopt;
  co_return read_state_version(rows[0]);
}

// Queues. `body` outlives the commit.
Task<StateVersion> insert_version(Transaction& tx, const StateSlot& slot, Transaction::Answer last,
                                  StateVersion version, const std::string& body) {
  version.number = (co_await tx.rows(last))[0].integer() + 1;
  tx.send(
      "INSERT INTO state_versions (workspace, job, number, lineage, serial, sha256, resources, "
      "divergent, run, attempt, written_by, at, body) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, "
      "$10, $11, $12, $13)",
      slot.workspace, slot.job, version.number, version.meta.lineage, version.meta.serial,
      version.meta.sha256, version.meta.resources, version.divergent, version.run, version.attempt,
      version.written_by, version.at, Blob{body});
  co_return version;
}

// Queues.
void release(Transaction& tx, const StateSlot& slot) {
  tx.send("DELETE FROM state_locks WHERE workspace = $1 AND job = $2", slot.workspace, slot.job);
}

}  // namespace

Task<Result<std::optional<StateLock>>> lock_state(Transaction& tx, const StateSlot& slot,
                                                  const std::optional<AttemptFence>& by,
                                                  const StateLock& lock) {
  const Writer writer = lock_writer(tx, slot, by);
  const auto lock_row = ask_lock(tx, slot);
  if (auto may = co_await check_writer(tx, writer, slot, by); !may) {
    co_return std::unexpected(may.error());
  }
  if (auto named = check_lock_id(lock); !named) co_return std::unexpected(named.error());
  if (auto present = co_await one_lock(tx, lock_row)) {
    if (present->id == lock.id && holds(by, *present)) co_return std::nullopt;
    co_return present;
  }
  tx.send(
      "INSERT INTO state_locks (workspace, job, id, info_json, run, attempt, created_at) VALUES "
      "($1, $2, $3, $4, $5, $6, $7)",
      slot.workspace, slot.job, lock.id, lock.info_json, by ? std::optional(by->run) : std::nullopt,
      by ? by->attempt : Attempt(), lock.created_at);
  co_return std::nullopt;
}

Task<Status> unlock_state(Transaction& tx, const StateSlot& slot,
                          const std::optional<AttemptFence>& by, const std::string& lock_id) {
  const Writer writer = lock_writer(tx, slot, by);
  const auto lock_row = ask_lock(tx, slot);
  if (auto may = co_await check_writer(tx, writer, slot, by); !may) {
    co_return std::unexpected(may.error());
  }
  const auto present = co_await one_lock(tx, lock_row);
  if (!present) co_return Status();
  if (auto ours = check_unlock(*present, by, lock_id); !ours) co_return ours;
  release(tx, slot);
  co_return Status();
}

Task<Result<std::optional<StateLock>>> state_lock(Transaction& tx, const StateSlot& slot) {
  co_return co_await one_lock(tx, ask_lock(tx, slot));
}

Task<Result<std::optional<StateLock>>> force_unlock(Transaction& tx, const StateSlot& slot) {
  lock_writer(tx, slot, std::nullopt);
  auto present = co_await one_lock(tx, ask_lock(tx, slot));
  if (present) release(tx, slot);
  co_return present;
}

Task<Result<StateVersion>> write_state(Transaction& tx, const StateSlot& slot,
                                       const std::optional<AttemptFence>& by,
                                       const std::string& lock_id, const StateMeta& meta,
                                       const std::string& body, const std::string& actor,
                                       Instant now) {
  const Writer writer = lock_writer(tx, slot, by);
  const auto lock_row = ask_lock(tx, slot);
  const auto current_row = ask_current(tx, slot);
  const auto last = ask_last(tx, slot);
  if (auto may = co_await check_writer(tx, writer, slot, by); !may) {
    co_return std::unexpected(may.error());
  }
  const auto lock = co_await one_lock(tx, lock_row);
  const auto current = co_await one_version(tx, current_row);
  auto accepted = accept_state(current, lock, by, lock_id, meta, actor, now);
  if (!accepted) co_return std::unexpected(accepted.error());
  if (!*accepted) co_return *current;
  co_return co_await insert_version(tx, slot, last, **std::move(accepted), body);
}

Task<Result<StateVersion>> push_state(Transaction& tx, const StateSlot& slot, const StateMeta& meta,
                                      const std::string& body, const std::string& actor,
                                      Instant now) {
  const Writer writer = lock_writer(tx, slot, std::nullopt);
  const auto lock_row = ask_lock(tx, slot);
  const auto last = ask_last(tx, slot);
  const auto before = co_await check_writer(tx, writer, slot, std::nullopt);
  if (!before) co_return std::unexpected(before.error());
  const auto lock = co_await one_lock(tx, lock_row);
  if (auto free = check_push(lock); !free) co_return std::unexpected(free.error());
  if (slot.job.empty()) save_workspace(tx, *before, after_push(*before, meta, now), now);
  co_return co_await insert_version(tx, slot, last, {.meta = meta, .written_by = actor, .at = now},
                                    body);
}

Task<Result<std::optional<StateVersion>>> current_state(Transaction& tx, const StateSlot& slot) {
  co_return co_await one_version(tx, ask_current(tx, slot));
}

Task<Result<std::vector<StateVersion>>> state_versions(Transaction& tx, const StateSlot& slot) {
  static const std::string text =
      fmt::format("{}WHERE workspace = $1 AND job = $2 ORDER BY number DESC", kSelectStateVersions);
  std::vector<StateVersion> newest_first;
  for (Row row : co_await tx.query(text, slot.workspace, slot.job)) {
    newest_first.push_back(read_state_version(row));
  }
  co_return newest_first;
}

Task<Result<std::string>> state_body(Transaction& tx, const StateSlot& slot, std::int64_t number) {
  const Rows rows = co_await tx.query(
      "SELECT body FROM state_versions WHERE workspace = $1 AND job = $2 AND number = $3",
      slot.workspace, slot.job, number);
  if (!rows.empty()) co_return rows[0].text();
  co_return std::unexpected(no_such_state(slot, number));
}

Task<std::string> recover_state(Transaction& tx, const StateSlot& slot, std::int64_t base_state,
                                const AttemptFence& attempt, const RecoveredState& recovered,
                                Instant now) {
  const auto current_row = ask_current(tx, slot);
  const auto last = ask_last(tx, slot);
  const auto current = co_await one_version(tx, current_row);
  auto accepted = accept_recovered_state(current, base_state, attempt, recovered, now);
  if (!accepted) co_return "";
  const StateVersion version =
      co_await insert_version(tx, slot, last, std::move(accepted->version), recovered.body);
  co_return version.divergent ? kept_as_divergent(version, accepted->diverged) : "";
}

void release_lock_of(Transaction& tx, const WorkspaceName& workspace, const RunId& run,
                     Attempt attempt) {
  tx.send("DELETE FROM state_locks WHERE workspace = $1 AND run = $2 AND attempt = $3", workspace,
          run, attempt);
}

}  // namespace provisioner::postgres
