// One connection to one PostgreSQL server, asynchronous on the loop.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "runtime/alarm.hpp"
#include "runtime/task.hpp"
#include "store/postgres/statement.hpp"
#include "store/postgres_settings.hpp"

extern "C" struct pg_conn;

namespace provisioner::postgres {

// What PostgreSQL says in public when somebody calls NOTIFY.
struct Notification {
  std::string channel, payload;
};

// Everything throws SqlError when it fails. A connection that was lost, or that met a deadline, is
// broken(): it answers nothing any more and is thrown away. One call at a time. Loop only; not to
// be destroyed while a call is in progress (close() ends it).
class Connection {
 public:
  // Speaks with one address of one host, which was resolved before: libpq's own resolving blocks.
  // kDenied: the server refuses the login; kInvalid: it has no such database, or cannot be what we
  // need; kUnavailable: all else, also a server that takes no writes.
  static Task<std::unique_ptr<Connection>> open(const boost::asio::any_io_executor& loop,
                                                const PostgresSettings& settings,
                                                const PostgresHost& host,
                                                const std::string& address,
                                                const std::string& application_name,
                                                BootInstant deadline);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Sends all statements at once and waits for all answers. The first that fails ends the rest, and
  // is thrown: as Refusal where it was foreseen.
  Task<std::vector<Rows>> round_trip(std::span<const Query> queries, BootInstant deadline);

  // Several statements without parameters, separated by semicolons: schema changes.
  Task<> script(std::string sql, BootInstant deadline);

  // Waits for notifications; none when `deadline` came first, which breaks nothing.
  Task<std::vector<Notification>> notifications(BootInstant deadline);

  // Looks without waiting whether the server has hung up meanwhile.
  bool hung_up();

  bool broken() const { return broken_; }
  bool in_transaction() const;
  // Not to be used again after its present use.
  void retire() { retired_ = true; }
  bool retired() const { return retired_; }
  // Ends the call in progress as a lost connection.
  void close();

  const std::string& host() const { return host_; }  // "db1:5432"
  int server_version() const;                        // 150018

 private:
  enum class Direction { kRead, kWrite, kBoth };

  Connection(const boost::asio::any_io_executor& loop, std::string host);
  Task<> log_in(const PostgresSettings& settings, const PostgresHost& host,
                const std::string& address, const std::string& application_name,
                BootInstant deadline);
  void attach_socket();
  // Returns when there is something to do; throws when the deadline or close() came first.
  Task<> wait(Direction direction);
  Task<> flush();
  Task<std::shared_ptr<pg_result>> next_result();  // null at the end of a statement
  void consume_input();
  [[noreturn]] void lose(const std::string& why);
  void send(const Query& query, const std::string& name, bool prepare);

  boost::asio::any_io_executor loop_;
  std::string host_;
  pg_conn* connection_ = nullptr;
  // A duplicate of libpq's socket, which libpq closes and replaces as it likes.
  std::optional<boost::asio::posix::stream_descriptor> socket_;
  Alarm alarm_;
  bool expired_ = false;
  bool closed_ = false;
  bool broken_ = false;
  bool retired_ = false;
  bool unreplicated_ = false;  // the server gave up waiting for its stand-by
  std::unordered_map<std::string, std::string> prepared_;  // text -> name
  std::int64_t next_name_ = 0;
  std::vector<Notification> heard_;
};

}  // namespace provisioner::postgres
