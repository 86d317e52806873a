#include "store/postgres/leadership.hpp"

#include <fmt/format.h>

namespace provisioner::postgres {
namespace {

// The scheduler's row; the table's key leaves room for other elections.
constexpr std::string_view kScheduler = "scheduler";

constexpr std::string_view kLeader =
    "SELECT term, claim_id, leader_id, claimed_at, timeline = present_timeline() FROM "
    "leader_election WHERE id = $1";

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
                        .claimed_at = row.instant()};
  present.on_present_timeline = row.boolean();
  return present;
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
  // I2: the term only grows, and only from what was seen.
  const Rows claimed = co_await tx.sent(
      "INSERT INTO leader_election AS present (id, leader_id, lease_expiry, updated_at, term, "
      "claim_id, claimed_at, timeline, session) VALUES ($1, $2, '-infinity', $3, $4 + 1, $5, $3, "
      "present_timeline(), $7) ON CONFLICT (id) DO UPDATE SET leader_id = excluded.leader_id, "
      "updated_at = excluded.updated_at, term = excluded.term, claim_id = excluded.claim_id, "
      "claimed_at = excluded.claimed_at, timeline = excluded.timeline, session = excluded.session "
      "WHERE present.term = $4 AND present.claim_id = $6",
      kScheduler, me, now, seen.term, fresh, seen.claim, tx.session());
  if (claimed.changed() != 1) co_return std::unexpected(lost);
  tx.announce(Change::Topic::kLeadership, me.value);
  co_return Leadership{
      .fence = {.term = seen.term.next(), .claim = fresh}, .leader = me, .claimed_at = now};
}

Task<Status> resign(Transaction& tx, const LeaderFence& fence, Instant now) {
  if (auto leads = co_await check_leader(tx, fence); !leads) co_return leads;
  // Without a claim id nobody passes check_leader() until the next claim.
  const Rows resigned = co_await tx.sent(
      "UPDATE leader_election SET leader_id = '', claim_id = '', updated_at = $4 WHERE id = $1 AND "
      "term = $2 AND claim_id = $3",
      kScheduler, fence.term, fence.claim, now);
  if (resigned.changed() != 1) co_return std::unexpected(not_current(fence, {}));
  tx.announce(Change::Topic::kLeadership, "");
  co_return Status();
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
