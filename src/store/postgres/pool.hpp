// The connections of one instance.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "runtime/circuit_breaker.hpp"
#include "runtime/clock.hpp"
#include "runtime/signal.hpp"
#include "store/postgres/connection.hpp"
#include "store/postgres/postgres_store.hpp"

namespace provisioner::postgres {

// At most settings.max_connections at a time; those that wait are served in order. When one is
// given back it is closed if it is older than conn_max_lifetime, and with it those above
// max_idle_conns that nobody wanted for half a minute (at once if that is 0). Loop only; shared by
// the calls in progress, so it may outlive the store.
class Pool : public std::enable_shared_from_this<Pool> {
 public:
  // Gives its connection back, unless it is broken or in a transaction.
  class Lease {
   public:
    enum class Kind { kPooled, kExtra };
    Lease(std::shared_ptr<Pool> pool, std::unique_ptr<Connection> connection, BootInstant opened,
          Kind kind = Kind::kPooled);
    Lease(Lease&& other) noexcept = default;
    Lease& operator=(Lease&&) = delete;
    ~Lease();

    Connection& operator*() const { return *connection_; }
    Connection* operator->() const { return connection_.get(); }
    // Its connection may still be used, and is closed afterwards.
    void throw_away() { connection_->retire(); }

   private:
    std::shared_ptr<Pool> pool_;
    std::unique_ptr<Connection> connection_;
    BootInstant opened_;
    Kind kind_;
  };

  // `session` is the application_name of all its connections, by which others know them.
  // With `breaker`, acquire() opens no connection while it lets nothing pass, and fails at once.
  Pool(const boost::asio::any_io_executor& loop, Clock& clock, PostgresSettings settings,
       std::string session, std::shared_ptr<PostgresCounters> counters,
       std::shared_ptr<CircuitBreaker> breaker = nullptr);

  // Throws SqlError: kUnavailable names every host and what is wrong with it.
  Task<Lease> acquire(BootInstant deadline);

  // One beside max_connections, for listening.
  Task<Lease> open_extra(BootInstant deadline);

  // Ends all calls in progress; nothing can be acquired any more.
  void close();
  bool closed() const { return closed_; }

  const PostgresSettings& settings() const { return settings_; }
  const std::string& session() const { return session_; }
  const boost::asio::any_io_executor& loop() const { return loop_; }
  Clock& clock() const { return clock_; }
  PostgresCounters& counters() { return *counters_; }
  // Of the newest connection: "15.18".
  const std::string& server_version() const { return server_version_; }

 private:
  struct Idle {
    std::unique_ptr<Connection> connection;
    BootInstant opened, since;
  };

  Task<std::unique_ptr<Connection>> dial_if_let(BootInstant deadline);
  Task<std::unique_ptr<Connection>> dial(BootInstant deadline);
  Task<std::unique_ptr<Connection>> dial_host(const PostgresHost& host, BootInstant deadline);
  Task<> check_timeline(Connection& connection, BootInstant deadline);
  void count();
  void give_back(std::unique_ptr<Connection> connection, BootInstant opened, Lease::Kind kind);

  boost::asio::any_io_executor loop_;
  Clock& clock_;
  PostgresSettings settings_;
  std::string session_;
  std::shared_ptr<PostgresCounters> counters_;
  std::shared_ptr<CircuitBreaker> breaker_;
  std::string complaint_;  // of the last failure that the breaker counted
  std::string server_version_;
  std::size_t first_host_ = 0;         // the last that was good
  std::int64_t highest_timeline_ = 0;  // ever seen: a lower one is an old primary
  std::int64_t open_ = 0;              // leased or idle or being opened
  bool closed_ = false;
  std::deque<Idle> idle_;  // the youngest use last
  std::deque<std::shared_ptr<Signal>> waiting_;
  std::vector<Connection*> leased_;
};

}  // namespace provisioner::postgres
