// An HTTP/1.1 client on the loop.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "base/time.hpp"
#include "http/message.hpp"
#include "runtime/task.hpp"

namespace provisioner::http {

// Where to: a unix socket's path, or host and port.
struct Endpoint {
  std::string unix_path;  // not empty: a unix socket
  std::string host;
  std::uint16_t port = 0;

  static Endpoint unix_socket(std::string path) { return {std::move(path), "", 0}; }
  static Endpoint tcp(std::string host, std::uint16_t port) { return {"", std::move(host), port}; }
  // "unix:///run/x.sock", "http://127.0.0.1:8080". https comes with TLS.
  static Result<Endpoint> parse(std::string_view url);
};

// Keeps one connection alive between calls and reconnects when it was closed meanwhile. One request
// at a time. Errors: kUnavailable when the connection could not be made (nothing was sent),
// kAmbiguous when it broke after sending, kTimeout. A status such as 404 is a Response, no error.
class Client {
 public:
  Client(boost::asio::any_io_executor loop, Endpoint endpoint);
  ~Client();

  Task<Result<Response>> send(Request request, Duration timeout);

  // Hands the body over piece by piece as it arrives, for logs and server-sent events; the returned
  // Response has no body. `timeout` bounds the wait for the head only. `on_chunk` returns false to stop.
  Task<Result<Response>> stream(Request request, Duration timeout,
                                std::function<bool(std::string_view)> on_chunk);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace provisioner::http
