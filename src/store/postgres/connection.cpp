#include "store/postgres/connection.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <libpq-fe.h>
#include <poll.h>

#include <boost/asio/deferred.hpp>
#include <boost/asio/experimental/parallel_group.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <regex>
#include <string_view>
#include <utility>

#include "base/text.hpp"

namespace provisioner::postgres {
namespace {

using Descriptor = boost::asio::posix::stream_descriptor;

// What every session promises itself. A transaction that waits for us for a second ends: its owner
// is stopped or gone, and others wait for its locks. Statements are planned once: each finds its
// rows by an index whatever its parameters are, and planning costs more than most of them.
constexpr const char* kSessionOptions =
    "-c timezone=UTC -c synchronous_commit=on -c idle_in_transaction_session_timeout=1s "
    "-c client_min_messages=warning -c default_transaction_isolation=read\\ committed "
    "-c lock_timeout=5s -c client_connection_check_interval=1s "
    "-c plan_cache_mode=force_generic_plan -c jit=off";

std::string field(const PGresult* result, int code) {
  const char* text = PQresultErrorField(result, code);
  return text == nullptr ? "" : text;
}

// What libpq says, without its line breaks and the server's source lines.
std::string tidy(std::string_view message) {
  std::string tidied;
  for (const auto line : split(message, '\n')) {
    const auto words = trim(line);
    if (words.empty() || words.starts_with("LOCATION:")) continue;
    if (!tidied.empty()) tidied += "; ";
    tidied += words;
  }
  return tidied;
}

// The SQLSTATE in a verbose message: a failed login has no result to ask for it.
std::string sqlstate_in(const std::string& message) {
  static const std::regex pattern(R"(:\s+(?=[A-Z]*[0-9])([0-9A-Z]{5}): )");
  std::smatch match;
  return std::regex_search(message, match, pattern) ? match[1].str() : "";
}

ErrorKind kind_of_failed_login(std::string_view sqlstate) {
  if (sqlstate.starts_with("28")) return ErrorKind::kDenied;
  if (sqlstate == "3D000" || sqlstate == "42501") return ErrorKind::kInvalid;
  return ErrorKind::kUnavailable;
}

ErrorKind kind_of(std::string_view sqlstate) {
  if (sqlstate == "42501") return ErrorKind::kDenied;          // privileges
  if (sqlstate == "53100") return ErrorKind::kIo;              // disk full
  if (sqlstate.starts_with("58")) return ErrorKind::kIo;       // system error
  if (sqlstate.starts_with("XX")) return ErrorKind::kCorrupt;  // damaged
  if (sqlstate.starts_with("54")) return ErrorKind::kInvalid;  // too large
  for (const std::string_view away : {"08", "25006", "25P03", "40", "53", "55", "57"}) {
    if (sqlstate.starts_with(away)) return ErrorKind::kUnavailable;
  }
  return ErrorKind::kInternal;
}

SqlError error_of(const PGresult* result, const std::string& host) {
  const std::string sqlstate = field(result, PG_DIAG_SQLSTATE);
  std::string message =
      fmt::format("the store's database {}: {} ({})", host, field(result, PG_DIAG_MESSAGE_PRIMARY),
                  sqlstate.empty() ? "-" : sqlstate);
  if (const auto detail = field(result, PG_DIAG_MESSAGE_DETAIL); !detail.empty()) {
    message += fmt::format(": {}", detail);
  }
  return {sqlstate, Error{kind_of(sqlstate), std::move(message)}};
}

bool ends_connection(const PGresult* result) {
  const std::string severity = field(result, PG_DIAG_SEVERITY_NONLOCALIZED);
  return severity == "FATAL" || severity == "PANIC";
}

// A commit whose wait for the stand-by was cancelled reports success, with this warning.
void note_notice(void* unreplicated, const PGresult* notice) {
  if (field(notice, PG_DIAG_SOURCE_FILE) == "syncrep.c") *static_cast<bool*>(unreplicated) = true;
}

}  // namespace

Connection::Connection(const boost::asio::any_io_executor& loop, std::string host)
    : loop_(loop), host_(std::move(host)), alarm_(loop, [this] {
        expired_ = true;
        boost::system::error_code nothing_waits;
        if (socket_) socket_->cancel(nothing_waits);
      }) {}

Connection::~Connection() {
  socket_.reset();
  PQfinish(connection_);
}

Task<std::unique_ptr<Connection>> Connection::open(const boost::asio::any_io_executor& loop,
                                                   const PostgresSettings& settings,
                                                   const PostgresHost& host,
                                                   const std::string& address,
                                                   const std::string& application_name,
                                                   BootInstant deadline) {
  std::unique_ptr<Connection> connection(
      new Connection(loop, fmt::format("{}:{}", host.name, host.port)));
  co_await connection->log_in(settings, host, address, application_name, deadline);
  co_return connection;
}

Task<> Connection::log_in(const PostgresSettings& settings, const PostgresHost& host,
                          const std::string& address, const std::string& application_name,
                          BootInstant deadline) {
  const std::string port = std::to_string(host.port);
  std::vector<const char*> names, values;
  const auto set = [&](const char* name, const std::string& value) {
    if (value.empty()) return;
    names.push_back(name);
    values.push_back(value.c_str());
  };
  const std::string text_of[] = {"1",          "5",      "2", "3", "10000", "UTF8", kSessionOptions,
                                 "read-write", "disable"};
  set("host", host.name);
  set("hostaddr", address);
  set("port", port);
  set("dbname", settings.database);
  set("user", settings.user);
  set("password", settings.password);
  set("sslmode", settings.sslmode);
  set("sslrootcert", settings.sslrootcert);
  set("sslcert", settings.sslcert);
  set("sslkey", settings.sslkey);
  set("application_name", application_name);
  set("keepalives", text_of[0]);
  set("keepalives_idle", text_of[1]);
  set("keepalives_interval", text_of[2]);
  set("keepalives_count", text_of[3]);
  set("tcp_user_timeout", text_of[4]);
  set("client_encoding", text_of[5]);
  set("options", text_of[6]);
  set("target_session_attrs", text_of[7]);
  set("gssencmode", text_of[8]);
  names.push_back(nullptr);
  values.push_back(nullptr);

  connection_ = PQconnectStartParams(names.data(), values.data(), 0);
  if (connection_ == nullptr) throw std::bad_alloc();
  // The server says the SQLSTATE of a refused login only in a verbose message.
  PQsetErrorVerbosity(connection_, PQERRORS_VERBOSE);
  PQsetNoticeReceiver(connection_, note_notice, &unreplicated_);
  const auto refused = [&] {
    broken_ = true;
    const std::string raw = PQerrorMessage(connection_);
    const std::string sqlstate = sqlstate_in(raw);
    throw SqlError(sqlstate, Error{kind_of_failed_login(sqlstate), tidy(raw)});
  };
  if (PQstatus(connection_) == CONNECTION_BAD) refused();

  alarm_.set(deadline);
  auto next = PGRES_POLLING_WRITING;
  while (next != PGRES_POLLING_OK) {
    if (next == PGRES_POLLING_FAILED) refused();
    attach_socket();  // libpq may have opened another one
    co_await wait(next == PGRES_POLLING_READING ? Direction::kRead : Direction::kWrite);
    next = PQconnectPoll(connection_);
  }
  alarm_.clear();
  attach_socket();
  PQsetErrorVerbosity(connection_, PQERRORS_DEFAULT);
  if (PQsetnonblocking(connection_, 1) != 0 || PQenterPipelineMode(connection_) != 1) refused();
}

void Connection::attach_socket() {
  socket_.reset();
  const int fd = ::fcntl(PQsocket(connection_), F_DUPFD_CLOEXEC, 0);
  if (fd < 0) lose(fmt::format("its socket: {}", std::generic_category().message(errno)));
  socket_.emplace(loop_, fd);
}

Task<> Connection::wait(Direction direction) {
  boost::system::error_code why;
  if (!expired_ && !closed_) {
    if (direction == Direction::kBoth) {
      co_await boost::asio::experimental::make_parallel_group(
          socket_->async_wait(Descriptor::wait_read, boost::asio::deferred),
          socket_->async_wait(Descriptor::wait_write, boost::asio::deferred))
          .async_wait(boost::asio::experimental::wait_for_one(), boost::asio::use_awaitable);
    } else {
      co_await socket_->async_wait(
          direction == Direction::kRead ? Descriptor::wait_read : Descriptor::wait_write,
          boost::asio::redirect_error(boost::asio::use_awaitable, why));
    }
  }
  if (closed_) lose("the store is being closed");
  if (expired_) lose("no answer in time");
  if (why) lose(why.message());
}

void Connection::lose(const std::string& why) {
  broken_ = true;
  alarm_.clear();
  throw SqlError(
      "", Error{ErrorKind::kUnavailable, fmt::format("the store's database {}: {}", host_, why)});
}

void Connection::consume_input() {
  if (PQconsumeInput(connection_) != 1) lose(tidy(PQerrorMessage(connection_)));
  while (PGnotify* notify = PQnotifies(connection_)) {
    heard_.push_back({notify->relname, notify->extra});
    PQfreemem(notify);
  }
}

Task<> Connection::flush() {
  for (;;) {
    const int left = PQflush(connection_);
    if (left == 0) co_return;
    if (left < 0) lose(tidy(PQerrorMessage(connection_)));
    // The server may have stopped reading because we do not.
    co_await wait(Direction::kBoth);
    consume_input();
  }
}

Task<std::shared_ptr<pg_result>> Connection::next_result() {
  while (PQisBusy(connection_) != 0) {
    co_await wait(Direction::kRead);
    consume_input();
  }
  std::shared_ptr<pg_result> result(PQgetResult(connection_), PQclear);
  if (!result && PQstatus(connection_) != CONNECTION_OK) lose(tidy(PQerrorMessage(connection_)));
  co_return result;
}

void Connection::send(const Query& query, const std::string& name, bool prepare) {
  std::vector<Oid> types;
  std::vector<const char*> values;
  std::vector<int> lengths, formats;
  for (const Parameter& p : query.parameters()) {
    types.push_back(p.type);
    values.push_back(p.null ? nullptr : p.data());
    lengths.push_back(static_cast<int>(p.size()));
    formats.push_back(p.binary ? 1 : 0);
  }
  const int count = static_cast<int>(types.size());
  if ((prepare &&
       PQsendPrepare(connection_, name.c_str(), query.sql().c_str(), count, types.data()) != 1) ||
      PQsendQueryPrepared(connection_, name.c_str(), count, values.data(), lengths.data(),
                          formats.data(), 1) != 1) {
    lose(tidy(PQerrorMessage(connection_)));
  }
}

Task<std::vector<Rows>> Connection::round_trip(std::span<const Query> queries,
                                               BootInstant deadline) {
  if (broken_) lose("the connection was lost before");
  alarm_.set(deadline);
  unreplicated_ = false;
  // The answers that will come, in order: to a preparation, or to an execution.
  struct Expected {
    const Query* query;
    std::string prepares;  // the name; "" = executes
  };
  std::vector<Expected> expected;
  auto names = std::unordered_map<std::string_view, std::string>();
  for (const Query& query : queries) {
    const auto known = prepared_.find(query.sql());
    const auto [name, fresh] = names.try_emplace(
        query.sql(), known != prepared_.end() ? known->second : fmt::format("s{}", next_name_++));
    const bool prepare = fresh && known == prepared_.end();
    send(query, name->second, prepare);
    if (prepare) expected.push_back({&query, name->second});
    expected.push_back({&query, ""});
  }
  if (PQpipelineSync(connection_) != 1) lose(tidy(PQerrorMessage(connection_)));
  co_await flush();

  std::vector<Rows> answers;
  std::optional<SqlError> failure;
  std::optional<Refusal> refusal;
  std::size_t at = 0;
  for (;;) {
    const auto result = co_await next_result();
    if (!result) continue;
    const auto status = PQresultStatus(result.get());
    if (status == PGRES_PIPELINE_SYNC) break;
    if (at >= expected.size()) lose("it answered more than it was asked");
    const Expected& now = expected[at++];
    if (status == PGRES_PIPELINE_ABORTED) continue;
    if (status == PGRES_FATAL_ERROR || status == PGRES_BAD_RESPONSE) {
      failure = error_of(result.get(), host_);
      for (const auto& [sqlstate, error] : now.query->refusals()) {
        if (sqlstate == failure->sqlstate()) refusal = Refusal(error);
      }
      if (ends_connection(result.get()) || PQstatus(connection_) != CONNECTION_OK) {
        broken_ = true;
        break;
      }
    } else if (!now.prepares.empty()) {
      prepared_.emplace(now.query->sql(), now.prepares);
    } else {
      answers.emplace_back(result);
    }
  }
  alarm_.clear();
  if (refusal) throw *std::move(refusal);
  if (failure) throw *std::move(failure);
  if (unreplicated_) lose("it committed, and gave up waiting for its stand-by");
  co_return answers;
}

Task<> Connection::script(std::string sql, BootInstant deadline) {
  alarm_.set(deadline);
  if (PQexitPipelineMode(connection_) != 1 || PQsendQuery(connection_, sql.c_str()) != 1) {
    lose(tidy(PQerrorMessage(connection_)));
  }
  co_await flush();
  std::optional<SqlError> failure;
  while (const auto result = co_await next_result()) {
    if (PQresultStatus(result.get()) == PGRES_FATAL_ERROR) failure = error_of(result.get(), host_);
  }
  alarm_.clear();
  if (PQenterPipelineMode(connection_) != 1) lose(tidy(PQerrorMessage(connection_)));
  if (failure) throw *std::move(failure);
}

Task<std::vector<Notification>> Connection::notifications(BootInstant deadline) {
  alarm_.set(deadline);
  while (heard_.empty() && !expired_) {
    boost::system::error_code cancelled;
    co_await socket_->async_wait(
        Descriptor::wait_read, boost::asio::redirect_error(boost::asio::use_awaitable, cancelled));
    if (closed_) lose("the store is being closed");
    if (!cancelled) consume_input();
  }
  alarm_.clear();
  expired_ = false;
  co_return std::exchange(heard_, {});
}

bool Connection::hung_up() {
  pollfd look{.fd = PQsocket(connection_), .events = POLLIN, .revents = 0};
  if (broken_) return true;
  if (::poll(&look, 1, 0) == 0) return false;
  // Readable while nothing was asked: a parameter's report, or the last words.
  if (PQconsumeInput(connection_) == 1 && ::poll(&look, 1, 0) == 0 &&
      PQstatus(connection_) == CONNECTION_OK) {
    return false;
  }
  broken_ = true;
  return true;
}

bool Connection::in_transaction() const { return PQtransactionStatus(connection_) != PQTRANS_IDLE; }

void Connection::close() {
  broken_ = true;
  closed_ = true;
  boost::system::error_code nothing_waits;
  if (socket_) socket_->cancel(nothing_waits);
}

int Connection::server_version() const { return PQserverVersion(connection_); }

}  // namespace provisioner::postgres
