#include "store/sqlite/states.hpp"

#include <fmt/format.h>

#include "model/transitions.hpp"
#include "store/sqlite/attempts.hpp"
#include "store/sqlite/workspaces.hpp"
#include "store/state_rows.hpp"
#include "store/state_rules.hpp"

namespace provisioner::sqlite {
namespace {

std::optional<StateLock> find_lock(Transaction& tx, const StateSlot& slot) {
  auto query = tx.sql(fmt::format("{}WHERE workspace = ? AND job = ?", kSelectStateLocks));
  query.bind(slot.workspace, slot.job);
  if (!query.step()) return std::nullopt;
  return read_state_lock(query.row());
}

// A writer is a run's running attempt, in its own workspace only, or a person.
Status check_writer(Transaction& tx, const StateSlot& slot, const std::optional<AttemptFence>& by) {
  if (!by) {
    const auto known = workspace(tx, slot.workspace);
    return known ? Status() : std::unexpected(known.error());
  }
  const auto own = check_attempt(tx, *by);
  if (!own) return std::unexpected(own.error());
  return check_own_slot(slot, *by, *own);
}

StateVersion insert_version(Transaction& tx, const StateSlot& slot, StateVersion version,
                            const std::string& body) {
  {
    auto last = tx.sql(
        "SELECT coalesce(max(number), 0) FROM state_versions WHERE workspace = ? AND job = ?");
    last.bind(slot.workspace, slot.job);
    last.step();
    version.number = last.row().integer() + 1;
  }
  tx.sql(
        "INSERT INTO state_versions (workspace, job, number, lineage, serial, sha256, resources, "
        "divergent, run, attempt, written_by, at, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, "
        "?, ?)")
      .run(slot.workspace, slot.job, version.number, version.meta.lineage, version.meta.serial,
           version.meta.sha256, version.meta.resources, version.divergent, version.run,
           version.attempt, version.written_by, version.at, Blob{body});
  return version;
}

}  // namespace

Result<std::optional<StateLock>> lock_state(Transaction& tx, const StateSlot& slot,
                                            const std::optional<AttemptFence>& by, StateLock lock) {
  if (auto may = check_writer(tx, slot, by); !may) return std::unexpected(may.error());
  if (auto named = check_lock_id(lock); !named) return std::unexpected(named.error());
  if (auto present = find_lock(tx, slot)) {
    const bool ours = present->id == lock.id && holds(by, *present);
    return ours ? std::nullopt : std::move(present);
  }
  tx.sql(
        "INSERT INTO state_locks (workspace, job, id, info_json, run, attempt, created_at) VALUES "
        "(?, ?, ?, ?, ?, ?, ?)")
      .run(slot.workspace, slot.job, lock.id, lock.info_json,
           by ? std::optional(by->run) : std::nullopt, by ? by->attempt : Attempt(),
           lock.created_at);
  return std::nullopt;
}

Status unlock_state(Transaction& tx, const StateSlot& slot, const std::optional<AttemptFence>& by,
                    const std::string& lock_id) {
  if (auto may = check_writer(tx, slot, by); !may) return may;
  const auto present = find_lock(tx, slot);
  if (!present) return {};
  if (auto ours = check_unlock(*present, by, lock_id); !ours) return ours;
  if (auto released = force_unlock(tx, slot); !released) return std::unexpected(released.error());
  return {};
}

Result<std::optional<StateLock>> state_lock(Transaction& tx, const StateSlot& slot) {
  return find_lock(tx, slot);
}

Result<std::optional<StateLock>> force_unlock(Transaction& tx, const StateSlot& slot) {
  auto present = find_lock(tx, slot);
  tx.sql("DELETE FROM state_locks WHERE workspace = ? AND job = ?").run(slot.workspace, slot.job);
  return present;
}

Result<StateVersion> write_state(Transaction& tx, const StateSlot& slot,
                                 const std::optional<AttemptFence>& by, const std::string& lock_id,
                                 const StateMeta& meta, const std::string& body,
                                 const std::string& actor, Instant now) {
  if (auto may = check_writer(tx, slot, by); !may) return std::unexpected(may.error());
  const auto current = current_state(tx, slot);
  auto accepted = accept_state(*current, find_lock(tx, slot), by, lock_id, meta, actor, now);
  if (!accepted) return std::unexpected(accepted.error());
  if (!*accepted) return **current;
  return insert_version(tx, slot, **std::move(accepted), body);
}

Result<StateVersion> push_state(Transaction& tx, const StateSlot& slot, const StateMeta& meta,
                                const std::string& body, const std::string& actor, Instant now) {
  if (auto may = check_writer(tx, slot, std::nullopt); !may) return std::unexpected(may.error());
  if (auto free = check_push(find_lock(tx, slot)); !free) return std::unexpected(free.error());
  const Result<Workspace> before = workspace(tx, slot.workspace);
  if (!before) return std::unexpected(before.error());
  if (slot.job.empty()) save_workspace(tx, *before, after_push(*before, meta, now), now);
  return insert_version(tx, slot, {.meta = meta, .written_by = actor, .at = now}, body);
}

Result<std::optional<StateVersion>> current_state(Transaction& tx, const StateSlot& slot) {
  static const std::string text = fmt::format(
      "{}WHERE workspace = ? AND job = ? AND divergent = 0 ORDER BY number DESC LIMIT 1",
      kSelectStateVersions);
  auto query = tx.sql(text);
  query.bind(slot.workspace, slot.job);
  if (!query.step()) return std::nullopt;
  return read_state_version(query.row());
}

Result<std::vector<StateVersion>> state_versions(Transaction& tx, const StateSlot& slot) {
  auto query = tx.sql(
      fmt::format("{}WHERE workspace = ? AND job = ? ORDER BY number DESC", kSelectStateVersions));
  query.bind(slot.workspace, slot.job);
  std::vector<StateVersion> newest_first;
  while (query.step()) newest_first.push_back(read_state_version(query.row()));
  return newest_first;
}

Result<std::string> state_body(Transaction& tx, const StateSlot& slot, std::int64_t number) {
  auto query =
      tx.sql("SELECT body FROM state_versions WHERE workspace = ? AND job = ? AND number = ?");
  query.bind(slot.workspace, slot.job, number);
  if (query.step()) return query.row().text();
  return std::unexpected(no_such_state(slot, number));
}

std::string recover_state(Transaction& tx, const StateSlot& slot, std::int64_t base_state,
                          const AttemptFence& attempt, const RecoveredState& recovered,
                          Instant now) {
  const auto current = current_state(tx, slot);
  auto accepted = accept_recovered_state(*current, base_state, attempt, recovered, now);
  if (!accepted) return "";
  const StateVersion version =
      insert_version(tx, slot, std::move(accepted->version), recovered.body);
  return version.divergent ? kept_as_divergent(version, accepted->diverged) : "";
}

void release_lock_of(Transaction& tx, const WorkspaceName& workspace, const RunId& run,
                     Attempt attempt) {
  tx.sql("DELETE FROM state_locks WHERE workspace = ? AND run = ? AND attempt = ?")
      .run(workspace, run, attempt);
}

}  // namespace provisioner::sqlite
