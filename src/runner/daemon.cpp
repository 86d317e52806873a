#include "runner/daemon.hpp"

#include <algorithm>
#include <utility>

#include "http/client.hpp"
#include "runner/protocol.hpp"

namespace provisioner::runner {
namespace {

constexpr Duration kLongestTry = std::chrono::seconds(10);
constexpr Duration kFirstPause = std::chrono::milliseconds(50);
constexpr Duration kLongestPause = std::chrono::seconds(2);

Duration jittered(Duration pause, Random& random) {
  const double factor = 0.75 + random.fraction() / 2;
  return std::chrono::duration_cast<Duration>(pause * factor);
}

}  // namespace

bool may_pass(ErrorKind kind) {
  return kind == ErrorKind::kUnavailable || kind == ErrorKind::kAmbiguous ||
         kind == ErrorKind::kTimeout;
}

Daemon::Daemon(boost::asio::any_io_executor loop, Clock& clock, Random& random, std::string socket,
               AttemptFence fence)
    : loop_(std::move(loop)),
      clock_(clock),
      random_(random),
      socket_(std::move(socket)),
      authorization_(authorization(fence)) {}

Daemon::~Daemon() = default;

Task<Result<http::Response>> Daemon::ask(Ask what, Duration timeout) {
  http::Request request;
  request.method = std::move(what.method);
  request.target = std::move(what.target);
  request.headers["Authorization"] = authorization_;
  request.headers["Content-Type"] = std::move(what.content_type);
  request.body = std::move(what.body);
  auto client = std::exchange(idle_, nullptr);
  if (!client) {
    client = std::make_unique<http::Client>(loop_, http::Endpoint::unix_socket(socket_));
  }
  auto response = co_await client->send(std::move(request), timeout);
  if (response) {
    idle_ = std::move(client);
  } else {
    // Whatever went wrong with a connection, the next one may do better.
    const ErrorKind kind =
        may_pass(response.error().kind) ? response.error().kind : ErrorKind::kUnavailable;
    co_return fail(kind, response.error().message);
  }
  if ((response->status >= 200 && response->status < 300) || response->status == 423) {
    co_return std::move(*response);
  }
  co_return std::unexpected(error_of(response->status, response->body));
}

Task<Result<http::Response>> Daemon::insist(Ask what, std::function<BootInstant()> give_up) {
  Duration pause = kFirstPause;
  while (true) {
    const Duration left = give_up() - clock_.boot_now();
    auto response =
        co_await ask(what, std::clamp(left, Duration(std::chrono::milliseconds(1)), kLongestTry));
    if (response || !may_pass(response.error().kind)) co_return response;
    const BootInstant next = clock_.boot_now() + jittered(pause, random_);
    if (next >= give_up()) co_return response;
    co_await clock_.sleep_until(next);
    pause = std::min(pause * 2, kLongestPause);
  }
}

}  // namespace provisioner::runner
