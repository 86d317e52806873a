#include "store/postgres/leadership.hpp"

#include <fmt/format.h>

#include <optional>

#include "store/cluster_rows.hpp"

namespace provisioner::postgres {
namespace {

// The scheduler's row; the table's key leaves room for other elections.
constexpr std::string_view kScheduler = "scheduler";

constexpr std::string_view kLockTimeout = "55P03";

constexpr std::string_view kLeader =
    "SELECT term, claim_id, leader_id, claimed_at, timeline = present_timeline(), transfer_id, "
    "transfer_from, transfer_to FROM leader_election WHERE id = $1";

struct Present {
  Leadership leadership;
  bool on_present_timeline = true;
};

Present read_leader(const Rows& rows) {
  if (rows.empty()) return {};
  Row row = rows[0];
  Present present;
  present.leadership = {.fence = {.term = row.as<Term>(), .claim = row.as<ClaimId>()},
                        .leader = row.as<InstanceId>(),
                        .claimed_at = row.instant(),
                        .transfer = {}};
  present.on_present_timeline = row.boolean();
  TransferRequest transfer{
      .id = row.text(), .from = row.as<InstanceId>(), .to = row.as<InstanceId>()};
  if (!transfer.id.empty()) present.leadership.transfer = std::move(transfer);
  return present;
}

// Whoever holds locks and waits for its own daemon, which is stopped, cut off or gone.
Task<> end_stopped_sessions(Transaction& tx) {
  co_await tx.query(
      "SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity WHERE datname = "
      "current_database() AND application_name LIKE 'provisioner %' AND application_name <> $1 AND "
      "wait_event_type = 'Client' AND state <> 'idle' AND xact_start IS NOT NULL AND state_change "
      "< "
      "clock_timestamp() - interval '400 ms'",
      tx.session());
}

Error not_current(const LeaderFence& fence, const Present& present) {
  const Leadership& now = present.leadership;
  if (now.fence == fence && !present.on_present_timeline) {
    return {ErrorKind::kFenced,
            fmt::format("term {} was claimed before the database failed over", fence.term.value)};
  }
  if (now.leader.empty()) {
    return {ErrorKind::kFenced, fmt::format("term {} has ended", fence.term.value)};
  }
  return {ErrorKind::kFenced,
          fmt::format("term {} is not current: {} leads with term {}", fence.term.value,
                      now.leader.value, now.fence.term.value)};
}

}  // namespace

Task<Result<Leadership>> leadership(Transaction& tx) {
  co_return read_leader(co_await tx.query(kLeader, kScheduler)).leadership;
}

Task<Result<Leadership>> claim_term(Transaction& tx, const LeaderFence& seen, const ClaimId& fresh,
                                    const InstanceId& me, Instant now) {
  if (fresh.empty()) co_return fail(ErrorKind::kInvalid, "a term is claimed with a claim id");
  const Leadership present = read_leader(co_await tx.query(kLeader, kScheduler)).leadership;
  if (present.fence.claim == fresh) co_return present;  // the reply of the first call was lost
  const Error lost{ErrorKind::kConflict,
                   fmt::format("{} claimed term {} meanwhile",
                               present.leader.empty() ? "another instance" : present.leader.value,
                               present.fence.term.value)};
  if (present.fence != seen) co_return std::unexpected(lost);
  // I2: the term only grows, and only from what was seen. A decision of the present leader may hold
  // the row; one that takes longer than a decision does is stopped.
  tx.send("SET LOCAL lock_timeout = '500ms'");
  const auto claim = tx.send(
      "INSERT INTO leader_election AS present (id, leader_id, lease_expiry, updated_at, term, "
      "claim_id, claimed_at, timeline) VALUES ($1, $2, '-infinity', $3, $4 + 1, $5, $3, "
      "present_timeline()) ON CONFLICT (id) DO UPDATE SET leader_id = excluded.leader_id, "
      "updated_at = excluded.updated_at, term = excluded.term, claim_id = excluded.claim_id, "
      "claimed_at = excluded.claimed_at, timeline = excluded.timeline, transfer_id = '', "
      "transfer_from = '', transfer_to = '' WHERE present.term = $4 AND "
      "present.claim_id = $6",
      kScheduler, me, now, seen.term, fresh, seen.claim);
  Rows claimed;
  std::optional<SqlError> blocked;
  try {
    claimed = co_await tx.rows(claim);
  } catch (const SqlError& error) {
    if (error.sqlstate() != kLockTimeout) throw;
    blocked = error;
  }
  if (blocked) {
    co_await tx.rollback();
    co_await end_stopped_sessions(tx);
    throw *std::move(blocked);  // which repeats the claim
  }
  if (claimed.changed() != 1) co_return std::unexpected(lost);
  tx.announce(Change::Topic::kLeadership, me.value);
  co_return Leadership{.fence = {.term = seen.term.next(), .claim = fresh},
                       .leader = me,
                       .claimed_at = now,
                       .transfer = {}};
}

Task<Status> resign(Transaction& tx, const LeaderFence& fence, Instant now) {
  // Without a claim id nobody passes check_leader() until the next claim.
  const auto resigned = tx.send(
      "UPDATE leader_election SET leader_id = '', claim_id = '', updated_at = $4 WHERE id = $1 AND "
      "term = $2 AND claim_id = $3 AND claim_id <> ''",
      kScheduler, fence.term, fence.claim, now);
  const auto present = tx.ask(kLeader, kScheduler);
  if ((co_await tx.rows(resigned)).changed() != 1) {
    co_return std::unexpected(not_current(fence, read_leader(co_await tx.rows(present))));
  }
  tx.announce(Change::Topic::kLeadership, "");
  co_return Status();
}

Task<Result<Leadership>> request_transfer(Transaction& tx, const std::string& id,
                                          const InstanceId& to, Instant now) {
  const Rows locked = co_await tx.locked(fmt::format("{} FOR UPDATE", kLeader), kScheduler);
  const Leadership present = read_leader(locked).leadership;
  if (auto granted = check_transfer(present, to); !granted) {
    co_return std::unexpected(granted.error());
  }
  tx.send(
      "UPDATE leader_election SET transfer_id = $2, transfer_from = leader_id, transfer_to = $3, "
      "updated_at = $4 WHERE id = $1",
      kScheduler, id, to, now);
  tx.announce(Change::Topic::kLeadership, present.leader.value);
  co_return co_await leadership(tx);
}

Task<Status> check_leader(Transaction& tx, const LeaderFence& fence) {
  const Present present = read_leader(co_await tx.query(kLeader, kScheduler));
  if (fence.claim.empty() || present.leadership.fence != fence || !present.on_present_timeline) {
    co_return std::unexpected(not_current(fence, present));
  }
  tx.before_commit(
      Query("SELECT require_leader($1, $2)", fence.term, fence.claim)
          .refuse(kNotLeader, {ErrorKind::kFenced,
                               fmt::format("term {} ended while it decided", fence.term.value)}));
  co_return Status();
}

}  // namespace provisioner::postgres
