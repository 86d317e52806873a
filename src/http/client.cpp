#include "http/client.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <utility>
#include <vector>

#include "http/parser.hpp"
#include "http/wire.hpp"

namespace provisioner::http {
namespace {

constexpr Parser::Limits kLimits{.header_bytes = 64 * 1024, .body_bytes = 256ull * 1024 * 1024};
constexpr std::size_t kReadPiece = 16 * 1024;
constexpr std::size_t kMostErrorBody = 1024 * 1024;  // of a refused stream

// What bind and connect take, for every family.
struct Address {
  int family = 0;
  sockaddr_storage storage{};
  std::size_t length = 0;
};

std::optional<Address> numeric_address(const std::string& host, std::uint16_t port) {
  Address address;
  auto& v4 = reinterpret_cast<sockaddr_in&>(address.storage);
  auto& v6 = reinterpret_cast<sockaddr_in6&>(address.storage);
  if (::inet_pton(AF_INET, host.c_str(), &v4.sin_addr) == 1) {
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    address.family = AF_INET;
    address.length = sizeof v4;
    return address;
  }
  if (::inet_pton(AF_INET6, host.c_str(), &v6.sin6_addr) == 1) {
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    address.family = AF_INET6;
    address.length = sizeof v6;
    return address;
  }
  return std::nullopt;
}

Task<Result<std::vector<Address>>> look_up(const Endpoint& endpoint) {
  if (!endpoint.unix_path.empty()) {
    Address address{.family = AF_UNIX, .length = sizeof(sockaddr_un)};
    auto& un = reinterpret_cast<sockaddr_un&>(address.storage);
    un.sun_family = AF_UNIX;
    if (endpoint.unix_path.size() >= sizeof un.sun_path) {
      co_return fail(ErrorKind::kInvalid, "the path is too long for a unix socket");
    }
    std::memcpy(un.sun_path, endpoint.unix_path.c_str(), endpoint.unix_path.size() + 1);
    co_return std::vector{address};
  }
  if (auto numeric = numeric_address(endpoint.host, endpoint.port)) {
    co_return std::vector{*numeric};
  }
  using boost::asio::ip::tcp;
  tcp::resolver resolver(co_await boost::asio::this_coro::executor);
  boost::system::error_code error;
  const auto found = co_await resolver.async_resolve(
      endpoint.host, std::to_string(endpoint.port),
      boost::asio::redirect_error(boost::asio::use_awaitable, error));
  if (error) {
    co_return fail(ErrorKind::kUnavailable,
                   fmt::format("looking up {}: {}", endpoint.host, error.message()));
  }
  std::vector<Address> addresses;
  for (const auto& entry : found) {
    const tcp::endpoint at = entry.endpoint();
    Address address{.family = at.protocol().family(), .length = at.size()};
    std::memcpy(&address.storage, at.data(), at.size());
    addresses.push_back(address);
  }
  co_return addresses;
}

std::string render(const Request& request, const Endpoint& endpoint) {
  std::string bytes = fmt::format("{} {} HTTP/1.1\r\n", request.method, request.target);
  const auto add = [&](std::string_view name, std::string_view value) {
    bytes.append(name).append(": ");
    for (const char c : value) bytes.push_back(c == '\r' || c == '\n' || c == '\0' ? ' ' : c);
    bytes.append("\r\n");
  };
  if (!request.headers.contains("Host")) {
    const bool is_v6 = endpoint.host.contains(':');
    add("Host", !endpoint.unix_path.empty() ? "localhost"
                : is_v6                     ? fmt::format("[{}]:{}", endpoint.host, endpoint.port)
                                            : fmt::format("{}:{}", endpoint.host, endpoint.port));
  }
  Headers headers = request.headers;
  headers.erase("Content-Length");
  for (const auto& [name, value] : headers) add(name, value);
  if (!request.body.empty() || request.method == "POST" || request.method == "PUT") {
    add("Content-Length", std::to_string(request.body.size()));
  }
  bytes.append("\r\n").append(request.body);
  return bytes;
}

bool is_one_word(std::string_view text) {
  return !text.empty() && std::ranges::none_of(text, [](char c) { return c >= 0 && c <= ' '; });
}

}  // namespace

Result<Endpoint> Endpoint::parse(std::string_view url) {
  const auto wrong = [&](std::string_view why) {
    return fail(
        ErrorKind::kInvalid,
        fmt::format("\"{}\": {}; expected unix:///path, http://host:port or https://host:port", url,
                    why));
  };
  if (url.starts_with("unix://")) {
    const std::string_view path = url.substr(7);
    if (!path.starts_with('/')) return wrong("the path of a unix socket must be absolute");
    return unix_socket(std::string(path));
  }
  const bool tls = url.starts_with("https://");
  if (!tls && !url.starts_with("http://")) return wrong("unknown scheme");
  std::string_view authority = url.substr(tls ? 8 : 7);
  if (authority.ends_with('/')) authority.remove_suffix(1);
  if (authority.find_first_of("/?#@") != std::string_view::npos) {
    return wrong("only host and port may follow the scheme");
  }
  std::string_view host = authority;
  std::string_view port = tls ? "443" : "80";
  if (const auto bracket = authority.find(']'); authority.starts_with('[')) {
    if (bracket == std::string_view::npos) return wrong("']' is missing");
    host = authority.substr(1, bracket - 1);
    const std::string_view rest = authority.substr(bracket + 1);
    if (!rest.empty() && !rest.starts_with(':')) return wrong("a port must follow ']'");
    if (!rest.empty()) port = rest.substr(1);
  } else if (const auto colon = authority.rfind(':'); colon != std::string_view::npos) {
    host = authority.substr(0, colon);
    port = authority.substr(colon + 1);
  }
  if (host.empty()) return wrong("the host is missing");
  std::uint16_t number = 0;
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), number);
  if (error != std::errc() || end != port.data() + port.size() || number == 0) {
    return wrong("the port must be a number from 1 to 65535");
  }
  Endpoint endpoint = tcp(std::string(host), number);
  endpoint.tls = tls;
  return endpoint;
}

std::string Endpoint::to_string() const {
  if (!unix_path.empty()) return "unix://" + unix_path;
  const std::string_view scheme = tls ? "https" : "http";
  return host.contains(':') ? fmt::format("{}://[{}]:{}", scheme, host, port)
                            : fmt::format("{}://{}:{}", scheme, host, port);
}

struct Client::State {
  using OnChunk = std::function<bool(std::string_view)>;

  // One call at a time; a call that does not end well (cancelled, too) leaves no connection.
  struct Call {
    explicit Call(State& s) : state(s) { state.busy = true; }
    ~Call() {
      state.busy = false;
      state.wire.disarm();
      if (!keep) state.wire.close();
    }
    State& state;
    bool keep = false;
  };

  State(const boost::asio::any_io_executor& loop, Endpoint e, std::shared_ptr<const TlsContext> t)
      : endpoint(std::move(e)), tls(std::move(t)), wire(loop) {}

  Task<Result<Response>> exchange(Request request, Duration timeout, OnChunk on_chunk);
  Task<Status> connect();
  Task<Result<Response>> receive(bool is_head, const OnChunk& on_chunk, bool& something_came,
                                 bool& keep_alive);

  Endpoint endpoint;
  std::shared_ptr<const TlsContext> tls;
  Wire wire;
  bool busy = false;
};

namespace {

// Whether a connection that should be silent has been closed, or says something nobody asked for.
bool is_stale(const Wire& wire) {
  char byte = 0;
  const auto size = ::recv(wire.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return size >= 0 || (errno != EAGAIN && errno != EWOULDBLOCK);
}

}  // namespace

Task<Status> Client::State::connect() {
  if (endpoint.tls && !tls) {
    co_return fail(ErrorKind::kInternal, "an https endpoint without TLS settings");
  }
  Result<std::vector<Address>> addresses = co_await look_up(endpoint);
  if (!addresses) co_return std::unexpected(addresses.error());
  Status outcome = fail(ErrorKind::kUnavailable, "the host has no address");
  for (const Address& address : *addresses) {
    outcome = co_await wire.connect(address.family, &address.storage, address.length);
    if (outcome) break;
  }
  if (!outcome && outcome.error().kind == ErrorKind::kIo) {
    outcome.error().kind = ErrorKind::kUnavailable;
  }
  if (outcome && endpoint.tls) {
    outcome = co_await wire.secure(*tls, endpoint.host);
    if (!outcome) wire.close();
  }
  co_return outcome;
}

Task<Result<Response>> Client::State::exchange(Request request, Duration timeout,
                                               OnChunk on_chunk) {
  if (busy) co_return fail(ErrorKind::kInternal, "the client is in the middle of another request");
  if (!is_one_word(request.method) || !is_one_word(request.target)) {
    co_return fail(ErrorKind::kInvalid, "method and target must not be empty or hold spaces");
  }
  Call call(*this);
  const std::string doing =
      fmt::format("{} {} at {}", request.method, request.path(), endpoint.to_string());
  const std::string bytes = render(request, endpoint);
  const bool is_head = request.method == "HEAD";
  wire.arm(timeout);
  for (bool may_repeat = true;; may_repeat = false) {
    if (wire.is_open() && is_stale(wire)) wire.close();
    const bool reused = wire.is_open();
    if (!reused) {
      if (Status connected = co_await connect(); !connected) {
        co_return fail(doing, connected.error());
      }
    }
    // A server may answer and close before it has read everything (413): its answer counts.
    const Status sent = co_await wire.write(bytes);
    bool something_came = false;
    Result<Response> response =
        !sent && sent.error().kind != ErrorKind::kUnavailable
            ? Result<Response>(std::unexpected(sent.error()))
            : co_await receive(is_head, on_chunk, something_came, call.keep);
    if (response) {
      call.keep = call.keep && sent.has_value();
      co_return response;
    }
    call.keep = false;
    Error error = response.error();
    if (error.kind == ErrorKind::kUnavailable) {
      if (reused && !something_came && may_repeat) {
        wire.close();
        continue;
      }
      error.kind = ErrorKind::kAmbiguous;
    }
    co_return fail(doing, std::move(error));
  }
}

Task<Result<Response>> Client::State::receive(bool is_head, const OnChunk& on_chunk,
                                              bool& something_came, bool& keep_alive) {
  std::string unread;
  std::string piece(kReadPiece, '\0');
  for (;;) {  // for each of the interim (1xx) responses, and the one that counts
    bool stopped = false;
    Response* arriving = nullptr;
    Parser::Sink sink;
    if (on_chunk) {
      sink = [&](std::string_view part) {
        if (arriving->status / 100 == 2) {
          if (!stopped) stopped = !on_chunk(part);
        } else if (arriving->body.size() < kMostErrorBody) {
          arriving->body.append(part);
        }
      };
    }
    Parser parser(Parser::Kind::kResponse, kLimits, sink);
    arriving = &parser.response();
    if (is_head) parser.expect_no_body();
    while (!parser.done() && !stopped) {
      if (!unread.empty()) {
        const auto used = parser.put(unread);
        if (!used) co_return fail(ErrorKind::kUnavailable, used.error().message);
        unread.erase(0, *used);
        if (on_chunk && parser.head_done() && arriving->status / 100 == 2) wire.disarm();
        if (parser.done() || stopped) break;
      }
      const Result<std::size_t> size = co_await wire.read_some(piece);
      if (!size) co_return std::unexpected(size.error());
      if (*size == 0) {
        if (!something_came) {
          co_return fail(ErrorKind::kUnavailable, "the connection was closed without an answer");
        }
        if (const auto end = parser.put_end(); !end || !parser.done()) {
          co_return fail(ErrorKind::kUnavailable, "the connection was closed within the answer");
        }
      }
      something_came = true;
      unread.append(piece, 0, *size);
    }
    if (!stopped && arriving->status / 100 == 1) continue;
    keep_alive = !stopped && parser.keep_alive() && unread.empty();
    co_return std::move(parser.response());
  }
}

Client::Client(boost::asio::any_io_executor loop, Endpoint endpoint,
               std::shared_ptr<const TlsContext> tls)
    : state_(std::make_shared<State>(loop, std::move(endpoint), std::move(tls))) {}

Client::~Client() { state_->wire.close(); }

// The coroutines hold the state: a Client may be destroyed while a call is under way.
Task<Result<Response>> Client::send(Request request, Duration timeout) {
  const std::shared_ptr<State> state = state_;
  co_return co_await state->exchange(std::move(request), timeout, nullptr);
}

Task<Result<Response>> Client::stream(Request request, Duration timeout,
                                      std::function<bool(std::string_view)> on_chunk) {
  const std::shared_ptr<State> state = state_;
  co_return co_await state->exchange(std::move(request), timeout, std::move(on_chunk));
}

}  // namespace provisioner::http
