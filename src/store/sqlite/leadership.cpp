#include "store/sqlite/leadership.hpp"

#include <fmt/format.h>

#include "store/cluster_rows.hpp"

namespace provisioner::sqlite {
namespace {

// The scheduler's row; the table's key leaves room for other elections.
constexpr std::string_view kScheduler = "scheduler";

}  // namespace

Result<Leadership> leadership(Transaction& tx) {
  auto query = tx.sql(
      "SELECT term, claim_id, leader_id, claimed_at, transfer_id, transfer_from, transfer_to "
      "FROM leader_election WHERE id = ?");
  query.bind(kScheduler);
  if (!query.step()) return Leadership{};
  Row row = query.row();
  Leadership present{.fence = {.term = row.as<Term>(), .claim = row.as<ClaimId>()},
                     .leader = row.as<InstanceId>(),
                     .claimed_at = row.instant(),
                     .transfer = {}};
  TransferRequest transfer{
      .id = row.text(), .from = row.as<InstanceId>(), .to = row.as<InstanceId>()};
  if (!transfer.id.empty()) present.transfer = std::move(transfer);
  return present;
}

Result<Leadership> claim_term(Transaction& tx, const LeaderFence& seen, const ClaimId& fresh,
                              const InstanceId& me, Instant now) {
  if (fresh.empty()) return fail(ErrorKind::kInvalid, "a term is claimed with a claim id");
  const Result<Leadership> present = leadership(tx);
  if (present->fence.claim == fresh) return present;  // the reply of the first call was lost
  if (present->fence != seen) {
    return fail(ErrorKind::kConflict,
                fmt::format("{} claimed term {} meanwhile",
                            present->leader.empty() ? "another instance" : present->leader.value,
                            present->fence.term.value));
  }
  // I2: the term only grows.
  tx.sql(
        "INSERT INTO leader_election (id, leader_id, lease_expiry, updated_at, term, claim_id, "
        "claimed_at) VALUES (?1, ?2, 0, ?3, ?4, ?5, ?3) ON CONFLICT (id) DO UPDATE SET leader_id = "
        "excluded.leader_id, updated_at = excluded.updated_at, term = excluded.term, claim_id = "
        "excluded.claim_id, claimed_at = excluded.claimed_at, transfer_id = '', transfer_from = "
        "'', transfer_to = '' WHERE term < excluded.term")
      .run(kScheduler, me, now, seen.term.next(), fresh);
  tx.announce(Change::Topic::kLeadership, me.value);
  return leadership(tx);
}

Status resign(Transaction& tx, const LeaderFence& fence, Instant now) {
  if (auto leads = check_leader(tx, fence); !leads) return leads;
  // Without a claim id nobody passes check_leader() until the next claim.
  tx.sql("UPDATE leader_election SET leader_id = '', claim_id = '', updated_at = ? WHERE id = ?")
      .run(now, kScheduler);
  tx.announce(Change::Topic::kLeadership, "");
  return {};
}

Result<Leadership> request_transfer(Transaction& tx, const std::string& id, const InstanceId& to,
                                    Instant now) {
  const Result<Leadership> present = leadership(tx);
  if (auto granted = check_transfer(*present, to); !granted) {
    return std::unexpected(granted.error());
  }
  tx.sql(
        "UPDATE leader_election SET transfer_id = ?, transfer_from = leader_id, transfer_to = ?, "
        "updated_at = ? WHERE id = ?")
      .run(id, to, now, kScheduler);
  tx.announce(Change::Topic::kLeadership, present->leader.value);
  return leadership(tx);
}

Status check_leader(Transaction& tx, const LeaderFence& fence) {
  const Result<Leadership> present = leadership(tx);
  if (!fence.claim.empty() && present->fence == fence) return {};
  if (present->leader.empty()) {
    return fail(ErrorKind::kFenced, fmt::format("term {} has ended", fence.term.value));
  }
  return fail(ErrorKind::kFenced,
              fmt::format("term {} is not current: {} leads with term {}", fence.term.value,
                          present->leader.value, present->fence.term.value));
}

}  // namespace provisioner::sqlite
