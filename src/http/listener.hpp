// Listening sockets, and what is known of who connects. Inner to the room.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "base/error.hpp"
#include "http/message.hpp"
#include "runtime/task.hpp"

namespace provisioner::http {

struct Accepted {
  int fd = -1;  // the receiver's to close
  int family = 0;
  std::optional<PeerCredentials> peer;
  std::string remote_address;
};

class Listener {
 public:
  static Result<Listener> tcp(const boost::asio::any_io_executor& loop, const std::string& host,
                              std::uint16_t port);
  static Result<Listener> unix_socket(const boost::asio::any_io_executor& loop,
                                      const std::filesystem::path& path, unsigned mode);
  ~Listener();
  Listener(Listener&&) noexcept;

  std::uint16_t port() const;  // of a TCP listener

  // Returns when somebody may be waiting; kCancelled once closed.
  Task<Status> wait();

  // The next one who waits; nothing when nobody does. kUnavailable: out of descriptors or memory.
  Result<std::optional<Accepted>> accept();

  void close();  // removes the socket file if it is still this listener's

 private:
  Listener(const boost::asio::any_io_executor& loop, int fd, int family);

  boost::asio::posix::stream_descriptor descriptor_;
  int family_;
  std::filesystem::path path_;  // of a unix socket
  std::uint64_t inode_ = 0;
};

}  // namespace provisioner::http
