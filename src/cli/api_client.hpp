// The daemon's API, one blocking call at a time: what a command line needs.
#pragma once

#include <boost/asio/io_context.hpp>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "base/time.hpp"
#include "http/client.hpp"

namespace provisioner::cli {

struct ApiAddress {
  http::Endpoint endpoint;
  std::string token;                            // "" = none
  std::string shown;                            // for messages: the socket's path or the URL
  std::shared_ptr<const http::TlsContext> tls;  // of https
  std::string traceparent;  // of all that this command asks for; "" = each is its own
};

// Flags that say where the daemon is; "" = not given. There is none for the token itself: every
// process of the machine may read the arguments of the others.
struct RemoteOptions {
  std::string server, token_file, ca, cert, key;
};

// --server or PROVISIONER_URL with PROVISIONER_TOKEN or what the token file holds, else
// $PROVISIONER_STATE_DIR/provisioner.sock, which knows its peer and needs no token. kInvalid: no
// address, no token, no certificate; names the flag or variable, or the file.
// One trace for the command: that of TRACEPARENT in the environment, if it is one, else a new one.
Result<ApiAddress> find_api(const std::map<std::string, std::string>& environment,
                            const RemoteOptions& options = {});

// Not thread-safe. Errors: kUnavailable when the daemon cannot be reached (says where it was looked
// for and how to start it); an error answer of the daemon becomes an Error of the fitting kind with
// the answer's own sentence.
class ApiClient {
 public:
  explicit ApiClient(ApiAddress address);

  // The body of a successful answer.
  Result<std::string> get(const std::string& target);
  // Given up when the daemon says nothing for `patience`.
  Result<std::string> send(const std::string& method, const std::string& target,
                           const std::string& json_body = "",
                           Duration patience = std::chrono::seconds(60));

  // Follows server-sent events until `on_event(name, id, data)` returns false or the daemon ends
  // the stream. `on_second`, if there is one, is called each second meanwhile. Interrupted by
  // SIGINT: kCancelled.
  Status follow(const std::string& target,
                const std::function<bool(std::string_view name, std::string_view id,
                                         std::string_view data)>& on_event,
                const std::function<void()>& on_second = nullptr);

 private:
  Result<http::Response> call(http::Request request, Duration patience);
  http::Request request(const std::string& method, const std::string& target) const;

  ApiAddress address_;
  boost::asio::io_context loop_{1};
  http::Client client_;
};

}  // namespace provisioner::cli
