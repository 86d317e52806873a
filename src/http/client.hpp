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
#include "http/tls.hpp"
#include "runtime/task.hpp"

namespace provisioner::http {

// Where to: a unix socket's path, or host and port, with or without TLS.
struct Endpoint {
  std::string unix_path;  // not empty: a unix socket
  std::string host;
  std::uint16_t port = 0;
  bool tls = false;

  static Endpoint unix_socket(std::string path) { return {std::move(path), "", 0, false}; }
  static Endpoint tcp(std::string host, std::uint16_t port) {
    return {"", std::move(host), port, false};
  }
  // "unix:///run/x.sock", "http://127.0.0.1:8080", "https://etcd-1:2379".
  static Result<Endpoint> parse(std::string_view url);

  std::string to_string() const;  // as parse() reads it
};

// Keeps one connection alive between calls. When a kept connection turns out to be closed before
// anything of the reply has arrived, the request is sent once more over a new one. One request at a
// time (kInternal else); cancelling a call closes the connection. Loop only.
// Errors: kUnavailable when the connection could not be made (nothing was sent), kAmbiguous when it
// broke after sending, kTimeout (a slow look-up of a host's name can overrun it). A status such as
// 404 is a Response, no error.
class Client {
 public:
  // `tls` is needed for an endpoint with TLS and not looked at for others.
  Client(boost::asio::any_io_executor loop, Endpoint endpoint,
         std::shared_ptr<const TlsContext> tls = nullptr);
  ~Client();

  Task<Result<Response>> send(Request request, Duration timeout);

  // Hands the body of a 2xx reply over piece by piece as it arrives, for logs and server-sent
  // events; the returned Response then has no body. Others come whole, as from send(). `timeout`
  // bounds the wait for the head only. `on_chunk` returns false to stop.
  Task<Result<Response>> stream(Request request, Duration timeout,
                                std::function<bool(std::string_view)> on_chunk);

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace provisioner::http
