// Bytes to messages: Beast's parser behind a small face, so that one file alone pays for compiling
// it. Inner to the room.
#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "http/message.hpp"

namespace provisioner::http {

struct ParseFailure {
  int status = 400;     // what a server answers: 400, 413 or 431
  std::string message;  // a sentence for the peer
};

// Reads one message, handed over in pieces of any size. Not reusable for the next message.
class Parser {
 public:
  enum class Kind { kRequest, kResponse };
  struct Limits {
    std::uint64_t header_bytes = 0;
    std::uint64_t body_bytes = 0;  // of the body in all; not applied with a `sink`
  };
  // Takes a piece of the body instead of collecting it.
  using Sink = std::function<void(std::string_view)>;

  Parser(Kind kind, Limits limits, Sink sink = nullptr);
  ~Parser();
  Parser(Parser&&) noexcept;

  // The answer to a HEAD request has no body, whatever its header says. Call before put().
  void expect_no_body();

  // How many of the bytes were used. What remains has to be presented again with more behind it,
  // or, once done(), is the beginning of the next message.
  std::expected<std::size_t, ParseFailure> put(std::string_view bytes);

  // The peer has closed. A body without a length ends with it; else the message is incomplete.
  std::expected<void, ParseFailure> put_end();

  bool started() const;
  bool head_done() const;
  bool done() const;
  bool keep_alive() const;  // valid once head_done()
  bool is_http_10() const;  // valid once head_done()

  // What was read so far; `body` is empty when there is a sink.
  Request& request();
  Response& response();

 private:
  struct Impl;
  template <bool is_request>
  struct Reader;
  std::unique_ptr<Impl> impl_;
};

}  // namespace provisioner::http
