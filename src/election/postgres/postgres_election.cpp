#include "election/postgres/postgres_election.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <optional>
#include <utility>

#include "runtime/first_of.hpp"
#include "store/postgres/pool.hpp"

namespace provisioner {
namespace {

using postgres::Connection;
using postgres::Query;
using postgres::Rows;

// The row of this election; the store's term is another one.
constexpr std::string_view kRow = "election";
constexpr std::string_view kTokenKind = "postgres ";
constexpr std::int64_t kConnections = 3;
constexpr Duration kListen = std::chrono::minutes(1);

constexpr std::string_view kRead =
    "SELECT claim_id, leader_id, lease_expiry, "
    "(extract(epoch FROM lease_expiry - updated_at) * 1000000)::int8, "
    "(extract(epoch FROM lease_expiry - clock_timestamp()) * 1000000)::int8 "
    "FROM leader_election WHERE id = $1";

constexpr std::string_view kTake =
    "INSERT INTO leader_election AS present (id, leader_id, claim_id, lease_expiry, updated_at) "
    "VALUES ($1, $2, $3, clock_timestamp() + $4 * interval '1 microsecond', clock_timestamp()) "
    "ON CONFLICT (id) DO UPDATE SET leader_id = excluded.leader_id, claim_id = excluded.claim_id, "
    "lease_expiry = excluded.lease_expiry, updated_at = excluded.updated_at "
    "WHERE present.claim_id = $5 AND present.lease_expiry = $6";

constexpr std::string_view kRenew =
    "UPDATE leader_election SET lease_expiry = clock_timestamp() + $3 * interval '1 microsecond', "
    "updated_at = clock_timestamp() WHERE id = $1 AND claim_id = $2";

constexpr std::string_view kGiveUp =
    "UPDATE leader_election SET leader_id = '', claim_id = '', lease_expiry = clock_timestamp(), "
    "updated_at = clock_timestamp() WHERE id = $1 AND claim_id = $2";

Task<Rows> run(Connection& connection, Query query, BootInstant deadline) {
  const std::array queries = {std::move(query)};
  co_return (co_await connection.round_trip(queries, deadline)).at(0);
}

// A connection that is left in the middle of an answer is of no use to anybody: whoever waits may
// be cancelled, the task goes on.
template <typename T>
Task<T> to_its_end(boost::asio::any_io_executor loop, Task<T> task) {
  co_return co_await boost::asio::co_spawn(
      loop, std::move(task),
      boost::asio::bind_cancellation_slot(boost::asio::cancellation_slot(),
                                          boost::asio::use_awaitable));
}

using Listener = std::shared_ptr<postgres::Pool::Lease>;

// Nothing when the server is away; the competition notices, too, and reports it.
Task<Listener> open_listener(std::shared_ptr<postgres::Pool> pool, BootInstant deadline) {
  try {
    auto lease = std::make_shared<postgres::Pool::Lease>(co_await pool->acquire(deadline));
    (*lease)->retire();
    co_await (*lease)->script("LISTEN provisioner_election", deadline);
    co_return lease;
  } catch (const postgres::SqlError&) {
    co_return nullptr;
  }
}

// Until the connection is lost.
Task<> hear(postgres::Pool::Lease& connection, Clock& clock, Signal& hint) {
  try {
    while (true) {
      const auto heard = co_await connection->notifications(clock.boot_now() + kListen);
      if (!heard.empty()) hint.notify();
    }
  } catch (const postgres::SqlError&) {
    co_return;
  }
}

PostgresSettings with_own_connections(PostgresSettings settings, const ElectionTiming& timing) {
  settings.max_connections = kConnections;
  settings.max_idle_conns = kConnections;
  // A host that swallows packets leaves time for the others.
  const auto hosts = static_cast<Duration::rep>(std::max<std::size_t>(1, settings.hosts.size()));
  settings.connect_deadline = std::min(settings.connect_deadline, timing.request / hosts);
  return settings;
}

}  // namespace

PostgresElection::PostgresElection(const boost::asio::any_io_executor& loop, Clock& clock,
                                   Random& random, PostgresSettings settings, ElectionTiming timing,
                                   InstanceId me)
    : loop_(loop),
      clock_(clock),
      random_(random),
      timing_(timing),
      me_(std::move(me)),
      pool_(std::make_shared<postgres::Pool>(
          loop, clock, with_own_connections(std::move(settings), timing),
          "provisioner election " + me_.value, std::make_shared<PostgresCounters>())),
      hint_(loop) {}

PostgresElection::~PostgresElection() { pool_->close(); }

template <typename T>
Task<Result<T>> PostgresElection::ask(Duration patience, Work<T> work) {
  const auto attempt = [](std::shared_ptr<postgres::Pool> pool, Work<T> todo,
                          BootInstant deadline) -> Task<Result<T>> {
    try {
      auto connection = co_await pool->acquire(deadline);
      co_return co_await todo(*connection, deadline);
    } catch (const postgres::SqlError& error) {
      co_return std::unexpected(error.error());
    }
  };
  co_return co_await to_its_end(loop_,
                                attempt(pool_, std::move(work), clock_.boot_now() + patience));
}

Task<Result<PostgresElection::Seat>> PostgresElection::look(Duration patience) {
  return ask<Seat>(patience, [](Connection& connection, BootInstant deadline) -> Task<Seat> {
    const Rows rows = co_await run(connection, Query(kRead, kRow), deadline);
    if (rows.empty()) co_return Seat{};
    auto row = rows[0];
    Seat seat;
    seat.claim = row.as<ClaimId>();
    seat.leader = row.as<InstanceId>();
    seat.expiry = row.instant();
    seat.granted = Duration(row.integer());
    seat.left = Duration(row.integer());
    co_return seat;
  });
}

Task<Result<bool>> PostgresElection::take(Seat seen) {
  const Query statement(kTake, kRow, me_, claim_, timing_.ttl.count(), seen.claim, seen.expiry);
  co_return co_await ask<bool>(
      timing_.request, [&statement](Connection& connection, BootInstant deadline) -> Task<bool> {
        const Rows taken = co_await run(connection, statement, deadline);
        co_return taken.changed() == 1;
      });
}

Task<Result<BootInstant>> PostgresElection::campaign() {
  co_await resign();  // of a session that was lost, or won and not given up
  claim_ = random_.claim_id();
  tell_release_token(std::string(kTokenKind) + claim_.value);
  Result<BootInstant> won = fail(ErrorKind::kCancelled, "stopped while campaigning");
  co_await first_of(compete(won), listen());
  co_return won;
}

Task<> PostgresElection::compete(Result<BootInstant>& won) {
  std::optional<Seat> seen;
  BootInstant since{};
  while (true) {
    const auto seat = co_await look(timing_.ttl);
    if (!seat) {
      won = fail("looking at the election in PostgreSQL", seat.error());
      co_return;
    }
    const BootInstant now = clock_.boot_now();
    if (!seen || !seen->is_same_as(*seat)) {
      seen = *seat;
      since = now;
    }
    const bool ours = seat->claim == claim_;  // taken, with a lost answer
    const Duration silence = std::max(seat->granted, timing_.ttl);
    if (ours || seat->claim.empty() || now - since >= silence) {
      const BootInstant sent = clock_.boot_now();
      const auto taken = co_await take(*seat);
      if (taken && *taken && clock_.boot_now() < sent + timing_.ttl - timing_.margin) {
        won_ = true;
        deadline_ = sent + timing_.ttl - timing_.margin;
        won = deadline_;
        co_return;
      }
      if (!taken && taken.error().kind == ErrorKind::kDenied) {
        won = fail("taking the lead in PostgreSQL", taken.error());
        co_return;
      }
      // Somebody else was first, or nobody knows: look again.
    }
    co_await hint_.wait_until(clock_, std::max(now + std::chrono::milliseconds(10),
                                               std::min(now + timing_.renew / 2, since + silence)));
  }
}

Task<> PostgresElection::listen() {
  while (true) {
    const auto connection =
        co_await to_its_end(loop_, open_listener(pool_, clock_.boot_now() + timing_.ttl));
    if (connection) {
      hint_.notify();  // what happened before it listened
      co_await hear(*connection, clock_, hint_);
    }
    co_await clock_.sleep_for(timing_.renew);
  }
}

Task<Result<BootInstant>> PostgresElection::renew() {
  if (claim_.empty() || !won_) {
    co_return fail(ErrorKind::kFenced, "there is no session to renew: campaign first");
  }
  const BootInstant sent = clock_.boot_now();
  if (sent >= deadline_) {
    co_return fail(ErrorKind::kFenced, "the session ended before it was renewed");
  }
  const Query statement(kRenew, kRow, claim_, timing_.ttl.count());
  const auto renewed = co_await ask<bool>(
      timing_.request, [&statement](Connection& connection, BootInstant deadline) -> Task<bool> {
        const Rows rows = co_await run(connection, statement, deadline);
        co_return rows.changed() == 1;
      });
  if (!renewed) {
    const bool is_final = renewed.error().kind == ErrorKind::kDenied;
    co_return fail(
        "renewing the lease in PostgreSQL",
        Error{is_final ? ErrorKind::kDenied : ErrorKind::kUnavailable, renewed.error().message});
  }
  if (!*renewed) {
    co_return fail(ErrorKind::kFenced, "the election in PostgreSQL is no longer ours");
  }
  const BootInstant deadline = sent + timing_.ttl - timing_.margin;
  if (clock_.boot_now() >= deadline) {
    co_return fail(ErrorKind::kUnavailable,
                   "PostgreSQL's answer came when the lease could have ended");
  }
  deadline_ = deadline;
  co_return deadline;
}

Task<> PostgresElection::resign() {
  won_ = false;
  if (claim_.empty()) co_return;
  // Best effort: others see the row unchanged, and wait for its end.
  (void)co_await give_up(std::exchange(claim_, ClaimId()));
  tell_release_token("");
}

Task<Status> PostgresElection::give_up(ClaimId claim) {
  const std::array statements = {Query(kGiveUp, kRow, claim),
                                 Query("SELECT pg_notify('provisioner_election', '')")};
  const auto done = co_await ask<bool>(
      timing_.request, [&statements](Connection& connection, BootInstant deadline) -> Task<bool> {
        co_await connection.round_trip(statements, deadline);
        co_return true;
      });
  if (!done) co_return std::unexpected(done.error());
  co_return Status();
}

Task<Status> PostgresElection::release(std::string token) {
  const std::string claim =
      token.starts_with(kTokenKind) ? token.substr(kTokenKind.size()) : std::string();
  const bool is_claim =
      claim.size() == 32 && claim.find_first_not_of("0123456789abcdef") == std::string::npos;
  if (!is_claim) {
    co_return fail(ErrorKind::kInvalid,
                   fmt::format("\"{}\" is no release token of PostgreSQL", token));
  }
  if (const Status given = co_await give_up(ClaimId(claim)); !given) {
    co_return fail("releasing the leadership in PostgreSQL", given.error());
  }
  co_return Status();
}

Task<Result<ElectionView>> PostgresElection::observe() {
  const auto seat = co_await look(timing_.request);
  if (!seat) co_return std::unexpected(seat.error());
  if (seat->claim.empty()) co_return ElectionView{};
  co_return ElectionView{.leader = seat->leader,
                         .lease_left = std::max(Duration::zero(), seat->left)};
}

}  // namespace provisioner
