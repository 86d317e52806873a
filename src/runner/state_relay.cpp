#include "runner/state_relay.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "http/message.hpp"
#include "runner/protocol.hpp"
#include "runner/say.hpp"

namespace provisioner::runner {
StateRelay::StateRelay(Parts parts)
    : parts_(std::move(parts)), password_(parts_.random.claim_id().value) {
  parts_.course.on_stop([this] { patience_ = tofu::Patience::kStopping; });
}

Result<tofu::BackendAccess> StateRelay::start() {
  server_ = std::make_unique<http::Server>(
      parts_.loop, [this](http::Request request) { return handle(std::move(request)); });
  const auto port = server_->listen_tcp("127.0.0.1", 0);
  if (!port) return fail("listening for tofu's state", port.error());
  return tofu::BackendAccess{
      fmt::format("http://127.0.0.1:{}/state/{}", *port, parts_.workspace.value), parts_.run.value,
      password_};
}

Task<http::Response> StateRelay::handle(http::Request request) {
  const auto credentials = tofu::parse_authorization(request.header("Authorization"));
  if (!credentials || credentials->user != parts_.run.value ||
      !tofu::same_secret(credentials->password, password_)) {
    http::Response refused = http::text_response(401, "wrong credentials for this attempt\n");
    refused.headers["WWW-Authenticate"] = "Basic realm=\"tofu state\"";
    co_return refused;
  }
  if (request.path() != "/state/" + parts_.workspace.value) {
    co_return http::text_response(404, "no state of this attempt\n");
  }
  tofu::StateRequest asked{request.method, request.query("ID").value_or(""),
                           request.header("Content-MD5"), std::move(request.body)};
  tofu::StateReply reply = co_await tofu::answer_state_request(*this, std::move(asked), patience_);
  http::Response response;
  response.status = reply.status;
  if (!reply.content_type.empty()) response.headers["Content-Type"] = reply.content_type;
  if (reply.retry_after) {
    response.headers["Retry-After"] = fmt::format("{}", reply.retry_after->count());
  }
  response.body = std::move(reply.body);
  co_return response;
}

Task<Result<http::Response>> StateRelay::forward(Ask what) {
  if (parts_.course.fenced()) co_return fail(ErrorKind::kFenced, sentence_of(StopCause::kFenced));
  auto answer = co_await parts_.daemon.insist(std::move(what),
                                              [this] { return parts_.course.patience_ends(); });
  if (!answer && answer.error().kind == ErrorKind::kFenced) {
    parts_.course.stop(StopCause::kFenced, parts_.clock.boot_now());
  }
  co_return answer;
}

Task<Result<std::optional<std::string>>> StateRelay::read() {
  auto answer = co_await forward({"GET", std::string(kStatePath), ""});
  if (!answer) co_return std::unexpected(answer.error());
  if (answer->status == 204) co_return std::nullopt;
  co_return std::move(answer->body);
}

Task<Result<std::optional<std::string>>> StateRelay::lock(std::string, std::string info_json) {
  auto answer = co_await forward({"LOCK", std::string(kStatePath), std::move(info_json)});
  if (!answer) co_return std::unexpected(answer.error());
  if (answer->status == 423) co_return std::move(answer->body);
  co_return std::nullopt;
}

Task<Status> StateRelay::unlock(std::string lock_id) {
  std::string info = lock_id.empty() ? "" : nlohmann::json{{"ID", lock_id}}.dump();
  auto answer = co_await forward({"UNLOCK", std::string(kStatePath), std::move(info)});
  if (!answer) co_return std::unexpected(answer.error());
  co_return Status{};
}

Task<Status> StateRelay::write(std::string lock_id, std::string body) {
  const auto spooled = parts_.directory.state(++writes_);
  if (!disk_) disk_.emplace(1);
  // Whoever finds a state after a crash of the machine finds out whose it is.
  const bool first = writes_ == 1;
  const Status on_disk = co_await disk_->run([&] {
    const Status noted = first ? make_durable(parts_.directory.note()) : Status();
    const Status written = write_durably(spooled, body);
    return written ? noted : written;
  });
  if (!on_disk) say(on_disk.error().message);
  auto answer = co_await forward(
      {"POST", fmt::format("{}?ID={}", kStatePath, http::encode_component(lock_id)),
       std::move(body)});
  if (!answer) co_return std::unexpected(answer.error());
  std::error_code a_leftover_is_identical_content;
  std::filesystem::remove(spooled, a_leftover_is_identical_content);
  co_return Status{};
}

}  // namespace provisioner::runner
