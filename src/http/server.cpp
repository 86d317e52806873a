#include "http/server.hpp"

#include <fmt/format.h>

#include <array>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <exception>
#include <set>
#include <utility>
#include <vector>

#include "http/listener.hpp"
#include "http/parser.hpp"
#include "http/wire.hpp"
#include "runtime/first_of.hpp"
#include "runtime/signal.hpp"

namespace provisioner::http {
namespace {

constexpr std::size_t kReadPiece = 16 * 1024;
constexpr std::size_t kProgress = 256 * 1024;
// Who has just connected when the server stops is about to send its request.
constexpr std::chrono::milliseconds kFirstRequest{500};

enum class Phase { kWaiting, kReceiving, kAnswering };

// A value from a handler must not be able to end its header line.
void append_header(std::string& head, std::string_view name, std::string_view value) {
  head.append(name).append(": ");
  for (const char c : value) head.push_back(c == '\r' || c == '\n' || c == '\0' ? ' ' : c);
  head.append("\r\n");
}

bool is_same_name(std::string_view a, std::string_view b) {
  return !HeaderLess()(a, b) && !HeaderLess()(b, a);
}

bool may_have_body(int status) { return status >= 200 && status != 204 && status != 304; }

std::string render_head(const Response& response, bool keep_alive, bool chunked) {
  std::string head =
      fmt::format("HTTP/1.1 {} {}\r\n", response.status, reason_phrase(response.status));
  for (const auto& [name, value] : response.headers) {
    // The framing is the server's business.
    if (is_same_name(name, "Content-Length")) continue;
    append_header(head, name, value);
  }
  if (chunked) {
    head.append("Transfer-Encoding: chunked\r\n");
  } else if (!response.stream && may_have_body(response.status)) {
    head.append(fmt::format("Content-Length: {}\r\n", response.body.size()));
  }
  head.append(keep_alive ? "Connection: keep-alive\r\n\r\n" : "Connection: close\r\n\r\n");
  return head;
}

}  // namespace

struct Server::State : std::enable_shared_from_this<Server::State> {
  struct Connection {
    explicit Connection(const boost::asio::any_io_executor& loop) : wire(loop), leave(loop) {}
    Wire wire;
    Phase phase = Phase::kWaiting;
    bool is_fresh = true;  // it has not brought a request yet
    boost::asio::cancellation_signal cancel;
    Signal leave;  // ends a stream without an end
    std::optional<PeerCredentials> peer;
    std::string remote_address;
    std::shared_ptr<const TlsContext> tls;  // nothing: in plain
    std::string unread;                     // received, not yet part of a message
  };
  using ConnectionPtr = std::shared_ptr<Connection>;

  State(boost::asio::any_io_executor l, Handler h, ServerLimits m, ReportBug r)
      : loop(std::move(l)),
        handler(std::move(h)),
        limits(m),
        report_bug(std::move(r)),
        connection_ended(loop) {}

  void start(Listener listener, bool speaks_tls = false);
  void accept_the_waiting();
  void close_listeners();
  Task<> accept_from(std::shared_ptr<Listener> listener, bool speaks_tls);
  void begin(Accepted accepted, bool speaks_tls);
  Task<> converse(ConnectionPtr connection);
  Task<std::expected<std::optional<Request>, ParseFailure>> receive(Connection& connection,
                                                                    bool& keep_alive,
                                                                    bool& http_10);
  Task<Response> answer(Request request, bool& broken);
  Task<bool> send(Connection& connection, Response response, bool keep_alive, bool is_head,
                  bool http_10);
  Task<bool> send_stream(Connection& connection, Response response, bool chunked);

  boost::asio::any_io_executor loop;
  Handler handler;
  ServerLimits limits;
  ReportBug report_bug;
  std::shared_ptr<const TlsContext> tls;  // of the listeners that speak it
  struct Listening {
    std::shared_ptr<Listener> listener;
    bool speaks_tls = false;
  };
  std::vector<Listening> listeners;
  std::set<ConnectionPtr> connections;
  Signal connection_ended;
  bool keeps_alive = true;
  bool stopping = false;
};

void Server::State::start(Listener listener, bool speaks_tls) {
  listeners.push_back({std::make_shared<Listener>(std::move(listener)), speaks_tls});
  boost::asio::co_spawn(
      loop,
      [](std::shared_ptr<State> self, std::shared_ptr<Listener> accepting, bool tls) -> Task<> {
        co_await self->accept_from(std::move(accepting), tls);
      }(shared_from_this(), listeners.back().listener, speaks_tls),
      boost::asio::detached);
}

void Server::State::accept_the_waiting() {
  for (const auto& [listener, speaks_tls] : listeners) {
    for (auto accepted = listener->accept(); accepted && *accepted; accepted = listener->accept()) {
      begin(std::move(**accepted), speaks_tls);
    }
  }
}

void Server::State::close_listeners() {
  stopping = true;
  keeps_alive = false;
  for (const auto& [listener, speaks_tls] : listeners) listener->close();
  listeners.clear();
  connection_ended.notify();
}

Task<> Server::State::accept_from(std::shared_ptr<Listener> listener, bool speaks_tls) {
  while (!stopping) {
    while (connections.size() >= limits.connections && !stopping) co_await connection_ended.wait();
    if (stopping || !co_await listener->wait()) co_return;
    Result<std::optional<Accepted>> accepted = listener->accept();
    if (!accepted) {
      // Out of descriptors: the ones in use will come back; asking at once again would spin.
      boost::asio::steady_timer pause(loop, std::chrono::milliseconds(100));
      boost::system::error_code ended_early;
      co_await pause.async_wait(
          boost::asio::redirect_error(boost::asio::use_awaitable, ended_early));
    } else if (*accepted) {
      begin(std::move(**accepted), speaks_tls);
    }
  }
}

void Server::State::begin(Accepted accepted, bool speaks_tls) {
  auto connection = std::make_shared<Connection>(loop);
  connection->peer = accepted.peer;
  connection->remote_address = std::move(accepted.remote_address);
  if (speaks_tls) connection->tls = tls;
  if (!connection->wire.adopt(accepted.fd, accepted.family)) return;  // the descriptor is closed
  connections.insert(connection);
  boost::asio::co_spawn(
      loop,
      [](std::shared_ptr<State> self, ConnectionPtr c) -> Task<> {
        co_await self->converse(std::move(c));
      }(shared_from_this(), connection),
      boost::asio::bind_cancellation_slot(
          connection->cancel.slot(), [self = shared_from_this(), connection](std::exception_ptr) {
            // What ends here by an exception was cancelled: handlers' own are caught where they
            // are called.
            connection->wire.close();
            self->connections.erase(connection);
            self->connection_ended.notify();
          }));
}

Task<> Server::State::converse(ConnectionPtr connection) {
  if (connection->tls) {
    connection->wire.arm(limits.handshake);
    if (!co_await connection->wire.secure(*connection->tls, "")) co_return;
  }
  bool keep_alive = true;
  while (keep_alive && !stopping) {
    connection->phase = Phase::kWaiting;
    bool http_10 = false;
    auto request = co_await receive(*connection, keep_alive, http_10);
    if (!request) {
      Response refusal = text_response(request.error().status, request.error().message + "\n");
      if (co_await send(*connection, std::move(refusal), false, false, http_10)) {
        co_await connection->wire.linger();
      }
      co_return;
    }
    if (!*request) co_return;  // gone, silent for too long, or between two requests at the end
    connection->phase = Phase::kAnswering;
    connection->is_fresh = false;
    connection->wire.disarm();
    const bool is_head = (*request)->method == "HEAD";
    bool broken = false;
    Response response = co_await answer(std::move(**request), broken);
    if (broken || !keeps_alive || response.headers.contains("Connection")) keep_alive = false;
    response.headers.erase("Connection");
    if (!co_await send(*connection, std::move(response), keep_alive, is_head, http_10)) co_return;
    if (!keep_alive) co_await connection->wire.linger();
  }
}

Task<std::expected<std::optional<Request>, ParseFailure>> Server::State::receive(
    Connection& connection, bool& keep_alive, bool& http_10) {
  Parser parser(Parser::Kind::kRequest, {limits.header_bytes, limits.body_bytes});
  std::string piece(kReadPiece, '\0');
  std::size_t since_armed = 0;
  bool continued = false;
  connection.wire.arm(limits.idle);
  for (;;) {
    if (!connection.unread.empty()) {
      const auto used = parser.put(connection.unread);
      if (!used) co_return std::unexpected(used.error());
      connection.unread.erase(0, *used);
    }
    if (parser.done()) {
      keep_alive = parser.keep_alive();
      http_10 = parser.is_http_10();
      parser.request().peer = connection.peer;
      parser.request().remote_address = connection.remote_address;
      parser.request().is_encrypted = connection.tls != nullptr;
      co_return std::move(parser.request());
    }
    if (parser.head_done() && !continued) {
      continued = true;
      if (parser.request().header("Expect") == "100-continue" && !parser.is_http_10()) {
        if (!co_await connection.wire.write("HTTP/1.1 100 Continue\r\n\r\n")) {
          co_return std::nullopt;
        }
      }
    }
    const Result<std::size_t> size = co_await connection.wire.read_some(piece);
    if (size && *size > 0) connection.phase = Phase::kReceiving;
    const bool begun = parser.started() || !connection.unread.empty();
    if (!size) {
      if (begun && size.error().kind == ErrorKind::kTimeout) {
        co_return std::unexpected(ParseFailure{408, "the request did not arrive in time"});
      }
      co_return std::nullopt;
    }
    if (*size == 0) {
      if (begun) co_return std::unexpected(ParseFailure{400, "the request ends too early"});
      co_return std::nullopt;
    }
    connection.unread.append(piece, 0, *size);
    since_armed += *size;
    if (parser.head_done() && since_armed >= kProgress) {
      since_armed = 0;
      connection.wire.arm(limits.idle);
    }
  }
}

Task<Response> Server::State::answer(Request request, bool& broken) {
  std::string what;
  try {
    co_return co_await handler(std::move(request));
  } catch (const std::exception& e) {
    what = e.what();
  } catch (...) {
    what = "not a std::exception";
  }
  broken = true;
  const auto cancelled = (co_await boost::asio::this_coro::cancellation_state).cancelled();
  if (report_bug && cancelled == boost::asio::cancellation_type::none) {
    report_bug("a request's handler threw: " + what);
  }
  co_return text_response(500, "internal error\n");
}

Task<bool> Server::State::send(Connection& connection, Response response, bool keep_alive,
                               bool is_head, bool http_10) {
  if (response.stream && !is_head) {
    // Before HTTP/1.1 only the end of the connection can mark the end of a stream.
    const bool chunked = !http_10;
    const std::string head = render_head(response, keep_alive && chunked, chunked);
    if (!co_await connection.wire.write(head, limits.idle)) co_return false;
    const bool whole = co_await send_stream(connection, std::move(response), chunked);
    co_return whole&& chunked;
  }
  std::string bytes = render_head(response, keep_alive, false);
  if (!is_head && may_have_body(response.status)) {
    if (response.body.size() <= kReadPiece) {
      bytes.append(response.body);
    } else {
      if (!co_await connection.wire.write(bytes, limits.idle)) co_return false;
      bytes = std::move(response.body);
    }
  }
  co_return (co_await connection.wire.write(bytes, limits.idle)).has_value();
}

Task<bool> Server::State::send_stream(Connection& connection, Response response, bool chunked) {
  bool broken = false;
  const WriteChunk write = [&](std::string_view piece) -> Task<Status> {
    if (piece.empty()) co_return Status{};
    std::string framed =
        chunked ? fmt::format("{:x}\r\n{}\r\n", piece.size(), piece) : std::string(piece);
    // A write that is cancelled leaves half a piece: nothing may follow it.
    broken = true;
    Status sent = co_await connection.wire.write(framed, limits.idle);
    if (sent) {
      broken = false;
      connection.wire.disarm();  // the stream may be silent for as long as it likes
    }
    co_return sent;
  };
  connection.wire.disarm();
  std::string what;
  bool left = false;
  try {
    if (response.farewell) {
      if (stopping) connection.leave.notify();
      left = co_await first_of(response.stream(write), connection.leave.wait()) == 1;
    } else {
      co_await response.stream(write);
    }
  } catch (const std::exception& e) {
    what = e.what();
  } catch (...) {
    what = "not a std::exception";
  }
  const auto cancelled = (co_await boost::asio::this_coro::cancellation_state).cancelled();
  if (cancelled != boost::asio::cancellation_type::none) co_return false;
  if (!what.empty()) {
    if (report_bug) report_bug("a response's stream threw: " + what);
    co_return false;
  }
  if (left && !broken) {
    if (response.farewell->empty()) co_return false;
    co_await write(*response.farewell);
  }
  if (broken) co_return false;
  if (!chunked) co_return true;
  co_return (co_await connection.wire.write("0\r\n\r\n", limits.idle)).has_value();
}

Server::Server(boost::asio::any_io_executor loop, Handler handler, ServerLimits limits,
               ReportBug report_bug)
    : state_(std::make_shared<State>(std::move(loop), std::move(handler), limits,
                                     std::move(report_bug))) {}

Server::~Server() {
  state_->close_listeners();
  const auto connections = state_->connections;  // each erases itself when it has ended
  for (const auto& connection : connections) {
    connection->wire.close();
    connection->cancel.emit(boost::asio::cancellation_type::terminal);
  }
}

Result<std::uint16_t> Server::listen_tcp(const std::string& host, std::uint16_t port,
                                         std::shared_ptr<const TlsContext> tls) {
  Result<Listener> listener = Listener::tcp(state_->loop, host, port);
  if (!listener) return std::unexpected(listener.error());
  const std::uint16_t bound = listener->port();
  const bool speaks_tls = tls != nullptr;
  if (speaks_tls) renew_tls(std::move(tls));
  state_->start(std::move(*listener), speaks_tls);
  return bound;
}

void Server::renew_tls(std::shared_ptr<const TlsContext> tls) { state_->tls = std::move(tls); }

Status Server::listen_unix(const std::filesystem::path& path, unsigned mode) {
  Result<Listener> listener = Listener::unix_socket(state_->loop, path, mode);
  if (!listener) return std::unexpected(listener.error());
  state_->start(std::move(*listener));
  return {};
}

void Server::end_keep_alive() { state_->keeps_alive = false; }

Task<> Server::drain() {
  const std::shared_ptr<State> state = state_;
  // Who was connected by the kernel would otherwise be cut off with its request.
  state->accept_the_waiting();
  state->close_listeners();
  const auto connections = state->connections;
  for (const auto& connection : connections) {
    connection->leave.notify();
    if (connection->phase != Phase::kWaiting || connection->wire.has_arrived()) continue;
    if (connection->is_fresh) {
      connection->wire.arm(kFirstRequest);
    } else {
      connection->wire.close();
    }
  }
  while (!state->connections.empty()) co_await state->connection_ended.wait();
}

}  // namespace provisioner::http
