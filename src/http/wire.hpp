// One connected socket with a time limit, in plain or under TLS. Inner to the room.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "base/time.hpp"
#include "http/tls.hpp"
#include "runtime/task.hpp"

namespace provisioner::http {

// All functions are for the loop only. Errors: kTimeout when the armed limit ended the wait,
// kUnavailable when the connection is gone, kCancelled.
class Wire {
 public:
  explicit Wire(const boost::asio::any_io_executor& loop);
  ~Wire();

  // Takes over a connected stream socket of any family (non-blocking, CLOEXEC).
  Status adopt(int fd, int family);

  // Connects a new socket to `address` (sockaddr_un, sockaddr_in, sockaddr_in6), within the armed
  // limit. Nothing was sent on failure.
  Task<Status> connect(int family, const void* address, std::size_t length);

  // From now on everything goes through TLS, which begins within the armed limit. `peer` as in
  // TlsContext::wrap(). Once for each socket. kUnavailable says which certificate was refused.
  Task<Status> secure(const TlsContext& tls, const std::string& peer);

  bool is_open() const;
  int native_handle() const;
  void close();

  // From now on, what waits is ended after `limit`, until armed anew or disarmed.
  void arm(Duration limit);
  void disarm();

  // Bytes of the peer wait to be read, or its end does.
  bool has_arrived() const;

  // 0 when the peer has closed its side.
  Task<Result<std::size_t>> read_some(std::span<char> buffer);

  // Writes everything. `stall` arms the limit anew for each 256 KiB, and is left armed; zero leaves
  // the limit as it is.
  Task<Status> write(std::string_view bytes, Duration stall = Duration::zero());

  // Ends our side and waits until the peer has read and closed its own, 2 s at most: closing with
  // unread input would destroy the answer on its way.
  Task<> linger();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace provisioner::http
