// The daemon's long-lived coroutines: started together, ended together.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <list>
#include <string>

#include "runtime/clock.hpp"
#include "runtime/signal.hpp"
#include "runtime/task.hpp"
#include "telemetry/log.hpp"

namespace provisioner {

// Loop only. An exception in a task is a bug that must not go on: the process says which and
// aborts; runs live on, and whoever started the daemon starts it again.
class Background {
 public:
  Background(boost::asio::any_io_executor loop, Logger log);

  void start(std::string name, Task<> task);

  void cancel_all();

  // Returns when every task has ended, or at the deadline: then the names of those that live.
  Task<std::string> ended(Clock& clock, BootInstant deadline);

 private:
  struct Running {
    std::string name;
    boost::asio::cancellation_signal cancel;
    bool ended = false;
  };

  boost::asio::any_io_executor loop_;
  Logger log_;
  std::list<Running> tasks_;  // a list: the signals must not move
  Signal one_ended_;
};

}  // namespace provisioner
