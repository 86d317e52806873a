// A guard process that is waited for: a child of this daemon, or one that outlived its daemon.
#pragma once

#include <sys/types.h>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "base/error.hpp"

namespace provisioner::execution {

// Holds a pidfd: unlike a pid it never comes to mean another process. Loop only.
class GuardWatch {
 public:
  // `expected_start` (clock ticks since boot) tells the guard from a later holder of its pid; a
  // child of ours needs none. kNotFound when it has ended already. `on_exit` is called once, on the
  // loop, unless this object is destroyed before.
  static Result<std::unique_ptr<GuardWatch>> open(const boost::asio::any_io_executor& loop,
                                                  pid_t pid,
                                                  std::optional<std::int64_t> expected_start,
                                                  std::function<void()> on_exit);

  ~GuardWatch() { *alive_ = false; }

  // Reaps a child of ours when it has exited.
  bool exited();

 private:
  GuardWatch(const boost::asio::any_io_executor& loop, int descriptor)
      : pidfd_(loop, descriptor), alive_(std::make_shared<bool>(true)) {}

  boost::asio::posix::stream_descriptor pidfd_;
  std::shared_ptr<bool> alive_;  // false once the callback must not come any more
};

}  // namespace provisioner::execution
