// tofu's state backend, as far as a person's command plays it: a server on the loopback that passes
// tofu's requests on to the daemon, which has no address that tofu could be given.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <memory>
#include <string>

#include "base/error.hpp"
#include "base/ids.hpp"
#include "cli/api_client.hpp"
#include "http/server.hpp"
#include "runtime/random.hpp"
#include "tofu/variables.hpp"

namespace provisioner::cli {

// While the daemon cannot be reached tofu is told to ask again; it does as often as its
// TF_HTTP_RETRY_MAX says. Loop only.
class TofuRelay {
 public:
  TofuRelay(boost::asio::any_io_executor loop, ApiAddress daemon, WorkspaceName workspace,
            Random& random);

  // Listens on a free port of 127.0.0.1, for whoever knows the password. Call it once.
  Result<tofu::BackendAccess> start();

 private:
  Task<http::Response> handle(http::Request request);
  Task<http::Response> pass_on(http::Request request);

  boost::asio::any_io_executor loop_;
  ApiAddress daemon_;
  WorkspaceName workspace_;
  std::string password_;
  std::unique_ptr<http::Server> server_;
};

}  // namespace provisioner::cli
