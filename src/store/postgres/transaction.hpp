// What a call sees of the connection that it runs on.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/random.hpp"
#include "store/postgres/policy.hpp"
#include "store/postgres/pool.hpp"
#include "store/store.hpp"

namespace provisioner::postgres {

// Until when a call may go on, and how long each of its round trips may take.
struct Deadlines {
  BootInstant call;
  Duration round_trip{};
};

// Statements are queued, and sent together when an answer is wanted: a round trip is what costs.
//
//   const Answer run = tx.ask("SELECT ... WHERE id = $1", id);       // queued
//   const Answer lock = tx.lock("SELECT ... FOR UPDATE", name);      // queued, begins
//   const Rows rows = co_await tx.rows(run);                         // one round trip for both
//   tx.send("UPDATE ...", ...);                                      // queued until the commit
//
// ask() reads. lock() and send() open the transaction: what only asks has none, and needs no
// commit. All else that was queued goes out with the COMMIT, so locks that are taken last are held
// for no round trip. The isolation is READ COMMITTED: lock the row that a decision rests on before
// reading what belongs to it. Order: workspace_states, then its runs and the rest, leader_election
// last.
//
// Throws SqlError and Refusal; the store repeats the whole call where ha.md allows it, so a call
// changes nothing outside the transaction.
class Transaction {
 public:
  struct Answer {
    std::size_t index;
  };

  Transaction(Pool& pool, Connection& connection, const Deadlines& deadlines)
      : pool_(pool), connection_(connection), deadlines_(deadlines) {}
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;

  template <typename... Values>
  Answer ask(std::string_view sql, const Values&... values) {
    return queue(Query(sql, values...));
  }
  template <typename... Values>
  Answer lock(std::string_view sql, const Values&... values) {
    return send(Query(sql, values...));
  }
  template <typename... Values>
  Answer send(std::string_view sql, const Values&... values) {
    return send(Query(sql, values...));
  }
  Answer ask(Query query) { return queue(std::move(query)); }
  Answer send(Query query);

  // A change that may happen twice, and is repeated like a reading: it opens no transaction, but
  // commits with the round trip that carries it, together with all that is queued for it. Nothing
  // else of the call sends or locks. What it announces needs the number of that transaction: see
  // done_in().
  template <typename... Values>
  Answer at_once(std::string_view sql, const Values&... values) {
    return queue(Query(sql, values...));
  }

  Task<Rows> rows(Answer answer);

  // ask() and rows(), lock() and rows(), send() and rows(): a round trip each.
  template <typename... Values>
  Task<Rows> query(std::string_view sql, const Values&... values) {
    return rows(ask(sql, values...));
  }
  template <typename... Values>
  Task<Rows> locked(std::string_view sql, const Values&... values) {
    return rows(lock(sql, values...));
  }
  template <typename... Values>
  Task<Rows> sent(std::string_view sql, const Values&... values) {
    return rows(send(sql, values...));
  }

  // Sent right before the COMMIT; never, when nothing was sent or locked.
  void before_commit(Query query) { last_.push_back(std::move(query)); }

  void announce(Change::Topic topic, std::string key) {
    changes_.push_back({topic, std::move(key)});
  }
  void announce(Change::Topic topic, const RunId& run, const WorkspaceName& workspace) {
    changes_.push_back({topic, run.value, workspace.value});
  }
  // Of at_once(): what the row that was written has in its column `changed`.
  void done_in(std::uint64_t xid) { xid_ = xid; }
  std::string new_id(Instant now) { return random_.run_id(now).value; }
  const std::string& session() const { return pool_.session(); }

  // For the store: ends what was begun. What was asked and not read is forgotten.
  Task<> commit();
  // Ends what was begun, so that the transaction is as new.
  Task<> rollback();
  Progress progress() const {
    return {.changes = begun_, .last_sent = last_sent_, .broken = connection_.broken()};
  }
  std::vector<Change>& changes() { return changes_; }
  // Of a commit that announced something: what its rows have in their column `changed`.
  std::uint64_t xid() const { return xid_; }

 private:
  Answer queue(Query query);
  Task<> flush();

  Pool& pool_;
  Connection& connection_;
  Deadlines deadlines_;
  SystemRandom random_;
  std::vector<Query> queued_;
  std::vector<Rows> answers_;  // of all that was flushed
  std::vector<Query> last_;
  std::vector<Change> changes_;
  std::uint64_t xid_ = 0;
  bool begun_ = false;
  bool last_sent_ = false;
};

}  // namespace provisioner::postgres
