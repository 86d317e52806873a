#include "store/postgres/attempts.hpp"

#include <fmt/format.h>

#include "model/transitions.hpp"
#include "store/postgres/attempt_rows.hpp"
#include "store/postgres/jobs.hpp"
#include "store/postgres/leadership.hpp"
#include "store/postgres/runs.hpp"
#include "store/postgres/workspaces.hpp"
#include "store/run_rules.hpp"
#include "store/workspace_rows.hpp"

namespace provisioner::postgres {
namespace {

const std::string& select_attempt() {
  static const std::string text = fmt::format("{}WHERE run = $1 AND attempt = $2", kSelectAttempts);
  return text;
}

const std::string& select_claimed() {
  static const std::string text = fmt::format("{}WHERE claim_hash = $1", kSelectAttempts);
  return text;
}

Task<Result<std::vector<AttemptRow>>> read_all(Transaction& tx, Transaction::Answer answer) {
  std::vector<AttemptRow> all;
  for (Row row : co_await tx.rows(answer)) all.push_back(read_attempt(row).row);
  co_return all;
}

// Why a write of an attempt met no row.
Task<Error> stale(Transaction& tx, const AttemptFence& fence) {
  const auto found = one_attempt(co_await tx.rows(ask_attempt(tx, fence.run, fence.attempt)));
  const Status fits = check_attempt_fence(found, fence);
  if (!fits) co_return fits.error();
  co_return Error{ErrorKind::kFenced, fmt::format("attempt {} of run {} began or ended meanwhile",
                                                  fence.attempt.value, fence.run.value)};
}

// What a claim needs of a workspace. Asked for after its row is held.
struct Basis {
  Transaction::Answer workspace, lock_file, state, bundle;
};

Basis ask_basis(Transaction& tx, const Run& run) {
  static const std::string text = fmt::format("{}WHERE w.name = $1", kSelectWorkspaces);
  return {
      .workspace = tx.ask(text, run.workspace),
      .lock_file = tx.ask("SELECT lock_file FROM workspace_states WHERE name = $1", run.workspace),
      .state = tx.ask("SELECT coalesce(max(number), 0) FROM state_versions WHERE workspace = "
                      "$1 AND job = $2 AND NOT divergent",
                      run.workspace, run.job),
      .bundle = tx.ask("SELECT content FROM bundles WHERE hash = $1", run.definition.bundle)};
}

// Queues.
void insert_attempt(Transaction& tx, const Run& run, const ClaimRequest& request,
                    std::int64_t base_state) {
  tx.send(Query("INSERT INTO run_attempts (run, attempt, workspace, claim_hash, instance, "
                "incarnation, term, status, base_state, heartbeat_seq, started_at, "
                "lease_expires_at, error, registered, machine_id, boot_id, pid_namespace, "
                "guard_pid, guard_start, directory) VALUES ($1, $2, $3, $4, $5, $6, $7, 'running', "
                "$8, 0, $9, $10, '', false, '', '', '', 0, 0, '')",
                run.id, run.attempt, run.workspace, hash_of(request.claim), request.instance,
                request.incarnation, run.term, base_state, request.now, request.now + request.lease)
              .refuse("23505", {ErrorKind::kConflict,
                                "this claim is being made by another request: look it up"}));
}

Task<Result<std::optional<ClaimedRun>>> claim(Transaction& tx, const ClaimRequest& request,
                                              const Run& likely, Term term) {
  auto locked = lock_claimable(tx, request);
  Basis basis = ask_basis(tx, likely);
  auto queued = one_run(co_await tx.rows(locked));
  if (!queued) {
    // Everything claimable is held by others: wait for the oldest one's.
    tx.lock("SELECT 1 FROM workspace_states WHERE name = $1 FOR NO KEY UPDATE", likely.workspace);
    locked = lock_claimable(tx, request);
    basis = ask_basis(tx, likely);
    queued = one_run(co_await tx.rows(locked));
    if (!queued) co_return std::nullopt;
  }
  if (slot_of(*queued) != slot_of(likely) ||
      queued->definition.bundle != likely.definition.bundle) {
    basis = ask_basis(tx, *queued);
  }

  const Workspace before = read_workspace((co_await tx.rows(basis.workspace))[0]);
  const std::int64_t base = (co_await tx.rows(basis.state))[0].integer();
  ClaimedRun claimed;
  claimed.run = as_claimed(*std::move(queued), request, term);
  claimed.fence = {.run = claimed.run.id, .attempt = claimed.run.attempt, .claim = request.claim};
  claimed.base_state = base;
  if (claimed.run.job.empty()) {
    claimed.lock_file = (co_await tx.rows(basis.lock_file))[0].text();
  }
  const Rows bundle_rows = co_await tx.rows(basis.bundle);
  if (!bundle_rows.empty()) claimed.bundle = bundle_rows[0].text();
  save_run(tx, claimed.run);
  insert_attempt(tx, claimed.run, request, base);
  save_workspace(tx, before, after_claim(before, claimed.run, request.now), request.now);
  co_await follow_run(tx, claimed.run, request.now);
  co_return claimed;
}

}  // namespace

Transaction::Answer ask_attempt(Transaction& tx, const RunId& run, Attempt attempt) {
  return tx.ask(select_attempt(), run, attempt);
}

Transaction::Answer lock_attempt(Transaction& tx, const RunId& run, Attempt attempt) {
  static const std::string text = fmt::format("{} FOR NO KEY UPDATE", select_attempt());
  return tx.lock(text, run, attempt);
}

std::optional<StoredAttempt> one_attempt(const Rows& rows) {
  if (rows.empty()) return std::nullopt;
  return read_attempt(rows[0]);
}

Task<Result<std::optional<ClaimedRun>>> claim_next(Transaction& tx, const ClaimRequest& request) {
  if (request.claim.empty()) {
    co_return fail(ErrorKind::kInvalid, "a run is claimed with a claim id");
  }
  // An empty queue, which is nearly always so, costs one round trip and no transaction.
  const auto known_rows = tx.ask(select_claimed(), hash_of(request.claim));
  const auto oldest_rows = ask_claimable(tx, request);
  Term term;
  if (request.fence) {
    if (auto leads = co_await check_leader(tx, *request.fence); !leads) {
      co_return std::unexpected(leads.error());
    }
    term = request.fence->term;
  } else {
    const auto present = co_await leadership(tx);
    if (!present) co_return std::unexpected(present.error());
    term = present->fence.term;
  }
  if (const auto known = one_attempt(co_await tx.rows(known_rows))) {
    auto again = co_await find_claim(tx, request.claim);  // the reply of the first call was lost
    if (!again || *again) co_return again;
    co_return std::unexpected(claim_has_ended(known->row));
  }
  const auto oldest = one_run(co_await tx.rows(oldest_rows));
  if (!oldest) co_return std::nullopt;
  co_return co_await claim(tx, request, *oldest, term);
}

Task<Result<std::optional<ClaimedRun>>> find_claim(Transaction& tx, const ClaimId& claim) {
  // In one statement each, so that they may be asked for together.
  static const std::string run_of = fmt::format(
      "{}WHERE r.id = (SELECT run FROM run_attempts WHERE claim_hash = $1)", kSelectRuns);
  const std::string hash = hash_of(claim);
  const auto lock_file = tx.ask(
      "SELECT lock_file FROM workspace_states WHERE name = (SELECT workspace FROM run_attempts "
      "WHERE claim_hash = $1)",
      hash);
  const auto run_row = tx.ask(run_of, hash);
  const auto found = one_attempt(co_await tx.query(select_claimed(), hash));
  if (!found || found->row.status != RunStatus::kRunning) co_return std::nullopt;
  auto claimed = one_run(co_await tx.rows(run_row));
  const Rows lock_file_rows = co_await tx.rows(lock_file);
  if (!claimed || lock_file_rows.empty()) co_return std::nullopt;  // it was being made meanwhile
  const bool own = claimed->job.empty();
  co_return ClaimedRun{
      .run = *std::move(claimed),
      .fence = {.run = found->row.run, .attempt = found->row.attempt, .claim = claim},
      .base_state = found->base_state,
      .lock_file = own ? lock_file_rows[0].text() : "",
      .bundle = std::nullopt};
}

Task<Status> register_attempt(Transaction& tx, const AttemptFence& fence,
                              const ProcessIdentity& process) {
  // Counts as a heartbeat, also when it is repeated because the first reply was lost: the runner
  // counts its lease from the call that was answered.
  const Rows registered = co_await tx.rows(tx.at_once(
      "UPDATE run_attempts SET registered = true, heartbeat_seq = heartbeat_seq + 1, machine_id = "
      "$4, boot_id = $5, pid_namespace = "
      "$6, guard_pid = $7, guard_start = $8, directory = $9 WHERE run = $1 AND attempt = $2 AND "
      "claim_hash = $3 AND status = 'running' AND (NOT registered OR (machine_id, boot_id, "
      "pid_namespace, guard_pid, guard_start, directory) = ($4, $5, $6, $7, $8, $9))",
      fence.run, fence.attempt, hash_of(fence.claim), process.machine_id, process.boot_id,
      process.pid_namespace, process.guard_pid, process.guard_start, process.directory));
  if (registered.changed() == 1) co_return Status();
  const auto found = one_attempt(co_await tx.rows(ask_attempt(tx, fence.run, fence.attempt)));
  if (auto fits = check_attempt_fence(found, fence); !fits) co_return fits;
  co_return check_registration(found->row, process);
}

Task<Result<HeartbeatAnswer>> heartbeat(Transaction& tx, const AttemptFence& fence,
                                        Instant lease_expires_at) {
  const Rows beat = co_await tx.rows(tx.at_once(
      "UPDATE run_attempts a SET heartbeat_seq = a.heartbeat_seq + 1, lease_expires_at = $4 FROM "
      "runs r WHERE a.run = $1 AND a.attempt = $2 AND a.claim_hash = $3 AND a.status = 'running' "
      "AND r.id = a.run RETURNING r.cancel_requested",
      fence.run, fence.attempt, hash_of(fence.claim), lease_expires_at));
  if (beat.empty()) co_return std::unexpected(co_await stale(tx, fence));
  co_return HeartbeatAnswer{.cancel_requested = beat[0].boolean()};
}

Task<Result<std::vector<AttemptRow>>> running_attempts(Transaction& tx) {
  static const std::string text =
      fmt::format("{}WHERE status = 'running' ORDER BY run", kSelectAttempts);
  co_return co_await read_all(tx, tx.ask(text));
}

Task<Result<std::vector<AttemptRow>>> attempts(Transaction& tx, const RunId& id) {
  static const std::string text = fmt::format("{}WHERE run = $1 ORDER BY attempt", kSelectAttempts);
  co_return co_await read_all(tx, tx.ask(text, id));
}

Task<Result<StateSlot>> check_attempt(Transaction& tx, const AttemptFence& fence) {
  lock_workspace_of(tx, fence.run);
  const auto found = one_attempt(co_await tx.rows(ask_attempt(tx, fence.run, fence.attempt)));
  if (auto runs_still = check_attempt_fence(found, fence); !runs_still) {
    co_return std::unexpected(runs_still.error());
  }
  co_return StateSlot{found->row.workspace, found->row.job.value};
}

}  // namespace provisioner::postgres
