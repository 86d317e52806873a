#include "cli/tofu_relay.hpp"

#include <fmt/format.h>

#include "http/client.hpp"
#include "tofu/state_protocol.hpp"

namespace provisioner::cli {
namespace {

constexpr std::string_view kUser = "person";
constexpr Duration kTimeout = std::chrono::seconds(60);

}  // namespace

TofuRelay::TofuRelay(boost::asio::any_io_executor loop, ApiAddress daemon, WorkspaceName workspace,
                     Random& random)
    : loop_(std::move(loop)),
      daemon_(std::move(daemon)),
      workspace_(std::move(workspace)),
      password_(random.claim_id().value) {}

Result<tofu::BackendAccess> TofuRelay::start() {
  server_ = std::make_unique<http::Server>(
      loop_, [this](http::Request request) { return handle(std::move(request)); });
  const auto port = server_->listen_tcp("127.0.0.1", 0);
  if (!port) return fail("listening for tofu's state", port.error());
  return tofu::BackendAccess{fmt::format("http://127.0.0.1:{}/state/{}", *port, workspace_.value),
                             std::string(kUser), password_};
}

Task<http::Response> TofuRelay::handle(http::Request request) {
  const auto credentials = tofu::parse_authorization(request.header("Authorization"));
  if (!credentials || credentials->user != kUser ||
      !tofu::same_secret(credentials->password, password_)) {
    http::Response refused = http::text_response(401, "wrong credentials for this command\n");
    refused.headers["WWW-Authenticate"] = "Basic realm=\"tofu state\"";
    co_return refused;
  }
  if (request.path() != "/state/" + workspace_.value) {
    co_return http::text_response(404, "no state of this command\n");
  }
  co_return co_await pass_on(std::move(request));
}

Task<http::Response> TofuRelay::pass_on(http::Request request) {
  http::Request asked;
  asked.target = "/api/v1/backend/" + http::encode_component(workspace_.value);
  if (request.method == "LOCK") {
    asked.target += "/lock";
  } else if (request.method == "UNLOCK") {
    asked.target += "/unlock";
  } else if (request.method == "POST") {
    asked.target += "?ID=" + http::encode_component(request.query("ID").value_or(""));
  } else if (request.method != "GET") {
    co_return http::text_response(405, "not of tofu's protocol\n");
  }
  asked.method = request.method == "GET" ? "GET" : "POST";
  for (const char* name : {"Content-MD5", "Content-Type"}) {
    if (const std::string value = request.header(name); !value.empty()) asked.headers[name] = value;
  }
  if (!daemon_.token.empty()) asked.headers["Authorization"] = "Bearer " + daemon_.token;
  asked.body = std::move(request.body);

  // A client of its own: it takes one request at a time, and tofu may not wait for its last one.
  http::Client client(loop_, daemon_.endpoint, daemon_.tls);
  auto answer = co_await client.send(std::move(asked), kTimeout);
  if (!answer) {
    http::Response later = http::text_response(503, answer.error().message + "\n");
    later.headers["Retry-After"] = "1";
    co_return later;
  }
  // A workspace that was removed meanwhile: to tofu 404 would mean "no state yet".
  if (answer->status == 404) answer->status = 409;
  co_return std::move(*answer);
}

}  // namespace provisioner::cli
