#include "http/listener.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>

namespace provisioner::http {
namespace {

class OwnedFd {
 public:
  explicit OwnedFd(int fd) : fd_(fd) {}
  ~OwnedFd() {
    if (fd_ >= 0) ::close(fd_);
  }
  OwnedFd(const OwnedFd&) = delete;
  OwnedFd& operator=(const OwnedFd&) = delete;
  int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

std::string numeric_address(const sockaddr* address, socklen_t length) {
  std::array<char, NI_MAXHOST> host{};
  ::getnameinfo(address, length, host.data(), host.size(), nullptr, 0, NI_NUMERICHOST);
  return host.data();
}

// None when the kernel does not tell: then only the primary group counts.
std::vector<std::int64_t> peer_groups(int fd) {
  std::vector<gid_t> groups(64);
  for (int tries = 0; tries < 2; ++tries) {
    auto size = static_cast<socklen_t>(groups.size() * sizeof(gid_t));
    if (::getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &size) == 0) {
      groups.resize(size / sizeof(gid_t));
      return {groups.begin(), groups.end()};
    }
    if (errno != ERANGE) break;
    groups.resize(size / sizeof(gid_t));
  }
  return {};
}

}  // namespace

Listener::Listener(const boost::asio::any_io_executor& loop, int fd, int family)
    : descriptor_(loop, fd), family_(family) {}

Listener::Listener(Listener&& other) noexcept
    : descriptor_(std::move(other.descriptor_)),
      family_(other.family_),
      path_(std::exchange(other.path_, {})),
      inode_(other.inode_) {}

Listener::~Listener() { close(); }

Result<Listener> Listener::tcp(const boost::asio::any_io_executor& loop, const std::string& host,
                               std::uint16_t port) {
  const std::string where = fmt::format("listening on {}:{}", host, port);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int outcome = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
  if (outcome != 0) {
    return fail(ErrorKind::kInvalid, fmt::format("{}: {}", where, ::gai_strerror(outcome)));
  }
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> addresses(found, &::freeaddrinfo);
  int cause = 0;
  for (const addrinfo* a = found; a != nullptr; a = a->ai_next) {
    OwnedFd fd(::socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    const int on = 1;
    if (fd.get() >= 0 && ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
        ::bind(fd.get(), a->ai_addr, a->ai_addrlen) == 0 && ::listen(fd.get(), SOMAXCONN) == 0) {
      return Listener(loop, fd.release(), a->ai_family);
    }
    cause = errno;
  }
  if (cause == EADDRINUSE) {
    return fail(ErrorKind::kConflict, where + ": the address is in use by another program");
  }
  return fail_errno(where, cause);
}

Result<Listener> Listener::unix_socket(const boost::asio::any_io_executor& loop,
                                       const std::filesystem::path& path, unsigned mode) {
  const std::string where = fmt::format("listening on {}", path.native());
  struct stat existing{};
  if (::lstat(path.c_str(), &existing) == 0 && !S_ISSOCK(existing.st_mode)) {
    return fail(ErrorKind::kConflict, where + ": something that is not a socket stands there");
  }
  // Bound under another name, given its mode, opened for connections, and only then put in place:
  // at no moment can somebody connect whom the mode excludes, and no moment is without a socket.
  const std::filesystem::path fresh =
      path.parent_path() / fmt::format(".{}.{}", path.filename().native(), ::getpid());
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (fresh.native().size() >= sizeof address.sun_path) {
    return fail(
        ErrorKind::kInvalid,
        fmt::format("{}: the path is too long for a unix socket (at most {} bytes)", where,
                    sizeof address.sun_path - 1 - (fresh.native().size() - path.native().size())));
  }
  std::memcpy(address.sun_path, fresh.c_str(), fresh.native().size() + 1);
  OwnedFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  ::unlink(fresh.c_str());
  if (fd.get() < 0 ||
      ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return fail_errno(where, errno);
  }
  struct stat bound{};
  if (::chmod(fresh.c_str(), mode) != 0 || ::listen(fd.get(), SOMAXCONN) != 0 ||
      ::lstat(fresh.c_str(), &bound) != 0 || ::rename(fresh.c_str(), path.c_str()) != 0) {
    const int cause = errno;
    ::unlink(fresh.c_str());
    return fail_errno(where, cause);
  }
  Listener listener(loop, fd.release(), AF_UNIX);
  listener.path_ = path;
  listener.inode_ = bound.st_ino;
  return listener;
}

std::uint16_t Listener::port() const {
  sockaddr_storage address{};
  socklen_t length = sizeof address;
  const int fd = const_cast<boost::asio::posix::stream_descriptor&>(descriptor_).native_handle();
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) != 0) return 0;
  if (address.ss_family == AF_INET6) {
    return ntohs(reinterpret_cast<const sockaddr_in6&>(address).sin6_port);
  }
  return ntohs(reinterpret_cast<const sockaddr_in&>(address).sin_port);
}

Task<Status> Listener::wait() {
  boost::system::error_code error;
  co_await descriptor_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                                  boost::asio::redirect_error(boost::asio::use_awaitable, error));
  if (error) co_return fail(ErrorKind::kCancelled, "the listener was closed");
  co_return Status{};
}

Result<std::optional<Accepted>> Listener::accept() {
  if (!descriptor_.is_open()) return std::nullopt;
  sockaddr_storage address{};
  socklen_t length = sizeof address;
  const int fd = ::accept4(descriptor_.native_handle(), reinterpret_cast<sockaddr*>(&address),
                           &length, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (fd < 0) {
    if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
      return fail(ErrorKind::kUnavailable, fmt::format("accepting: {}", std::strerror(errno)));
    }
    return std::nullopt;  // nobody waits, or who waited has gone
  }
  Accepted accepted{.fd = fd, .family = family_};
  if (family_ == AF_UNIX) {
    ucred credentials{};
    socklen_t size = sizeof credentials;
    if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) == 0) {
      accepted.peer = PeerCredentials{.uid = credentials.uid,
                                      .gid = credentials.gid,
                                      .pid = credentials.pid,
                                      .groups = peer_groups(fd)};
    }
  } else {
    accepted.remote_address = numeric_address(reinterpret_cast<sockaddr*>(&address), length);
  }
  return accepted;
}

void Listener::close() {
  boost::system::error_code closing_cannot_fail_usefully;
  descriptor_.close(closing_cannot_fail_usefully);
  if (path_.empty()) return;
  struct stat now{};
  if (::lstat(path_.c_str(), &now) == 0 && now.st_ino == inode_) ::unlink(path_.c_str());
  path_.clear();
}

}  // namespace provisioner::http
