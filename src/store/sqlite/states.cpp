#include "store/sqlite/states.hpp"

#include <fmt/format.h>

#include "model/transitions.hpp"
#include "store/sqlite/attempts.hpp"
#include "store/sqlite/workspaces.hpp"

namespace provisioner::sqlite {
namespace {

// In the order of read_version(). The body stands last in the table and is read only when asked
// for.
constexpr std::string_view kVersions =
    "SELECT number, lineage, serial, sha256, resources, divergent, run, attempt, written_by, at "
    "FROM "
    "state_versions ";

StateVersion read_version(Row row) {
  StateVersion v;
  v.number = row.integer();
  v.meta = {.lineage = row.text(),
            .serial = row.integer(),
            .sha256 = row.text(),
            .resources = row.integer()};
  v.divergent = row.boolean();
  v.run = row.optional_as<RunId>();
  v.attempt = row.as<Attempt>();
  v.written_by = row.text();
  v.at = row.instant();
  return v;
}

std::optional<StateLock> find_lock(Transaction& tx, const StateSlot& slot) {
  auto query = tx.sql(
      "SELECT id, info_json, run, attempt, created_at FROM state_locks WHERE workspace = ? AND job "
      "= ?");
  query.bind(slot.workspace, slot.job);
  if (!query.step()) return std::nullopt;
  Row row = query.row();
  return StateLock{.id = row.text(),
                   .info_json = row.text(),
                   .run = row.optional_as<RunId>(),
                   .attempt = row.as<Attempt>(),
                   .created_at = row.instant()};
}

// A writer is a run's running attempt, in its own workspace only, or a person.
Status check_writer(Transaction& tx, const StateSlot& slot, const std::optional<AttemptFence>& by) {
  if (!by) {
    const auto known = workspace(tx, slot.workspace);
    return known ? Status() : std::unexpected(known.error());
  }
  const auto own = check_attempt(tx, *by);
  if (!own) return std::unexpected(own.error());
  if (*own != slot.workspace) {
    return fail(ErrorKind::kDenied, fmt::format("run {} works on workspace {}, not on {}",
                                                by->run.value, own->value, slot.workspace.value));
  }
  return {};
}

bool holds(const std::optional<AttemptFence>& by, const StateLock& lock) {
  if (!by) return !lock.run;
  return lock.run == by->run && lock.attempt == by->attempt;
}

std::string holder(const StateLock& lock) {
  return lock.run ? fmt::format("attempt {} of run {}", lock.attempt.value, lock.run->value)
                  : "a command";
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
  if (lock.id.empty()) return fail(ErrorKind::kInvalid, "a state lock has an ID");
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
  if (present->id != lock_id || !holds(by, *present)) {
    return fail(ErrorKind::kConflict,
                fmt::format("the state is locked by {} of {}, not by {}", present->id,
                            holder(*present), lock_id.empty() ? "this request" : lock_id));
  }
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
  // Credential and lock come before the content: a stale writer of the same bytes is still stale.
  if (auto may = check_writer(tx, slot, by); !may) return std::unexpected(may.error());
  const auto lock = find_lock(tx, slot);
  if (lock && !holds(by, *lock)) {
    return fail(ErrorKind::kConflict,
                fmt::format("the state is locked by {} of {}", lock->id, holder(*lock)));
  }
  const auto current = current_state(tx, slot);
  const StateWriteDecision decision = check_state_write(*current, lock, lock_id, meta);
  switch (decision.verdict) {
    case StateWriteVerdict::kRefuse: return fail(ErrorKind::kConflict, decision.reason);
    case StateWriteVerdict::kIdentical: return **current;
    case StateWriteVerdict::kAccept: break;
  }
  return insert_version(tx, slot,
                        {.meta = meta,
                         .run = by ? std::optional(by->run) : std::nullopt,
                         .attempt = by ? by->attempt : Attempt(),
                         .written_by = by ? fmt::format("run {}", by->run.value) : actor,
                         .at = now},
                        body);
}

Result<StateVersion> push_state(Transaction& tx, const StateSlot& slot, const StateMeta& meta,
                                const std::string& body, const std::string& actor, Instant now) {
  if (auto may = check_writer(tx, slot, std::nullopt); !may) return std::unexpected(may.error());
  if (const auto lock = find_lock(tx, slot)) {
    return fail(ErrorKind::kConflict,
                fmt::format("the state is locked by {} of {}", lock->id, holder(*lock)));
  }
  const Result<Workspace> before = workspace(tx, slot.workspace);
  if (!before) return std::unexpected(before.error());
  if (slot.job.empty()) save_workspace(tx, *before, after_push(*before, meta, now), now);
  return insert_version(tx, slot, {.meta = meta, .written_by = actor, .at = now}, body);
}

Result<std::optional<StateVersion>> current_state(Transaction& tx, const StateSlot& slot) {
  static const std::string text = fmt::format(
      "{}WHERE workspace = ? AND job = ? AND divergent = 0 ORDER BY number DESC LIMIT 1",
      kVersions);
  auto query = tx.sql(text);
  query.bind(slot.workspace, slot.job);
  if (!query.step()) return std::nullopt;
  return read_version(query.row());
}

Result<std::vector<StateVersion>> state_versions(Transaction& tx, const StateSlot& slot) {
  auto query =
      tx.sql(fmt::format("{}WHERE workspace = ? AND job = ? ORDER BY number DESC", kVersions));
  query.bind(slot.workspace, slot.job);
  std::vector<StateVersion> newest_first;
  while (query.step()) newest_first.push_back(read_version(query.row()));
  return newest_first;
}

Result<std::string> state_body(Transaction& tx, const StateSlot& slot, std::int64_t number) {
  auto query =
      tx.sql("SELECT body FROM state_versions WHERE workspace = ? AND job = ? AND number = ?");
  query.bind(slot.workspace, slot.job, number);
  if (query.step()) return query.row().text();
  return fail(ErrorKind::kNotFound, fmt::format("the state of workspace {} has no version {}",
                                                slot.workspace.value, number));
}

std::string recover_state(Transaction& tx, const StateSlot& slot, std::int64_t base_state,
                          const AttemptFence& attempt, const RecoveredState& recovered,
                          Instant now) {
  const auto current = current_state(tx, slot);
  const RecoveryDecision decision =
      check_recovered_state(*current, base_state, attempt, recovered.meta);
  if (decision.verdict == RecoveryVerdict::kAlreadyThere) return "";
  const bool diverged = decision.verdict == RecoveryVerdict::kDiverged;
  const StateVersion version =
      insert_version(tx, slot,
                     {.meta = recovered.meta,
                      .divergent = diverged,
                      .run = attempt.run,
                      .attempt = attempt.attempt,
                      .written_by = fmt::format("run {} (recovered from attempt {})",
                                                attempt.run.value, attempt.attempt.value),
                      .at = now},
                     recovered.body);
  if (!diverged) return "";
  return fmt::format("a state left by attempt {} was kept as divergent version {}: {}",
                     attempt.attempt.value, version.number, decision.reason);
}

void release_lock_of(Transaction& tx, const WorkspaceName& workspace, const RunId& run,
                     Attempt attempt) {
  tx.sql("DELETE FROM state_locks WHERE workspace = ? AND run = ? AND attempt = ?")
      .run(workspace, run, attempt);
}

}  // namespace provisioner::sqlite
