#include "election/etcd/member.hpp"

#include <fmt/format.h>
#include <sodium.h>

#include <charconv>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/text.hpp"

namespace provisioner::etcd {
namespace {

using Json = nlohmann::json;

// Codes of gRPC as the JSON API passes them on.
enum GrpcCode {
  kInvalidArgument = 3,
  kGrpcNotFound = 5,
  kPermissionDenied = 7,
  kFailedPrecondition = 9,
  kUnauthenticated = 16
};

std::string to_base64(std::string_view bytes) {
  std::string text(sodium_base64_ENCODED_LEN(bytes.size(), sodium_base64_VARIANT_ORIGINAL), '\0');
  sodium_bin2base64(text.data(), text.size(), reinterpret_cast<const unsigned char*>(bytes.data()),
                    bytes.size(), sodium_base64_VARIANT_ORIGINAL);
  text.pop_back();  // its final zero
  return text;
}

std::string from_base64(std::string_view text) {
  std::string bytes(text.size(), '\0');
  std::size_t size = 0;
  if (sodium_base642bin(reinterpret_cast<unsigned char*>(bytes.data()), bytes.size(), text.data(),
                        text.size(), nullptr, &size, nullptr,
                        sodium_base64_VARIANT_ORIGINAL) != 0) {
    return "";
  }
  bytes.resize(size);
  return bytes;
}

// 64-bit numbers come as strings, small ones as numbers, zeros not at all.
std::int64_t number(const Json& object, const char* name) {
  const auto found = object.find(name);
  if (found == object.end()) return 0;
  if (found->is_number_integer()) return found->get<std::int64_t>();
  if (!found->is_string()) return 0;
  const auto& text = found->get_ref<const std::string&>();
  std::int64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

std::string text(const Json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

Duration seconds(const Json& object, const char* name) {
  return std::chrono::seconds(number(object, name));
}

// The key after the last one that begins with `prefix`; prefixes end with '/'.
std::string end_of(std::string prefix) {
  ++prefix.back();
  return prefix;
}

Json range_of_first(const std::string& prefix) {
  return {{"request_range",
           {{"key", to_base64(prefix)},
            {"range_end", to_base64(end_of(prefix))},
            {"sort_order", "ASCEND"},
            {"sort_target", "CREATE"},
            {"limit", "1"}}}};
}

Json is_created_at(const std::string& key, std::int64_t create_revision) {
  return {{"key", to_base64(key)},
          {"target", "CREATE"},
          {"result", "EQUAL"},
          {"create_revision", std::to_string(create_revision)}};
}

std::optional<KeyValue> first_key(const Json& response) {
  const auto range = response.find("response_range");
  if (range == response.end()) return std::nullopt;
  const auto found = range->find("kvs");
  if (found == range->end() || found->empty()) return std::nullopt;
  const Json& entry = found->front();
  return KeyValue{.key = from_base64(text(entry, "key")),
                  .value = from_base64(text(entry, "value")),
                  .lease = number(entry, "lease"),
                  .create_revision = number(entry, "create_revision")};
}

}  // namespace

struct Member::Answer {
  Json json;
  std::optional<Error> error;
  std::int64_t code = 0;  // of gRPC, with an error
};

Member::Member(const boost::asio::any_io_executor& loop, const Clock& clock,
               http::Endpoint endpoint, std::shared_ptr<const http::TlsContext> tls,
               std::shared_ptr<Login> login)
    : clock_(clock),
      endpoint_(endpoint),
      client_(loop, std::move(endpoint), std::move(tls)),
      login_(std::move(login)) {}

Member::~Member() = default;

namespace {

ErrorKind kind_of(std::int64_t code) {
  switch (code) {
    case kGrpcNotFound: return ErrorKind::kNotFound;
    case kFailedPrecondition: return ErrorKind::kConflict;
    case kInvalidArgument:
    case kPermissionDenied:
    case kUnauthenticated: return ErrorKind::kDenied;
    default: return ErrorKind::kUnavailable;
  }
}

// The failure in a response, if it is one: also in one with status 200, whose stream had begun.
std::optional<std::pair<std::int64_t, Error>> failure_in(const http::Response& response,
                                                         const Json& json) {
  if (json.is_object()) {
    const auto error = json.find("error");
    if (error != json.end() && error->is_object()) {
      const auto code = std::max(number(*error, "grpc_code"), number(*error, "code"));
      return std::pair(code, Error{kind_of(code), text(*error, "message")});
    }
    if (response.status != 200) {
      const auto code = number(json, "code");
      return std::pair(
          code, Error{kind_of(code),
                      text(json, "message").empty() ? text(json, "error") : text(json, "message")});
    }
    return std::nullopt;
  }
  if (response.status == 404) {
    return std::pair(0,
                     Error{ErrorKind::kInvalid,
                           "a server answers, but not with etcd's JSON API: it needs etcd 3.4 or "
                           "later, started without --enable-grpc-gateway=false"});
  }
  return std::pair(0, Error{ErrorKind::kUnavailable,
                            fmt::format("unexpected answer {} \"{}\"", response.status,
                                        trim(std::string_view(response.body).substr(0, 120)))});
}

// A token that the member does not know (it restarted, the token expired, users changed).
bool wants_new_login(std::int64_t code, std::string_view message) {
  return code == kUnauthenticated || message.find("auth token") != std::string_view::npos ||
         message.find("revision of auth store is old") != std::string_view::npos ||
         message.find("user name is empty") != std::string_view::npos;
}

http::Request post(std::string path, std::string body, const std::string& token) {
  http::Request request{.method = "POST", .target = std::move(path), .body = std::move(body)};
  request.headers["Content-Type"] = "application/json";
  if (!token.empty()) request.headers["Authorization"] = token;
  return request;
}

}  // namespace

Task<Status> Member::log_in(BootInstant until) {
  const Json body = {{"name", login_->user}, {"password", login_->password}};
  const auto response = co_await client_.send(post("/v3/auth/authenticate", body.dump(), ""),
                                              until - clock_.boot_now());
  if (!response) co_return std::unexpected(response.error());
  const Json json = Json::parse(response->body, nullptr, false);
  if (const auto failure = failure_in(*response, json)) {
    // As etcd's own clients do: a user is no error where nobody asks for one.
    if (failure->second.message.find("authentication is not enabled") != std::string::npos) {
      login_->token.clear();
      co_return Status();
    }
    co_return fail(fmt::format("logging in at {} as {}", endpoint_.to_string(), login_->user),
                   failure->second);
  }
  login_->token = text(json, "token");
  co_return Status();
}

Task<Member::Answer> Member::call(std::string path, std::string body, BootInstant until) {
  for (bool may_log_in = !login_->user.empty();; may_log_in = false) {
    if (may_log_in && login_->token.empty()) {
      if (const Status in = co_await log_in(until); !in) co_return Answer{.error = in.error()};
    }
    const Duration left = until - clock_.boot_now();
    if (left <= Duration::zero()) {
      co_return Answer{
          .error = Error{ErrorKind::kTimeout, endpoint_.to_string() + ": no time left to ask"}};
    }
    const auto response = co_await client_.send(post(path, body, login_->token), left);
    if (!response) co_return Answer{.error = response.error()};
    // A stream of one message ends with a line feed, and could go on.
    const std::string_view first_line =
        std::string_view(response->body).substr(0, response->body.find('\n'));
    Json json = Json::parse(first_line, nullptr, false);
    const auto failure = failure_in(*response, json);
    if (!failure) co_return Answer{.json = std::move(json)};
    if (may_log_in && wants_new_login(failure->first, failure->second.message)) {
      login_->token.clear();
      if (const Status in = co_await log_in(until); !in) co_return Answer{.error = in.error()};
      continue;
    }
    co_return Answer{.error = fail(endpoint_.to_string(), failure->second).error(),
                     .code = failure->first};
  }
}

Task<Result<Duration>> Member::grant(std::int64_t lease, Duration ttl, BootInstant until) {
  const auto whole = std::chrono::ceil<std::chrono::seconds>(ttl);
  const Json body = {{"ID", std::to_string(lease)}, {"TTL", std::to_string(whole.count())}};
  const Answer answer = co_await call("/v3/lease/grant", body.dump(), until);
  if (!answer.error) co_return seconds(answer.json, "TTL");
  if (answer.error->message.find("lease already exists") != std::string::npos) co_return whole;
  co_return std::unexpected(*answer.error);
}

Task<Result<Duration>> Member::keep_alive(std::int64_t lease, BootInstant until) {
  const Json body = {{"ID", std::to_string(lease)}};
  const Answer answer = co_await call("/v3/lease/keepalive", body.dump(), until);
  if (answer.error) co_return std::unexpected(*answer.error);
  const auto result = answer.json.find("result");
  const Duration ttl = result == answer.json.end() ? Duration::zero() : seconds(*result, "TTL");
  if (ttl <= Duration::zero()) {
    co_return fail(ErrorKind::kNotFound, "etcd has no such lease: it expired or was revoked");
  }
  co_return ttl;
}

Task<Result<Duration>> Member::time_left(std::int64_t lease, BootInstant until) {
  const Json body = {{"ID", std::to_string(lease)}};
  const Answer answer = co_await call("/v3/lease/timetolive", body.dump(), until);
  if (answer.error) co_return std::unexpected(*answer.error);
  co_return std::max(Duration::zero(), seconds(answer.json, "TTL"));  // -1 of an expired one
}

Task<Status> Member::revoke(std::int64_t lease, BootInstant until) {
  const Json body = {{"ID", std::to_string(lease)}};
  const Answer answer = co_await call("/v3/lease/revoke", body.dump(), until);
  if (answer.error && answer.error->kind != ErrorKind::kNotFound) {
    co_return std::unexpected(*answer.error);
  }
  co_return Status();
}

Task<Status> Member::enter(std::string key, std::string value, std::int64_t lease,
                           BootInstant until) {
  const Json put = {
      {"key", to_base64(key)}, {"value", to_base64(value)}, {"lease", std::to_string(lease)}};
  const Json body = {{"compare", Json::array({is_created_at(key, 0)})},
                     {"success", Json::array({Json{{"request_put", put}}})}};
  const Answer answer = co_await call("/v3/kv/txn", body.dump(), until);
  if (answer.error) co_return std::unexpected(*answer.error);
  co_return Status();
}

Task<Status> Member::remove(std::string key, std::int64_t create_revision, BootInstant until) {
  const Json gone = {{"key", to_base64(key)}};
  const Json body = {{"compare", Json::array({is_created_at(key, create_revision)})},
                     {"success", Json::array({Json{{"request_delete_range", gone}}})}};
  const Answer answer = co_await call("/v3/kv/txn", body.dump(), until);
  if (answer.error) co_return std::unexpected(*answer.error);
  co_return Status();
}

// The ranges make the transaction linearizable, on whatever member: one of a comparison alone would
// be answered from the member's own, perhaps old, copy.
Task<Result<Standing>> Member::standing(std::string prefix, std::string key, std::int64_t lease,
                                        BootInstant until) {
  const Json first = range_of_first(prefix);
  const Json own = {{"request_range", {{"key", to_base64(key)}}}};
  const Json on_our_lease = {{"key", to_base64(key)},
                             {"target", "LEASE"},
                             {"result", "EQUAL"},
                             {"lease", std::to_string(lease)}};
  const Json body = {{"compare", Json::array({on_our_lease})},
                     {"success", Json::array({first, own})},
                     {"failure", Json::array({first})}};
  const Answer answer = co_await call("/v3/kv/txn", body.dump(), until);
  if (answer.error) co_return std::unexpected(*answer.error);
  const auto responses = answer.json.find("responses");
  if (responses == answer.json.end() || !responses->is_array() || responses->empty()) {
    co_return fail(ErrorKind::kInvalid,
                   endpoint_.to_string() + ": the answer to a transaction has no responses");
  }
  Standing standing{.first = first_key((*responses)[0])};
  if (answer.json.value("succeeded", false) && responses->size() > 1) {
    standing.own = first_key((*responses)[1]);
  }
  co_return standing;
}

Task<Status> Member::watch(std::string prefix, BootInstant until, std::function<void()> on_delete) {
  if (!login_->user.empty() && login_->token.empty()) {
    if (const Status in = co_await log_in(until); !in) co_return in;
  }
  const Json body = {{"create_request",
                      {{"key", to_base64(prefix)},
                       {"range_end", to_base64(end_of(prefix))},
                       {"filters", Json::array({"NOPUT"})}}}};
  const auto ended = co_await client_.stream(post("/v3/watch", body.dump(), login_->token),
                                             until - clock_.boot_now(), [&](std::string_view) {
                                               on_delete();
                                               return true;
                                             });
  if (!ended) co_return std::unexpected(ended.error());
  login_->token.clear();  // should it have been refused for its token
  co_return fail(ErrorKind::kUnavailable, "the watch ended");
}

}  // namespace provisioner::etcd
