// The daemon as its runner sees it: requests that are repeated until they are answered.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "base/ids.hpp"
#include "base/time.hpp"
#include "http/message.hpp"
#include "runtime/clock.hpp"
#include "runtime/random.hpp"
#include "runtime/task.hpp"

namespace provisioner::http {
class Client;
}

namespace provisioner::runner {

struct Ask {
  std::string method = "POST";
  std::string target;  // path and query
  std::string body;
  std::string content_type = "application/json";
};

class Daemon {
 public:
  Daemon(boost::asio::any_io_executor loop, Clock& clock, Random& random, std::string socket,
         AttemptFence fence);
  ~Daemon();

  // One try; several may be under way at a time. Answers other than 2xx and 423 are errors
  // (protocol.hpp, error_of); everything that may pass by itself is kUnavailable, kAmbiguous or
  // kTimeout.
  Task<Result<http::Response>> ask(Ask what, Duration timeout);

  // Tries again, with growing pauses of 2 s at most, for as long as trying makes sense: until
  // `give_up` (asked anew each time, because the lease moves) has passed.
  Task<Result<http::Response>> insist(Ask what, std::function<BootInstant()> give_up);

 private:
  boost::asio::any_io_executor loop_;
  Clock& clock_;
  Random& random_;
  std::string socket_;
  std::string authorization_;
  std::unique_ptr<http::Client> idle_;  // a connection that the next try may use
};

// Whether asking again may help.
bool may_pass(ErrorKind kind);

}  // namespace provisioner::runner
