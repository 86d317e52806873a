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
#include "runtime/task.hpp"

namespace provisioner::http {

using Handler = std::function<Task<Response>(Request)>;

struct ServerLimits {
  std::uint64_t header_bytes = 64 * 1024;
  std::uint64_t body_bytes = 96ull * 1024 * 1024;  // a 64 MB bundle or a large state, with room
  std::chrono::seconds idle{60};
};

// Owns its listeners and connections. Sockets are CLOEXEC. A handler that throws is a bug: the
// client gets 500 and the connection is closed.
class Server {
 public:
  Server(boost::asio::any_io_executor loop, Handler handler, ServerLimits limits = {});
  ~Server();  // closes everything at once

  // Port 0 picks a free one. Returns the port. kConflict: the address is in use (names it).
  Result<std::uint16_t> listen_tcp(const std::string& host, std::uint16_t port);

  // Replaces a stale socket file; the file gets `mode`. The caller knows that no other daemon lives.
  Status listen_unix(const std::filesystem::path& path, unsigned mode);

  // Closes the listeners, lets requests in flight finish until `deadline` on the given clock's
  // terms is over (the caller races this Task against its deadline), then returns.
  Task<> drain();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace provisioner::http
