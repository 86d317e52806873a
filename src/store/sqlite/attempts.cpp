#include "store/sqlite/attempts.hpp"

#include <fmt/format.h>
#include <sodium/crypto_hash_sha256.h>

#include <array>

#include "base/text.hpp"
#include "model/transitions.hpp"
#include "store/sqlite/attempt_rows.hpp"
#include "store/sqlite/leadership.hpp"
#include "store/sqlite/runs.hpp"
#include "store/sqlite/states.hpp"
#include "store/sqlite/workspaces.hpp"

namespace provisioner::sqlite {
namespace {

// In the order of read_attempt().
constexpr std::string_view kAttempts =
    "SELECT run, workspace, attempt, instance, status, registered, machine_id, boot_id, "
    "pid_namespace, guard_pid, guard_start, directory, heartbeat_seq, started_at, finished_at, "
    "lease_expires_at, error, claim_hash, base_state FROM run_attempts ";

StoredAttempt read_attempt(Row row) {
  StoredAttempt a;
  a.row.run = row.as<RunId>();
  a.row.workspace = row.as<WorkspaceName>();
  a.row.attempt = row.as<Attempt>();
  a.row.instance = row.as<InstanceId>();
  a.row.status = stored(parse_run_status(row.text()));
  const bool registered = row.boolean();
  ProcessIdentity process{.machine_id = row.text(),
                          .boot_id = row.text(),
                          .pid_namespace = row.text(),
                          .guard_pid = row.integer(),
                          .guard_start = row.integer(),
                          .directory = row.text()};
  if (registered) a.row.process = std::move(process);
  a.row.heartbeat_seq = row.integer();
  a.row.started_at = row.instant();
  a.row.finished_at = row.optional_instant();
  a.row.lease_expires_at = row.instant();
  a.row.error = row.text();
  a.claim_hash = row.text();
  a.base_state = row.integer();
  return a;
}

template <typename... Values>
std::vector<AttemptRow> attempts_where(Transaction& tx, std::string_view where,
                                       const Values&... values) {
  auto query = tx.sql(fmt::format("{}{}", kAttempts, where));
  query.bind(values...);
  std::vector<AttemptRow> rows;
  while (query.step()) rows.push_back(read_attempt(query.row()).row);
  return rows;
}

ClaimedRun claimed(Transaction& tx, Run run, const ClaimId& claim, std::int64_t base_state) {
  ClaimedRun result;
  result.fence = {.run = run.id, .attempt = run.attempt, .claim = claim};
  result.base_state = base_state;
  result.lock_file = lock_file(tx, run.workspace);
  result.run = std::move(run);
  return result;
}

// The row of a fence whose claim is right, running or ended.
Result<StoredAttempt> attempt_of(Transaction& tx, const AttemptFence& fence) {
  auto found = find_attempt(tx, fence.run, fence.attempt);
  if (!found || found->claim_hash != hash_of(fence.claim)) {
    return fail(ErrorKind::kFenced,
                fmt::format("attempt {} of run {} was not claimed by this claim",
                            fence.attempt.value, fence.run.value));
  }
  return *std::move(found);
}

Result<StoredAttempt> running_attempt_of(Transaction& tx, const AttemptFence& fence) {
  auto found = attempt_of(tx, fence);
  if (found && found->row.status != RunStatus::kRunning) {
    return fail(ErrorKind::kFenced,
                fmt::format("attempt {} of run {} has ended: it is {}", fence.attempt.value,
                            fence.run.value, to_string(found->row.status)));
  }
  return found;
}

}  // namespace

std::string hash_of(const ClaimId& claim) {
  std::array<unsigned char, crypto_hash_sha256_BYTES> hash{};
  crypto_hash_sha256(hash.data(), reinterpret_cast<const unsigned char*>(claim.value.data()),
                     claim.value.size());
  return to_hex(hash);
}

std::optional<StoredAttempt> find_attempt(Transaction& tx, const RunId& run, Attempt attempt) {
  auto query = tx.sql(fmt::format("{}WHERE run = ? AND attempt = ?", kAttempts));
  query.bind(run, attempt);
  if (!query.step()) return std::nullopt;
  return read_attempt(query.row());
}

std::optional<StoredAttempt> find_attempt(Transaction& tx, const ClaimId& claim) {
  auto query = tx.sql(fmt::format("{}WHERE claim_hash = ?", kAttempts));
  query.bind(hash_of(claim));
  if (!query.step()) return std::nullopt;
  return read_attempt(query.row());
}

Result<std::optional<ClaimedRun>> claim_next(Transaction& tx, const ClaimRequest& request) {
  if (request.claim.empty()) return fail(ErrorKind::kInvalid, "a run is claimed with a claim id");
  if (request.fence) {
    if (auto leads = check_leader(tx, *request.fence); !leads) {
      return std::unexpected(leads.error());
    }
  }
  if (const auto known = find_attempt(tx, request.claim)) {
    auto again = find_claim(tx, request.claim);  // the reply of the first call was lost
    if (again && *again) return again;
    return fail(ErrorKind::kConflict, fmt::format("this claim's attempt {} of run {} has ended",
                                                  known->row.attempt.value, known->row.run.value));
  }
  auto next = next_claimable(tx, request.now);
  if (!next) return std::nullopt;
  Run run = *std::move(next);
  run.attempt = run.attempt.next();
  run.status = RunStatus::kRunning;
  run.instance = request.instance;
  run.term = request.fence ? request.fence->term : leadership(tx)->fence.term;
  if (!run.started_at) run.started_at = request.now;
  save_run(tx, run);

  const auto current = current_state(tx, {.workspace = run.workspace, .job = ""});
  const std::int64_t base = *current ? (*current)->number : 0;
  tx.sql(
        "INSERT INTO run_attempts (run, attempt, workspace, claim_hash, instance, incarnation, "
        "term, status, base_state, heartbeat_seq, started_at, lease_expires_at, error, "
        "registered, machine_id, boot_id, pid_namespace, guard_pid, guard_start, directory) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, 'running', ?, 0, ?, ?, '', 0, '', '', '', 0, 0, '')")
      .run(run.id, run.attempt, run.workspace, hash_of(request.claim), request.instance,
           request.incarnation, run.term, base, request.now, request.now + request.lease);

  const Result<Workspace> before = workspace(tx, run.workspace);
  if (!before) return std::unexpected(before.error());
  save_workspace(tx, *before, after_claim(*before, run, request.now), request.now);
  return claimed(tx, std::move(run), request.claim, base);
}

Result<std::optional<ClaimedRun>> find_claim(Transaction& tx, const ClaimId& claim) {
  auto found = find_attempt(tx, claim);
  if (!found || found->row.status != RunStatus::kRunning) return std::nullopt;
  Result<Run> claimed_run = run(tx, found->row.run);
  if (!claimed_run) return std::unexpected(claimed_run.error());
  return claimed(tx, *std::move(claimed_run), claim, found->base_state);
}

Status register_attempt(Transaction& tx, const AttemptFence& fence,
                        const ProcessIdentity& process) {
  const auto present = running_attempt_of(tx, fence);
  if (!present) return std::unexpected(present.error());
  if (present->row.process == process) return {};  // the first reply was lost
  if (present->row.process) {
    return fail(ErrorKind::kConflict,
                fmt::format("attempt {} of run {} was registered by guard {}", fence.attempt.value,
                            fence.run.value, present->row.process->guard_pid));
  }
  // Counts as a heartbeat: whoever judged the unregistered attempt must not end this one.
  tx.sql(
        "UPDATE run_attempts SET registered = 1, heartbeat_seq = heartbeat_seq + 1, machine_id = "
        "?, boot_id = ?, pid_namespace = ?, "
        "guard_pid = ?, guard_start = ?, directory = ? WHERE run = ? AND attempt = ?")
      .run(process.machine_id, process.boot_id, process.pid_namespace, process.guard_pid,
           process.guard_start, process.directory, fence.run, fence.attempt);
  return {};
}

Result<HeartbeatAnswer> heartbeat(Transaction& tx, const AttemptFence& fence,
                                  Instant lease_expires_at) {
  if (auto runs_still = check_attempt(tx, fence); !runs_still) {
    return std::unexpected(runs_still.error());
  }
  tx.sql(
        "UPDATE run_attempts SET heartbeat_seq = heartbeat_seq + 1, lease_expires_at = ? WHERE run "
        "= ? AND attempt = ?")
      .run(lease_expires_at, fence.run, fence.attempt);
  const Result<Run> present = run(tx, fence.run);
  if (!present) return std::unexpected(present.error());
  return HeartbeatAnswer{.cancel_requested = present->cancel_requested};
}

Result<std::vector<AttemptRow>> running_attempts(Transaction& tx) {
  return attempts_where(tx, "WHERE status = 'running' ORDER BY run");
}

Result<std::vector<AttemptRow>> attempts(Transaction& tx, const RunId& id) {
  return attempts_where(tx, "WHERE run = ? ORDER BY attempt", id);
}

Result<WorkspaceName> check_attempt(Transaction& tx, const AttemptFence& fence) {
  auto present = running_attempt_of(tx, fence);
  if (!present) return std::unexpected(present.error());
  return present->row.workspace;
}

}  // namespace provisioner::sqlite
