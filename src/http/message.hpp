// Requests and responses as values, the same for server and client.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "runtime/task.hpp"

namespace provisioner::http {

// Header names compare without case.
struct HeaderLess {
  using is_transparent = void;
  bool operator()(std::string_view a, std::string_view b) const;
};
using Headers = std::map<std::string, std::string, HeaderLess>;

// Who is at the other end of a unix socket (SO_PEERCRED).
struct PeerCredentials {
  std::int64_t uid = -1;
  std::int64_t gid = -1;
  std::int64_t pid = -1;
  std::vector<std::int64_t> groups;  // the supplementary ones (SO_PEERGROUPS)
};

struct Request {
  std::string method = "GET";  // any token: LOCK and UNLOCK too
  std::string target = "/";    // path and query, still encoded
  Headers headers;
  std::string body;
  std::optional<PeerCredentials> peer;  // server side, unix sockets only
  std::string remote_address;           // server side, TCP only: "127.0.0.1", "::1"
  bool is_encrypted = false;            // server side: it came over TLS

  std::string path() const;                                       // decoded, without the query
  std::optional<std::string> query(std::string_view name) const;  // decoded
  std::string header(std::string_view name) const;                // "" when absent
};

// Sends one piece of a streamed body; an error means that the other end is gone.
using WriteChunk = std::function<Task<Status>(std::string_view chunk)>;

struct Response {
  int status = 200;
  Headers headers;
  std::string body;
  // Instead of `body`: called after the head was sent; returning ends the body.
  std::function<Task<>(WriteChunk)> stream;
  // Of a stream without an end, which is cancelled when the server stops: its last words, after
  // which the body ends in good order. "" = none, and the connection is cut: the reader knows that
  // there was more. Nothing: a stopping server lets the stream come to its end.
  std::optional<std::string> farewell;
};

Response text_response(int status, std::string body);
Response json_response(int status, std::string json);

// Escapes what may not stand in a path segment or a query value: "a/b c" -> "a%2Fb%20c".
std::string encode_component(std::string_view text);

std::string_view reason_phrase(int status);  // "Not Found"; "Status" for an unknown one

}  // namespace provisioner::http
