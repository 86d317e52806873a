#include "store/postgres/pool.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "store/postgres/resolve.hpp"

namespace provisioner::postgres {
namespace {

// A burst of calls finds the connections of the one before: opening one costs a login, and
// preparing each statement anew.
constexpr Duration kSurplusLinger = std::chrono::seconds(30);

// Of several hosts' complaints the one that a person must act on.
ErrorKind graver(ErrorKind a, ErrorKind b) {
  for (const ErrorKind kind : {ErrorKind::kDenied, ErrorKind::kInvalid}) {
    if (a == kind || b == kind) return kind;
  }
  return ErrorKind::kUnavailable;
}

}  // namespace

Pool::Lease::Lease(std::shared_ptr<Pool> pool, std::unique_ptr<Connection> connection,
                   BootInstant opened, Kind kind)
    : pool_(std::move(pool)), connection_(std::move(connection)), opened_(opened), kind_(kind) {
  pool_->leased_.push_back(connection_.get());
}

Pool::Lease::~Lease() {
  if (connection_) pool_->give_back(std::move(connection_), opened_, kind_);
}

Pool::Pool(const boost::asio::any_io_executor& loop, Clock& clock, PostgresSettings settings,
           std::string session, std::shared_ptr<PostgresCounters> counters,
           std::shared_ptr<CircuitBreaker> breaker)
    : loop_(loop),
      clock_(clock),
      settings_(std::move(settings)),
      session_(std::move(session)),
      counters_(std::move(counters)),
      breaker_(std::move(breaker)) {}

Task<Pool::Lease> Pool::acquire(BootInstant deadline) {
  const auto self = shared_from_this();
  for (;;) {
    if (closed_) throw SqlError("", Error{ErrorKind::kUnavailable, "the store is being closed"});
    while (!idle_.empty()) {
      Idle youngest = std::move(idle_.back());
      idle_.pop_back();
      if (!youngest.connection->hung_up()) {
        count();
        co_return Lease(self, std::move(youngest.connection), youngest.opened);
      }
      --open_;
    }
    // Whoever waits for a turn would be refused when it comes.
    const bool is_refused = breaker_ && !breaker_->admits(clock_.boot_now());
    if (is_refused || open_ < settings_.max_connections) break;
    const auto turn = std::make_shared<Signal>(loop_);
    waiting_.push_back(turn);
    count();
    if (!co_await turn->wait_until(clock_, deadline)) {
      std::erase(waiting_, turn);
      count();
      throw SqlError("", Error{ErrorKind::kUnavailable,
                               fmt::format("all {} connections to the store's database were busy: "
                                           "raise database.max_connections, or look for what is "
                                           "slow",
                                           settings_.max_connections)});
    }
  }
  ++open_;
  count();
  std::optional<SqlError> failure;
  try {
    const BootInstant opened = clock_.boot_now();
    auto fresh = co_await dial_if_let(deadline);
    if (!closed_) co_return Lease(self, std::move(fresh), opened);
    failure = SqlError("", Error{ErrorKind::kUnavailable, "the store is being closed"});
  } catch (const SqlError& error) {
    failure = error;
  }
  --open_;
  count();
  throw *std::move(failure);
}

Task<Pool::Lease> Pool::open_extra(BootInstant deadline) {
  auto connection = co_await dial(deadline);
  if (closed_) throw SqlError("", Error{ErrorKind::kUnavailable, "the store is being closed"});
  co_return Lease(shared_from_this(), std::move(connection), clock_.boot_now(),
                  Lease::Kind::kExtra);
}

void Pool::give_back(std::unique_ptr<Connection> connection, BootInstant opened, Lease::Kind kind) {
  std::erase(leased_, connection.get());
  if (kind == Lease::Kind::kExtra) return;
  if (closed_) return;  // perhaps at the very end, with the loop: the clock may be gone
  const BootInstant now = clock_.boot_now();
  const bool good = !connection->broken() && !connection->retired() &&
                    !connection->in_transaction() && now - opened < settings_.conn_max_lifetime;
  if (good) {
    idle_.push_back({std::move(connection), opened, now});
  } else {
    connection.reset();
    --open_;
  }
  while (waiting_.empty() && static_cast<std::int64_t>(idle_.size()) > settings_.max_idle_conns &&
         (settings_.max_idle_conns == 0 || now - idle_.front().since >= kSurplusLinger)) {
    idle_.pop_front();
    --open_;
  }
  if (!waiting_.empty()) {
    waiting_.front()->notify();
    waiting_.pop_front();
  }
  count();
}

void Pool::count() {
  counters_->connections_idle = static_cast<std::int64_t>(idle_.size());
  counters_->connections_busy = open_ - counters_->connections_idle;
  counters_->callers_waiting = static_cast<std::int64_t>(waiting_.size());
}

void Pool::close() {
  closed_ = true;
  open_ -= static_cast<std::int64_t>(idle_.size());
  idle_.clear();
  for (Connection* connection : leased_) connection->close();
  for (const auto& turn : waiting_) turn->notify();
  waiting_.clear();
}

Task<std::unique_ptr<Connection>> Pool::dial_if_let(BootInstant deadline) {
  if (!breaker_) co_return co_await dial(deadline);
  if (!breaker_->admit(clock_.boot_now())) {
    const auto report = report_on(*breaker_, "store", clock_.now(), clock_.boot_now());
    throw SqlError("", Error{ErrorKind::kUnavailable,
                             fmt::format("the store's database cannot be reached since {}, and is "
                                         "tried again at {}: {}",
                                         format_rfc3339(report.opened_at.value_or(clock_.now())),
                                         format_rfc3339(report.next_probe.value_or(clock_.now())),
                                         complaint_)});
  }
  try {
    auto connection = co_await dial(deadline);
    breaker_->succeeded(clock_.boot_now());
    co_return connection;
  } catch (const SqlError& error) {
    // A server that refuses us is there.
    if (error.error().kind == ErrorKind::kUnavailable) {
      complaint_ = error.error().message;
      breaker_->failed(clock_.boot_now());
    } else {
      breaker_->gave_up(clock_.boot_now());
    }
    throw;
  }
}

Task<std::unique_ptr<Connection>> Pool::dial(BootInstant deadline) {
  std::string complaints;
  auto kind = ErrorKind::kUnavailable;
  for (std::size_t i = 0; i < settings_.hosts.size(); ++i) {
    const std::size_t index = (first_host_ + i) % settings_.hosts.size();
    // Each host gets its own time, so that one that swallows packets does not take the others'.
    const BootInstant own = std::min(deadline, clock_.boot_now() + settings_.connect_deadline);
    try {
      auto connection = co_await dial_host(settings_.hosts[index], own);
      co_await check_timeline(*connection, own);
      first_host_ = index;
      ++counters_->connections_opened;
      const int version = connection->server_version();
      server_version_ = fmt::format("{}.{}", version / 10000, version % 10000);
      co_return connection;
    } catch (const SqlError& error) {
      kind = graver(kind, error.error().kind);
      if (!complaints.empty()) complaints += "; ";
      complaints += error.error().message;
    }
  }
  throw SqlError("", Error{kind, fmt::format("connecting to database {} as {}: {}",
                                             settings_.database, settings_.user, complaints)});
}

Task<std::unique_ptr<Connection>> Pool::dial_host(const PostgresHost& host, BootInstant deadline) {
  if (host.name.starts_with('/')) {
    co_return co_await Connection::open(loop_, settings_, host, "", session_, deadline);
  }
  const auto addresses = co_await resolve(loop_, clock_, host.name, deadline);
  if (!addresses) throw SqlError("", addresses.error());
  for (std::size_t i = 0; i + 1 < addresses->size(); ++i) {
    try {
      co_return co_await Connection::open(loop_, settings_, host, (*addresses)[i], session_,
                                          deadline);
    } catch (const SqlError& error) {
      // A name with several addresses is often one server: only silence is worth another try.
      if (error.error().kind != ErrorKind::kUnavailable) throw;
    }
  }
  co_return co_await Connection::open(loop_, settings_, host, addresses->back(), session_,
                                      deadline);
}

Task<> Pool::check_timeline(Connection& connection, BootInstant deadline) {
  // The first eight digits of a WAL file's name; the functions that say it plainly need privileges.
  const Query query(
      "SELECT ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int8");
  ++counters_->round_trips;
  const auto answers = co_await connection.round_trip({&query, 1}, deadline);
  const std::int64_t timeline = answers.at(0)[0].integer();
  if (timeline < highest_timeline_) {
    throw SqlError("", Error{ErrorKind::kUnavailable,
                             fmt::format("{} is on timeline {}, but timeline {} has been seen: it "
                                         "is a primary of the past, and is not used",
                                         connection.host(), timeline, highest_timeline_)});
  }
  highest_timeline_ = timeline;
}

}  // namespace provisioner::postgres
