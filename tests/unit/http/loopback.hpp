// A server and coroutines of a test on one loop, and a raw connection that sends what it likes.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <filesystem>
#include <string>
#include <thread>

#include "http/client.hpp"
#include "http/server.hpp"
#include "runtime/clock.hpp"
#include "runtime/task.hpp"

namespace provisioner::http {

using namespace std::chrono_literals;

class TempDirectory {
 public:
  TempDirectory() {
    std::string name = (std::filesystem::temp_directory_path() / "http-test-XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  ~TempDirectory() { std::filesystem::remove_all(path_); }
  std::filesystem::path operator/(const char* name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

// Runs the loop until `task` has ended; whatever else lives on the loop runs meanwhile.
template <typename T>
T run(boost::asio::io_context& loop, Task<T> task, Duration limit = 20s) {
  std::optional<T> result;
  std::exception_ptr failure;
  boost::asio::co_spawn(loop, std::move(task), [&](std::exception_ptr e, T value) {
    failure = e;
    result = std::move(value);
  });
  const auto end = std::chrono::steady_clock::now() + limit;
  while (!result && std::chrono::steady_clock::now() < end) {
    loop.restart();
    loop.run_one_for(50ms);
  }
  if (failure) std::rethrow_exception(failure);
  if (!result) throw std::runtime_error("the task did not end in time");
  return std::move(*result);
}

// Blocking, for a thread of its own beside the loop.
class RawConnection {
 public:
  explicit RawConnection(const std::filesystem::path& path)
      : fd_(::socket(AF_UNIX, SOCK_STREAM, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.native().copy(address.sun_path, sizeof address.sun_path - 1);
    connected_ = ::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
    const timeval limit{.tv_sec = 20, .tv_usec = 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  }
  ~RawConnection() { close(); }
  RawConnection(const RawConnection&) = delete;
  RawConnection& operator=(const RawConnection&) = delete;

  bool connected() const { return connected_; }
  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(n));
    }
    return true;
  }
  void end_sending() { ::shutdown(fd_, SHUT_WR); }
  void close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }
  // Until the peer closes, or `enough` is found.
  std::string receive(std::string_view enough = "") {
    std::string all;
    char piece[4096];
    while (enough.empty() || all.find(enough) == std::string::npos) {
      const ssize_t n = ::recv(fd_, piece, sizeof piece, 0);
      if (n <= 0) break;
      all.append(piece, static_cast<std::size_t>(n));
    }
    return all;
  }

 private:
  int fd_;
  bool connected_ = false;
};

}  // namespace provisioner::http
