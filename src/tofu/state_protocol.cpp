#include "tofu/state_protocol.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "tofu/digest.hpp"
#include "tofu/json_depth.hpp"

namespace provisioner::tofu {
namespace {

constexpr std::chrono::seconds kAskAgainAfter{1};

StateReply empty_reply(int status) { return {.status = status}; }

StateReply json_reply(int status, std::string json) {
  return {.status = status, .content_type = "application/json", .body = std::move(json)};
}

StateReply text_reply(int status, std::string text) {
  return {.status = status, .content_type = "text/plain; charset=utf-8", .body = text + "\n"};
}

StateReply refusal(const Error& error, Patience patience) {
  switch (error.kind) {
    case ErrorKind::kUnavailable:
    case ErrorKind::kAmbiguous:
    case ErrorKind::kTimeout: {
      if (patience == Patience::kStopping) {
        return text_reply(409, "the run is being stopped, and " + error.message);
      }
      StateReply reply = text_reply(503, error.message);
      reply.retry_after = kAskAgainAfter;
      return reply;
    }
    case ErrorKind::kInvalid: return text_reply(400, error.message);
    case ErrorKind::kConflict:
    case ErrorKind::kVersionConflict:
    case ErrorKind::kFenced:
    case ErrorKind::kDenied:
    case ErrorKind::kCancelled:
    case ErrorKind::kNotFound: return text_reply(409, error.message);
    case ErrorKind::kIo:
    case ErrorKind::kCorrupt:
    case ErrorKind::kInternal: break;
  }
  // Trying again will not mend these, and 500 would make the client try: 501 it never repeats.
  return text_reply(501, error.message);
}

// The ID in a lock's JSON.
Result<std::string> lock_id_of(const std::string& body) {
  if (!nests_too_deep(body)) {
    const auto json = nlohmann::json::parse(body, nullptr, false);
    if (json.is_object() && json.contains("ID") && json["ID"].is_string()) {
      std::string id = json["ID"].get<std::string>();
      if (!id.empty()) return id;
    }
  }
  return fail(ErrorKind::kInvalid, "the body is no lock: a JSON object with an \"ID\" is expected");
}

Task<StateReply> answer_read(StateBackend& backend, const Patience& patience) {
  Result<std::optional<std::string>> body = co_await backend.read();
  if (!body) co_return refusal(body.error(), patience);
  if (!*body) co_return empty_reply(204);
  co_return json_reply(200, std::move(**body));
}

Task<StateReply> answer_lock(StateBackend& backend, std::string body, const Patience& patience) {
  Result<std::string> id = lock_id_of(body);
  if (!id) co_return refusal(id.error(), patience);
  Result<std::optional<std::string>> held = co_await backend.lock(std::move(*id), std::move(body));
  if (!held) co_return refusal(held.error(), patience);
  if (*held) co_return json_reply(423, std::move(**held));
  co_return empty_reply(200);
}

Task<StateReply> answer_unlock(StateBackend& backend, std::string body, const Patience& patience) {
  std::string lock_id;  // Terraform's force-unlock sends no body
  if (!body.empty()) {
    Result<std::string> id = lock_id_of(body);
    if (!id) co_return refusal(id.error(), patience);
    lock_id = std::move(*id);
  }
  const Status unlocked = co_await backend.unlock(std::move(lock_id));
  co_return unlocked ? empty_reply(200) : refusal(unlocked.error(), patience);
}

Task<StateReply> answer_write(StateBackend& backend, StateRequest request,
                              const Patience& patience) {
  const Status written =
      co_await backend.write(std::move(request.lock_id), std::move(request.body));
  co_return written ? empty_reply(200) : refusal(written.error(), patience);
}

}  // namespace

Task<StateReply> answer_state_request(StateBackend& backend, StateRequest request,
                                      const Patience& patience) {
  if (!request.content_md5.empty() && request.content_md5 != md5_base64(request.body)) {
    co_return text_reply(400, "the body does not match its Content-MD5: it was damaged on the way");
  }
  if (request.method == "GET") co_return co_await answer_read(backend, patience);
  if (request.method == "POST") {
    co_return co_await answer_write(backend, std::move(request), patience);
  }
  if (request.method == "LOCK") {
    co_return co_await answer_lock(backend, std::move(request.body), patience);
  }
  if (request.method == "UNLOCK") {
    co_return co_await answer_unlock(backend, std::move(request.body), patience);
  }
  if (request.method == "DELETE") {
    co_return text_reply(409,
                         "a state is never deleted over this protocol: destroy the "
                         "workspace, or remove it with `provisioner workspace remove`");
  }
  co_return text_reply(405, fmt::format("method {} is not of this protocol: GET, POST, LOCK, "
                                        "UNLOCK",
                                        request.method));
}

Result<Credentials> parse_authorization(std::string_view header) {
  constexpr std::string_view kBasic = "Basic ";
  const auto denied = [](std::string_view why) {
    return fail(ErrorKind::kDenied, fmt::format("Authorization: {}", why));
  };
  if (header.empty()) return denied("absent");
  if (!header.starts_with(kBasic)) return denied("not Basic");
  const std::optional<std::string> plain = base64_decoded(header.substr(kBasic.size()));
  if (!plain) return denied("not base64");
  const auto colon = plain->find(':');
  if (colon == std::string::npos) return denied("no user and password");
  return Credentials{plain->substr(0, colon), plain->substr(colon + 1)};
}

bool same_secret(std::string_view a, std::string_view b) { return same_in_constant_time(a, b); }

}  // namespace provisioner::tofu
