// The store of several instances: one PostgreSQL (15 or later), or what fails over to one.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <cstdint>
#include <memory>

#include "runtime/circuit_breaker.hpp"
#include "runtime/clock.hpp"
#include "store/postgres_settings.hpp"
#include "store/store.hpp"

namespace provisioner {

// What a store has done so far; for metrics and tests.
struct PostgresCounters {
  std::int64_t round_trips = 0;    // of calls
  std::int64_t notifications = 0;  // round trips that told other instances of commits
  std::int64_t connections_opened = 0;
  std::int64_t transactions_repeated = 0;
  std::int64_t ambiguous = 0;
  // As it is now, of the pool.
  std::int64_t connections_busy = 0;  // in use, or being opened
  std::int64_t connections_idle = 0;
  std::int64_t callers_waiting = 0;  // for a connection
};

// Connects, and applies the schema's migrations. Everything happens on `loop`; `clock` outlives the
// store and what it does. Errors: kUnavailable (no host that takes writes answers: says what is
// wrong with each; try again), kDenied (login or privileges), kInvalid (no such database, tables of
// another program, a schema newer than this program).
//
// With `breaker`, calls that need a new connection fail at once (kUnavailable) while it lets
// nothing pass; it learns from every connection that is opened, or not, within a call.
//
// Its calls wait for a connection and repeat themselves for settings.call_deadline at most. A call
// whose coroutine is cancelled goes on to its end.
Task<Result<std::unique_ptr<Store>>> open_postgres_store(
    boost::asio::any_io_executor loop, Clock& clock, PostgresSettings settings,
    std::shared_ptr<PostgresCounters> counters = std::make_shared<PostgresCounters>(),
    std::shared_ptr<CircuitBreaker> breaker = nullptr);

}  // namespace provisioner
