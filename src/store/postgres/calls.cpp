#include "store/postgres/calls.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace provisioner::postgres {
namespace {

// A call repeats its transaction this often; its caller knows better how long it may go on.
constexpr int kMostTries = 4;

bool is_resignation(const Change& change) {
  return change.topic == Change::Topic::kLeadership && change.key.empty();
}

}  // namespace

Task<Try> try_once(const Calls& calls, std::function<Task<bool>(Transaction&)> work,
                   const Deadlines& deadlines) {
  Try outcome;
  bool resigned = false;
  try {
    auto lease = co_await calls.pool->acquire(deadlines.call);
    Transaction tx(*calls.pool, *lease, deadlines);
    bool keep = false;
    try {
      keep = co_await work(tx);
      if (keep) co_await tx.commit();
    } catch (const Refusal& refusal) {
      keep = false;
      outcome.refusal = refusal.error();
    } catch (const SqlError& error) {
      keep = false;
      outcome.failure = error;
      outcome.verdict = judge(error.sqlstate(), tx.progress());
    }
    if (keep && !tx.changes().empty()) {
      resigned = std::ranges::any_of(tx.changes(), is_resignation);
      calls.notifications->tell({.xid = tx.xid(), .changes = std::move(tx.changes())});
    }
    if (outcome.failure && outcome.verdict != Verdict::kRetry &&
        outcome.verdict != Verdict::kFail) {
      lease.throw_away();
    } else if (!keep) {
      co_await tx.rollback();
    }
  } catch (const SqlError& error) {
    // Of connecting, or of a rollback, which the server does by itself when we are gone.
    if (!outcome.failure && !outcome.refusal) {
      outcome.failure = error;
      outcome.verdict = Verdict::kFail;
    }
  }
  // The stand-bys wait for it, and the daemon may end with this call.
  if (resigned) co_await calls.notifications->delivered();
  co_return outcome;
}

Task<bool> Repetition::again(const Try& last) {
  if (last.verdict == Verdict::kAmbiguous) ++pool_.counters().ambiguous;
  if (last.verdict != Verdict::kRetry && last.verdict != Verdict::kReconnect) co_return false;
  if (tries_++ >= kMostTries || pool_.closed() || pool_.clock().boot_now() >= deadline_) {
    co_return false;
  }
  co_await pool_.clock().sleep_for(backoff_.next(random_));
  ++pool_.counters().transactions_repeated;
  co_return true;
}

Error error_of(const Try& last) {
  Error error = last.failure->error();
  if (last.verdict == Verdict::kAmbiguous) {
    error.kind = ErrorKind::kAmbiguous;
    error.message += ": whether it was done is unknown until it is looked up";
  } else if (last.verdict == Verdict::kReconnect) {
    error.kind = ErrorKind::kUnavailable;
  }
  return error;
}

}  // namespace provisioner::postgres
