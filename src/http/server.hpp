// An HTTP/1.1 server on the loop: connections, limits and keep-alive; no routes.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "base/error.hpp"
#include "http/message.hpp"
#include "http/tls.hpp"
#include "runtime/task.hpp"

namespace provisioner::http {

using Handler = std::function<Task<Response>(Request)>;

struct ServerLimits {
  std::uint64_t header_bytes = 64 * 1024;
  std::uint64_t body_bytes = 96ull * 1024 * 1024;  // a 64 MB bundle or a large state, with room
  std::size_t connections = 1024;                  // more wait in the kernel's queue
  // Ends a connection that waits for its next request, brings its header too slowly, or moves less
  // than 256 KiB of a body in this time.
  std::chrono::milliseconds idle{60'000};
  std::chrono::milliseconds handshake{10'000};  // for TLS to begin
};

// Owns its listeners and connections. Sockets are CLOEXEC. A handler that throws is a bug: the
// client gets 500, the connection is closed, and `report_bug` is told. Requests of one connection
// are handled one after the other, those of several at the same time. Loop only.
//
// What the handler refers to must outlive drain(), or the loop's last step.
class Server {
 public:
  using ReportBug = std::function<void(const std::string& what)>;

  Server(boost::asio::any_io_executor loop, Handler handler, ServerLimits limits = {},
         ReportBug report_bug = nullptr);
  ~Server();  // closes everything at once and cancels the handlers

  // Port 0 picks a free one. Returns the port. kConflict: the address is in use (names it). Looks
  // up a host name, so it may block: for the start of a program. With `tls`, of the role kServer,
  // nothing but TLS is spoken there.
  Result<std::uint16_t> listen_tcp(const std::string& host, std::uint16_t port,
                                   std::shared_ptr<const TlsContext> tls = nullptr);

  // What new connections get from now on where TLS is spoken; the others keep what they have.
  void renew_tls(std::shared_ptr<const TlsContext> tls);

  // Replaces a stale socket file; the file gets `mode` before anybody can connect. The caller knows
  // that no other daemon lives. kConflict when something else than a socket stands there. The file
  // is removed at the end.
  Status listen_unix(const std::filesystem::path& path, unsigned mode);

  // From now on each answer is the last of its connection, which load balancers and clients are
  // told. Listeners stay open.
  void end_keep_alive();

  // Closes the listeners and idle connections, ends streams without an end (Response::farewell),
  // and returns when all requests in flight have been answered, also those that had just arrived.
  // The caller races it against its deadline.
  Task<> drain();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace provisioner::http
