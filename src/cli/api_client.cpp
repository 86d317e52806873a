#include "cli/api_client.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cerrno>
#include <csignal>
#include <exception>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/text.hpp"
#include "http/event_stream.hpp"
#include "runtime/random.hpp"

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

std::string text_in(const nlohmann::json& object, const char* field) {
  const auto found = object.find(field);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

// The sentence of an application/problem+json answer (RFC 9457).
Error error_of(const http::Response& response) {
  const auto problem = nlohmann::json::parse(response.body, nullptr, false);
  if (problem.is_object() && problem.contains("detail") && problem["detail"].is_string()) {
    // A 503 means that nobody is there to answer, but for this one: the daemon is, its disk is not.
    const std::string code = text_in(problem, "code");
    // Somebody else's Git said no: the operation failed, whatever its words.
    const bool failed = code == "storage_failed" || code.starts_with("source_");
    return {failed ? ErrorKind::kIo : kind_of(response.status),
            problem["detail"].get<std::string>()};
  }
  return {kind_of(response.status),
          fmt::format("the daemon answered with status {}: {}", response.status, response.body)};
}

// A flag's file, else the variable, else the variable's file.
Result<std::string> find_token(const std::string& file_option, const std::string& token,
                               const std::string& file_variable) {
  const bool given = file_option.empty() && !token.empty();
  const std::string& file = file_option.empty() ? file_variable : file_option;
  std::string text = token;
  if (!given) {
    if (file.empty()) return "";
    errno = 0;
    std::ifstream stream(file);
    if (!stream.good()) return fail_errno(fmt::format("reading the token in {}", file), errno);
    std::getline(stream, text);
  }
  const std::string_view word = trim(text);
  const bool good =
      !word.empty() && std::ranges::all_of(word, [](char c) { return c > ' ' && c < 127; });
  if (!good) {
    return fail(ErrorKind::kInvalid, fmt::format("{} holds no token: expected pvr_... on its first "
                                                 "line",
                                                 given ? "PROVISIONER_TOKEN" : file));
  }
  return std::string(word);
}

std::string hint(const ApiAddress& address, const Error& error) {
  if (error.kind == ErrorKind::kDenied) {
    return "Run this as root, as the daemon's user or as a member of the group provisioner";
  }
  if (error.message.contains("the certificate of")) {
    return "--ca FILE (or PROVISIONER_CA) names the authority to trust";
  }
  return address.endpoint.unix_path.empty()
             ? "Is 'provisioner serve' running there, and does --server (or PROVISIONER_URL) name "
               "it "
               "with the right scheme and port?"
             : "Is 'provisioner serve' running, and does PROVISIONER_STATE_DIR (or "
               "PROVISIONER_URL) point to it?";
}

}  // namespace

Result<ApiAddress> find_api(const std::map<std::string, std::string>& environment,
                            const RemoteOptions& options) {
  const auto value = [&](const char* name) {
    const auto it = environment.find(name);
    return it == environment.end() ? std::string() : it->second;
  };
  const auto chosen = [&](const std::string& option, const char* name) {
    return option.empty() ? value(name) : option;
  };
  SystemRandom random;
  const auto given = parse_traceparent(value("TRACEPARENT"));
  const std::string traceparent =
      format_traceparent(given ? *given : random.correlation_id(), random.span_id());
  const std::string url = chosen(options.server, "PROVISIONER_URL");
  if (url.empty()) {
    std::string directory = value("PROVISIONER_STATE_DIR");
    if (directory.empty()) directory = "/var/lib/provisioner";
    const std::string socket = directory + "/provisioner.sock";
    return ApiAddress{http::Endpoint::unix_socket(socket), "", socket, nullptr, traceparent};
  }
  auto endpoint = http::Endpoint::parse(url);
  if (!endpoint) {
    return fail(options.server.empty() ? "PROVISIONER_URL" : "--server", endpoint.error());
  }
  ApiAddress address{*endpoint, "", url, nullptr, traceparent};
  if (!endpoint->unix_path.empty()) return address;
  auto token =
      find_token(options.token_file, value("PROVISIONER_TOKEN"), value("PROVISIONER_TOKEN_FILE"));
  if (!token) return std::unexpected(token.error());
  address.token = std::move(*token);
  if (endpoint->tls) {
    auto tls = http::TlsContext::make(http::TlsRole::kClient,
                                      {.ca = chosen(options.ca, "PROVISIONER_CA"),
                                       .cert = chosen(options.cert, "PROVISIONER_CERT"),
                                       .key = chosen(options.key, "PROVISIONER_KEY")});
    if (!tls) return std::unexpected(tls.error());
    address.tls = std::move(*tls);
  }
  return address;
}

ApiClient::ApiClient(ApiAddress address)
    : address_(std::move(address)),
      client_(loop_.get_executor(), address_.endpoint, address_.tls) {}

http::Request ApiClient::request(const std::string& method, const std::string& target) const {
  http::Request request;
  request.method = method;
  request.target = target;
  if (!address_.traceparent.empty()) request.headers["traceparent"] = address_.traceparent;
  if (!address_.token.empty()) request.headers["Authorization"] = "Bearer " + address_.token;
  return request;
}

Result<http::Response> ApiClient::call(http::Request request, Duration patience) {
  std::optional<Result<http::Response>> answer;
  std::exception_ptr bug;
  loop_.restart();
  boost::asio::co_spawn(
      loop_, [&]() -> Task<> { answer = co_await client_.send(std::move(request), patience); },
      [&](std::exception_ptr thrown) { bug = thrown; });
  loop_.run();
  if (bug) std::rethrow_exception(bug);
  if (*answer) return *answer;
  Error error = answer->error();
  if (error.kind == ErrorKind::kUnavailable || error.kind == ErrorKind::kDenied ||
      error.kind == ErrorKind::kNotFound) {
    return fail(error.kind == ErrorKind::kDenied ? ErrorKind::kDenied : ErrorKind::kUnavailable,
                fmt::format("cannot reach the daemon at {}: {}. {}", address_.shown, error.message,
                            hint(address_, error)));
  }
  return std::unexpected(std::move(error));
}

Result<std::string> ApiClient::get(const std::string& target) { return send("GET", target); }

Result<std::string> ApiClient::send(const std::string& method, const std::string& target,
                                    const std::string& json_body, Duration patience) {
  auto message = request(method, target);
  message.body = json_body;
  if (!json_body.empty()) message.headers["Content-Type"] = "application/json";
  auto answer = call(std::move(message), patience);
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
  bool ended = false;
  http::EventStreamParser parser;
  std::string refusal;  // the body of an answer that is no event stream
  loop_.restart();
  boost::asio::signal_set interrupt(loop_, SIGINT);
  boost::asio::steady_timer second(loop_);
  std::function<void()> tick = [&] {
    second.expires_after(std::chrono::seconds(1));
    second.async_wait([&](boost::system::error_code cancelled) {
      // A second that was over before the stream's end cannot be cancelled any more.
      if (cancelled || ended) return;
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
        ended = true;
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
