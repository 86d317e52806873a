// Waiting for the end of a guard that is a process of this machine.
#pragma once

#include <sys/types.h>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "base/error.hpp"
#include "execution/launcher.hpp"

namespace provisioner::execution {

// Holds a pidfd: unlike a pid it never comes to mean another process. Loop only.
class PidfdWatch final : public GuardWatch {
 public:
  // As Launcher::watch_guard.
  static Result<std::unique_ptr<GuardWatch>> open(const boost::asio::any_io_executor& loop,
                                                  pid_t pid,
                                                  std::optional<std::int64_t> expected_start,
                                                  std::function<void()> on_exit);

  ~PidfdWatch() override { *alive_ = false; }

  bool exited() override;
  void terminate() override;

 private:
  PidfdWatch(const boost::asio::any_io_executor& loop, int descriptor)
      : pidfd_(loop, descriptor), alive_(std::make_shared<bool>(true)) {}

  boost::asio::posix::stream_descriptor pidfd_;
  std::shared_ptr<bool> alive_;  // false once the callback must not come any more
};

}  // namespace provisioner::execution
