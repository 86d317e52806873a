// TLS 1.2 and later for clients and servers: whom to trust, and who one is.
#pragma once

#include <boost/asio/generic/stream_protocol.hpp>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "base/error.hpp"
#include "base/time.hpp"
#include "runtime/task.hpp"

namespace provisioner::http {

// Files in PEM. A client needs none of them: it then trusts what the system trusts.
struct TlsSettings {
  std::filesystem::path ca;    // whom to trust; empty: a client trusts the system's authorities,
                               // a server asks its clients for no certificate
  std::filesystem::path cert;  // one's own certificate with its chain; a server needs it
  std::filesystem::path key;   // of `cert`
  bool verify = true;          // false: whoever answers is believed. For tests and emergencies

  friend bool operator==(const TlsSettings&, const TlsSettings&) = default;
};

enum class TlsRole { kClient, kServer };

// TLS over one connected socket that the caller owns. Inner to the room.
class TlsStream {
 public:
  using Socket = boost::asio::generic::stream_protocol::socket;
  virtual ~TlsStream() = default;

  // The error is a sentence: which certificate, and what is wrong with it.
  virtual Task<Status> handshake() = 0;
  // As the socket's own: eof when the peer has said that it is done, an error when it just went.
  virtual Task<std::size_t> read_some(boost::asio::mutable_buffer to,
                                      boost::system::error_code& error) = 0;
  virtual Task<std::size_t> write_some(boost::asio::const_buffer from,
                                       boost::system::error_code& error) = 0;
  // Says that nothing more comes, and waits for the peer to say the same.
  virtual Task<> close() = 0;
};

// Settings with their files read, for any number of connections; a changed file needs a new one.
// An interface, so that a program that speaks no TLS (the runner) does not link its library.
// Shared by connections: each keeps the one that it began with.
class TlsContext {
 public:
  // kInvalid, kNotFound, kDenied: names the file and what is wrong with it.
  static Result<std::shared_ptr<const TlsContext>> make(TlsRole role, const TlsSettings& settings);

  virtual ~TlsContext() = default;
  // Until when one's own certificate is good; absent without one.
  virtual std::optional<Instant> expires_at() const = 0;
  // `peer` is the name or address that a server's certificate must be for; not used by a server.
  virtual std::unique_ptr<TlsStream> wrap(TlsStream::Socket& socket,
                                          const std::string& peer) const = 0;
};

}  // namespace provisioner::http
