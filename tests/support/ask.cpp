#include "tests/support/ask.hpp"

#include <boost/asio/io_context.hpp>
#include <utility>

#include "http/client.hpp"
#include "tests/support/run_task.hpp"

namespace provisioner::testing {

http::Response ask(const std::filesystem::path& state_dir, std::string method, std::string target,
                   std::string body, std::chrono::milliseconds patience) {
  http::Request request{
      .method = std::move(method), .target = std::move(target), .body = std::move(body)};
  if (!request.body.empty()) request.headers["Content-Type"] = "application/json";
  return ask(state_dir, std::move(request), patience);
}

http::Response ask(const std::filesystem::path& state_dir, http::Request request,
                   std::chrono::milliseconds patience) {
  boost::asio::io_context loop;
  http::Client client(loop.get_executor(),
                      http::Endpoint::unix_socket(state_dir / "provisioner.sock"));
  auto response = run_task(loop, client.send(std::move(request), patience));
  if (!response) return {.status = 0, .body = response.error().message};
  return *std::move(response);
}

}  // namespace provisioner::testing
