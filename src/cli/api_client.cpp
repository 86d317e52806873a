#include "cli/api_client.hpp"

#include <fmt/format.h>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <csignal>
#include <exception>
#include <nlohmann/json.hpp>
#include <optional>

#include "http/event_stream.hpp"

namespace provisioner::cli {
namespace {

// A state of 64 MB on a slow disk takes seconds; a daemon that says nothing for longer is stuck.
constexpr Duration kTimeout = std::chrono::seconds(60);

ErrorKind kind_of(int status) {
  switch (status) {
    case 400:
    case 413:
    case 422: return ErrorKind::kInvalid;
    case 401:
    case 403: return ErrorKind::kDenied;
    case 404: return ErrorKind::kNotFound;
    case 409:
    case 412:
    case 423: return ErrorKind::kConflict;
    case 429:
    case 503: return ErrorKind::kUnavailable;
    default: return ErrorKind::kInternal;
  }
}

// The sentence of an application/problem+json answer (RFC 9457).
Error error_of(const http::Response& response) {
  const auto problem = nlohmann::json::parse(response.body, nullptr, false);
  if (problem.is_object() && problem.contains("detail") && problem["detail"].is_string()) {
    // A 503 means that nobody is there to answer, but for this one: the daemon is, its disk is not.
    const bool storage_failed = problem.value("code", nlohmann::json()) == "storage_failed";
    return {storage_failed ? ErrorKind::kIo : kind_of(response.status),
            problem["detail"].get<std::string>()};
  }
  return {kind_of(response.status),
          fmt::format("the daemon answered with status {}: {}", response.status, response.body)};
}

}  // namespace

Result<ApiAddress> find_api(const std::map<std::string, std::string>& environment) {
  const auto value = [&](const char* name) {
    const auto it = environment.find(name);
    return it == environment.end() ? std::string() : it->second;
  };
  if (const std::string url = value("PROVISIONER_URL"); !url.empty()) {
    auto endpoint = http::Endpoint::parse(url);
    if (!endpoint) return fail("PROVISIONER_URL", endpoint.error());
    return ApiAddress{*endpoint, value("PROVISIONER_TOKEN"), url};
  }
  std::string directory = value("PROVISIONER_STATE_DIR");
  if (directory.empty()) directory = "/var/lib/provisioner";
  const std::string socket = directory + "/provisioner.sock";
  return ApiAddress{http::Endpoint::unix_socket(socket), "", socket};
}

ApiClient::ApiClient(ApiAddress address)
    : address_(std::move(address)), client_(loop_.get_executor(), address_.endpoint) {}

http::Request ApiClient::request(const std::string& method, const std::string& target) const {
  http::Request request;
  request.method = method;
  request.target = target;
  if (!address_.token.empty()) request.headers["Authorization"] = "Bearer " + address_.token;
  return request;
}

Result<http::Response> ApiClient::call(http::Request request) {
  std::optional<Result<http::Response>> answer;
  std::exception_ptr bug;
  loop_.restart();
  boost::asio::co_spawn(
      loop_, [&]() -> Task<> { answer = co_await client_.send(std::move(request), kTimeout); },
      [&](std::exception_ptr thrown) { bug = thrown; });
  loop_.run();
  if (bug) std::rethrow_exception(bug);
  if (*answer) return *answer;
  Error error = answer->error();
  if (error.kind == ErrorKind::kUnavailable || error.kind == ErrorKind::kDenied ||
      error.kind == ErrorKind::kNotFound) {
    const bool denied = error.kind == ErrorKind::kDenied;
    return fail(
        denied ? ErrorKind::kDenied : ErrorKind::kUnavailable,
        fmt::format("cannot reach the daemon at {}: {}. {}", address_.shown, error.message,
                    denied ? "Run this as root, as the daemon's user or as a member of the "
                             "group provisioner"
                           : "Is 'provisioner serve' running, and does PROVISIONER_STATE_DIR "
                             "(or PROVISIONER_URL) point to it?"));
  }
  return std::unexpected(std::move(error));
}

Result<std::string> ApiClient::get(const std::string& target) { return send("GET", target); }

Result<std::string> ApiClient::send(const std::string& method, const std::string& target,
                                    const std::string& json_body) {
  auto message = request(method, target);
  message.body = json_body;
  if (!json_body.empty()) message.headers["Content-Type"] = "application/json";
  auto answer = call(std::move(message));
  if (!answer) return std::unexpected(answer.error());
  if (answer->status >= 300) return std::unexpected(error_of(*answer));
  return std::move(answer->body);
}

Status ApiClient::follow(
    const std::string& target,
    const std::function<bool(std::string_view, std::string_view, std::string_view)>& on_event,
    const std::function<void()>& on_second) {
  auto message = request("GET", target);
  message.headers["Accept"] = "text/event-stream";
  std::optional<Result<http::Response>> answer;
  std::exception_ptr bug;
  bool interrupted = false;
  http::EventStreamParser parser;
  std::string refusal;  // the body of an answer that is no event stream
  loop_.restart();
  boost::asio::signal_set interrupt(loop_, SIGINT);
  boost::asio::steady_timer second(loop_);
  std::function<void()> tick = [&] {
    second.expires_after(std::chrono::seconds(1));
    second.async_wait([&](boost::system::error_code cancelled) {
      if (cancelled) return;
      on_second();
      tick();
    });
  };
  if (on_second) tick();
  boost::asio::cancellation_signal stop;
  boost::asio::co_spawn(
      loop_,
      [&]() -> Task<> {
        answer = co_await client_.stream(std::move(message), kTimeout, [&](std::string_view chunk) {
          refusal += parser.seen_event() ? "" : chunk;
          return parser.feed(chunk, on_event);
        });
      },
      boost::asio::bind_cancellation_slot(stop.slot(), [&](std::exception_ptr thrown) {
        bug = thrown;
        interrupt.cancel();
        second.cancel();
      }));
  interrupt.async_wait([&](boost::system::error_code cancelled, int) {
    if (cancelled) return;
    interrupted = true;
    stop.emit(boost::asio::cancellation_type::terminal);
  });
  loop_.run();
  // A cancelled read may end as an exception or as an error; either way the user asked for it.
  if (interrupted) return fail(ErrorKind::kCancelled, "interrupted");
  if (bug) std::rethrow_exception(bug);
  if (!*answer) return std::unexpected(answer->error());
  if ((*answer)->status >= 300) {
    http::Response whole = **answer;
    whole.body = refusal;
    return std::unexpected(error_of(whole));
  }
  return {};
}

}  // namespace provisioner::cli
