#include "store/postgres/transaction.hpp"

#include <algorithm>
#include <optional>
#include <utility>

namespace provisioner::postgres {

Transaction::Answer Transaction::send(Query query) {
  if (!std::exchange(begun_, true)) queue(Query("BEGIN"));
  return queue(std::move(query));
}

Transaction::Answer Transaction::queue(Query query) {
  queued_.push_back(std::move(query));
  return {answers_.size() + queued_.size() - 1};
}

Task<Rows> Transaction::rows(Answer answer) {
  if (answer.index >= answers_.size()) co_await flush();
  co_return answers_.at(answer.index);
}

Task<> Transaction::flush() {
  if (queued_.empty()) co_return;
  const auto queries = std::exchange(queued_, {});
  const BootInstant own =
      std::min(deadlines_.call, pool_.clock().boot_now() + deadlines_.round_trip);
  ++pool_.counters().round_trips;
  auto answers = co_await connection_.round_trip(queries, own);
  std::ranges::move(answers, std::back_inserter(answers_));
}

Task<> Transaction::commit() {
  if (!begun_) co_return;
  std::optional<Answer> xid;
  if (!changes_.empty()) xid = queue(Query("SELECT pg_current_xact_id()::text::bigint"));
  for (Query& query : last_) queue(std::move(query));
  queue(Query("COMMIT"));
  last_sent_ = true;
  co_await flush();
  if (xid) xid_ = static_cast<std::uint64_t>(answers_.at(xid->index)[0].integer());
}

Task<> Transaction::rollback() {
  queued_.clear();
  last_.clear();
  changes_.clear();
  if (connection_.broken() || !connection_.in_transaction()) co_return;
  queue(Query("ROLLBACK"));
  co_await flush();
  begun_ = false;
}

}  // namespace provisioner::postgres
