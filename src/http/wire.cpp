#include "http/wire.hpp"

#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <cstring>
#include <utility>

namespace provisioner::http {
namespace {

using Socket = TlsStream::Socket;

constexpr std::size_t kWritePiece = 256 * 1024;
constexpr Duration kLinger = std::chrono::seconds(2);

}  // namespace

struct Wire::State {
  explicit State(const boost::asio::any_io_executor& loop) : socket(loop), limit(loop) {}

  Error describe(std::string_view doing, const boost::system::error_code& error) const {
    if (timed_out) return {ErrorKind::kTimeout, fmt::format("{}: no progress in time", doing)};
    if (error == boost::asio::error::operation_aborted) {
      return {ErrorKind::kCancelled, fmt::format("{}: cancelled", doing)};
    }
    return {ErrorKind::kUnavailable, fmt::format("{}: {}", doing, error.message())};
  }

  Task<std::size_t> read(boost::asio::mutable_buffer to, boost::system::error_code& error) {
    if (const auto secured = tls) co_return co_await secured->read_some(to, error);
    co_return co_await socket.async_read_some(
        to, boost::asio::redirect_error(boost::asio::use_awaitable, error));
  }

  Task<std::size_t> write(boost::asio::const_buffer from, boost::system::error_code& error) {
    if (const auto secured = tls) co_return co_await secured->write_some(from, error);
    co_return co_await socket.async_write_some(
        from, boost::asio::redirect_error(boost::asio::use_awaitable, error));
  }

  Socket socket;
  std::shared_ptr<TlsStream> tls;  // whoever waits in it keeps it
  boost::asio::steady_timer limit;
  std::uint64_t armed = 0;  // counts arm() and disarm(): an expiry of before is not one of now
  bool timed_out = false;
};

Wire::Wire(const boost::asio::any_io_executor& loop) : state_(std::make_shared<State>(loop)) {}

Wire::~Wire() { close(); }

Status Wire::adopt(int fd, int family) {
  state_->tls.reset();
  boost::system::error_code error;
  state_->socket.assign(boost::asio::generic::stream_protocol(family, 0), fd, error);
  if (error) {
    ::close(fd);
    return fail(ErrorKind::kIo, "watching a socket: " + error.message());
  }
  if (family != AF_UNIX) {
    // Answers are written whole: waiting for more to send would only delay them.
    const int on = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
  return {};
}

Task<Status> Wire::connect(int family, const void* address, std::size_t length) {
  // The socket's own connect is not used: on a unix socket whose queue is full it takes EAGAIN for
  // "under way" and then for "connected".
  close();
  const int fd = ::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) co_return fail_errno("opening a socket", errno);
  if (Status adopted = adopt(fd, family); !adopted) co_return adopted;
  const std::shared_ptr<State> state = state_;
  while (!state->timed_out) {
    if (::connect(fd, static_cast<const sockaddr*>(address), static_cast<socklen_t>(length)) == 0) {
      co_return Status{};
    }
    const int cause = errno;
    boost::system::error_code error;
    if (cause == EAGAIN) {
      boost::asio::steady_timer pause(state->socket.get_executor(), std::chrono::milliseconds(5));
      co_await pause.async_wait(boost::asio::redirect_error(boost::asio::use_awaitable, error));
      if (!error && state->socket.is_open()) continue;
      co_return std::unexpected(
          state->describe("connecting", boost::asio::error::operation_aborted));
    }
    if (cause == EINTR) continue;
    if (cause == EISCONN) co_return Status{};
    if (cause != EINPROGRESS && cause != EALREADY) {
      co_return fail(ErrorKind::kUnavailable, fmt::format("connecting: {}", std::strerror(cause)));
    }
    co_await state->socket.async_wait(
        Socket::wait_write, boost::asio::redirect_error(boost::asio::use_awaitable, error));
    if (error) co_return std::unexpected(state->describe("connecting", error));
    int outcome = 0;
    socklen_t size = sizeof outcome;
    ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &outcome, &size);
    if (outcome != 0) {
      co_return fail(ErrorKind::kUnavailable,
                     fmt::format("connecting: {}", std::strerror(outcome)));
    }
    co_return Status{};
  }
  co_return std::unexpected(state->describe("connecting", {}));
}

Task<Status> Wire::secure(const TlsContext& tls, const std::string& peer) {
  const std::shared_ptr<State> state = state_;
  if (state->timed_out) {
    co_return std::unexpected(state->describe("TLS", boost::asio::error::operation_aborted));
  }
  const std::shared_ptr<TlsStream> stream = tls.wrap(state->socket, peer);
  state->tls = stream;
  Status done = co_await stream->handshake();
  if (!done && state->timed_out) co_return std::unexpected(state->describe("TLS", {}));
  co_return done;
}

bool Wire::is_open() const { return state_->socket.is_open(); }

int Wire::native_handle() const { return state_->socket.native_handle(); }

bool Wire::has_arrived() const {
  pollfd look{.fd = native_handle(), .events = POLLIN, .revents = 0};
  return is_open() && ::poll(&look, 1, 0) > 0;
}

void Wire::close() {
  boost::system::error_code closing_cannot_fail_usefully;
  state_->socket.close(closing_cannot_fail_usefully);
}

void Wire::arm(Duration limit) {
  state_->timed_out = false;
  state_->limit.expires_after(limit);
  state_->limit.async_wait([weak = std::weak_ptr<State>(state_),
                            mine = ++state_->armed](const boost::system::error_code& error) {
    const auto state = weak.lock();
    if (error || !state || state->armed != mine) return;
    state->timed_out = true;
    boost::system::error_code nothing_was_waiting;
    state->socket.cancel(nothing_was_waiting);
  });
}

void Wire::disarm() {
  ++state_->armed;
  state_->timed_out = false;
  state_->limit.cancel();
}

Task<Result<std::size_t>> Wire::read_some(std::span<char> buffer) {
  const std::shared_ptr<State> state = state_;
  boost::system::error_code error;
  if (state->timed_out) error = boost::asio::error::operation_aborted;
  std::size_t size = 0;
  if (!error) {
    size = co_await state->read(boost::asio::buffer(buffer.data(), buffer.size()), error);
  }
  if (error == boost::asio::error::eof) co_return std::size_t{0};
  if (error) co_return std::unexpected(state->describe("receiving", error));
  co_return size;
}

Task<Status> Wire::write(std::string_view bytes, Duration stall) {
  const std::shared_ptr<State> state = state_;
  std::size_t until_armed = 0;
  while (!bytes.empty()) {
    if (until_armed == 0) {
      until_armed = kWritePiece;
      if (stall > Duration::zero()) arm(stall);
    }
    boost::system::error_code error;
    if (state->timed_out) error = boost::asio::error::operation_aborted;
    std::size_t size = 0;
    if (!error) {
      size = co_await state->write(
          boost::asio::buffer(bytes.data(), std::min(bytes.size(), until_armed)), error);
    }
    if (error) co_return std::unexpected(state->describe("sending", error));
    bytes.remove_prefix(size);
    until_armed -= size;
  }
  co_return Status{};
}

Task<> Wire::linger() {
  const std::shared_ptr<State> state = state_;
  boost::system::error_code peer_is_gone;
  arm(kLinger);
  if (const auto secured = state->tls) co_await secured->close();
  state->socket.shutdown(Socket::shutdown_send, peer_is_gone);
  std::array<char, 4096> unread;
  for (;;) {
    const Result<std::size_t> size = co_await read_some(unread);
    if (!size || *size == 0) break;
  }
  disarm();
}

}  // namespace provisioner::http
