// tofu's state backend, as far as the runner plays it: a server on the loopback that puts each
// state body on disk before it hands it to the daemon, and holds tofu's request while the daemon is
// away.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "base/error.hpp"
#include "http/message.hpp"
#include "http/server.hpp"
#include "runner/attempt_directory.hpp"
#include "runner/daemon.hpp"
#include "runner/stop.hpp"
#include "runtime/clock.hpp"
#include "runtime/offload.hpp"
#include "runtime/random.hpp"
#include "tofu/state_protocol.hpp"
#include "tofu/variables.hpp"

namespace provisioner::runner {

// While the attempt stops, tofu is refused (409) what the daemon cannot take at once: it ignores
// SIGINT while it asks again. A body that was refused lies in the spool. Loop only.
class StateRelay final : private tofu::StateBackend {
 public:
  struct Parts {
    boost::asio::any_io_executor loop;
    Clock& clock;
    Random& random;
    Daemon& daemon;
    Course& course;
    AttemptDirectory directory;
    RunId run;
    WorkspaceName workspace;
  };
  explicit StateRelay(Parts parts);

  // Listens on a free port of 127.0.0.1. Call it once.
  Result<tofu::BackendAccess> start();

 private:
  Task<http::Response> handle(http::Request request);
  Task<Result<http::Response>> forward(Ask what);

  Task<Result<std::optional<std::string>>> read() override;
  Task<Result<std::optional<std::string>>> lock(std::string lock_id,
                                                std::string info_json) override;
  Task<Status> unlock(std::string lock_id) override;
  Task<Status> write(std::string lock_id, std::string body) override;

  Parts parts_;
  tofu::Patience patience_ = tofu::Patience::kAskAgain;
  std::string password_;
  std::int64_t writes_ = 0;
  std::optional<Offload> disk_;  // a thread, which most runs never need
  std::unique_ptr<http::Server> server_;
};

}  // namespace provisioner::runner
