#include "store/sqlite/attempts.hpp"

#include <fmt/format.h>

#include "model/transitions.hpp"
#include "store/run_rules.hpp"
#include "store/sqlite/attempt_rows.hpp"
#include "store/sqlite/jobs.hpp"
#include "store/sqlite/leadership.hpp"
#include "store/sqlite/runs.hpp"
#include "store/sqlite/states.hpp"
#include "store/sqlite/workspaces.hpp"

namespace provisioner::sqlite {
namespace {

template <typename... Values>
std::vector<AttemptRow> attempts_where(Transaction& tx, std::string_view where,
                                       const Values&... values) {
  auto query = tx.sql(fmt::format("{}{}", kSelectAttempts, where));
  query.bind(values...);
  std::vector<AttemptRow> rows;
  while (query.step()) rows.push_back(read_attempt(query.row()).row);
  return rows;
}

ClaimedRun claimed(Transaction& tx, Run run, const ClaimId& claim, std::int64_t base_state) {
  ClaimedRun result;
  result.fence = {.run = run.id, .attempt = run.attempt, .claim = claim};
  result.base_state = base_state;
  if (run.job.empty()) result.lock_file = lock_file(tx, run.workspace);
  result.run = std::move(run);
  return result;
}

Result<StoredAttempt> running_attempt_of(Transaction& tx, const AttemptFence& fence) {
  auto found = find_attempt(tx, fence.run, fence.attempt);
  if (auto fits = check_attempt_fence(found, fence); !fits) return std::unexpected(fits.error());
  return *std::move(found);
}

}  // namespace

std::optional<StoredAttempt> find_attempt(Transaction& tx, const RunId& run, Attempt attempt) {
  auto query = tx.sql(fmt::format("{}WHERE run = ? AND attempt = ?", kSelectAttempts));
  query.bind(run, attempt);
  if (!query.step()) return std::nullopt;
  return read_attempt(query.row());
}

std::optional<StoredAttempt> find_attempt(Transaction& tx, const ClaimId& claim) {
  auto query = tx.sql(fmt::format("{}WHERE claim_hash = ?", kSelectAttempts));
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
    return std::unexpected(claim_has_ended(known->row));
  }
  auto next = next_claimable(tx, request.now, request.passed_over);
  if (!next) return std::nullopt;
  const Term term = request.fence ? request.fence->term : leadership(tx)->fence.term;
  Run run = as_claimed(*std::move(next), request, term);
  save_run(tx, run);

  const auto current = current_state(tx, slot_of(run));
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
  follow_run(tx, run, request.now);
  auto content = bundle(tx, run.definition.bundle);
  ClaimedRun result = claimed(tx, std::move(run), request.claim, base);
  if (content) result.bundle = *std::move(content);
  return result;
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
  if (auto fits = check_registration(present->row, process); !fits) return fits;
  // Counts as a heartbeat, also when it is repeated because the first reply was lost: the runner
  // counts its lease from the call that was answered.
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

Result<StateSlot> check_attempt(Transaction& tx, const AttemptFence& fence) {
  auto present = running_attempt_of(tx, fence);
  if (!present) return std::unexpected(present.error());
  return StateSlot{present->row.workspace, present->row.job.value};
}

}  // namespace provisioner::sqlite
