#include "tofu/faults.hpp"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <span>

namespace provisioner::tofu {
namespace {

using Words = std::span<const std::string_view>;

// Lower case, and one space wherever there is any: tofu wraps its lines.
std::string normalised(std::string_view text) {
  constexpr std::size_t kMost = 64 * 1024;
  std::string result;
  for (const char c : text.substr(0, kMost)) {
    const bool space = c == ' ' || c == '\n' || c == '\r' || c == '\t';
    if (!space) {
      result += c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    } else if (!result.empty() && result.back() != ' ') {
      result += ' ';
    }
  }
  return result;
}

bool has_any(const std::string& text, Words words) {
  return std::ranges::any_of(words, [&](std::string_view word) { return text.contains(word); });
}

// Error codes of AWS, Azure, Google and others for requests that may be repeated as they are.
constexpr std::string_view kRepeatable[] = {
    "throttl",
    "requestlimitexceeded",
    "request limit exceeded",
    "rate exceeded",
    "ratelimitexceeded",
    "rate_limit_exceeded",
    "toomanyrequests",
    "too many requests",
    "slowdown",
    "slow down",
    "requesttimeout",
    "serviceunavailable",
    "rate limit",
    "backenderror",
    "retryableerror",
    "provisionedthroughputexceeded",
};

constexpr std::string_view kDeniedCodes[] = {
    "accessdenied",
    "access denied",
    "access_denied",
    "unauthorizedoperation",
    "unauthorizedaccess",
    "expiredtoken",
    "invalidclienttokenid",
    "unrecognizedclientexception",
    "invalidaccesskeyid",
    "signaturedoesnotmatch",
    "authfailure",
    "authorizationfailed",
    "authorizationpermissionmismatch",
    "linkedauthorizationfailed",
    "invalidauthenticationtoken",
    "aadsts",
    "invalid_grant",
    "invalid_client",
    "permissiondenied",
    "permission_denied",
    "permission denied",
    "no valid credential sources",
    "could not find default credentials",
    "unauthenticated",
    "is forbidden",
    "401 unauthorized",
    "403 forbidden",
    "unauthorized",
};

constexpr std::string_view kQuotaCodes[] = {
    "quotaexceeded",
    "quota exceeded",
    "quota_exceeded",
    "exceeded quota",
    "exceeding approved",
    "resource_exhausted",
    "limitexceeded",
    "limit exceeded",
    "exceeded your",
    "quota 'cpus'",
    "insufficient quota",
    "skunotavailable",
    "zone_resource_pool_exhausted",
};

constexpr std::string_view kExistsCodes[] = {
    "already exists",     "alreadyexists",        "already_exists", "alreadyownedbyyou",
    "entityalreadyexist", "roleassignmentexists", ".duplicate:",    "already exist",
};

constexpr std::string_view kNetwork[] = {
    "connection refused",
    "connection reset by",
    "connection timed out",
    "i/o timeout",
    "tls handshake timeout",
    "temporary failure in name resolution",
    "server misbehaving",
    "network is unreachable",
    "no route to host",
    "client.timeout exceeded",
    "\": context deadline exceeded",
    "\": unexpected eof",
    "\": eof",
    "broken pipe",
    "http2: server sent goaway",
    "bad gateway",
    "gateway timeout",
};

// The resource took longer than its own limit: the network is well, and so is the service.
constexpr std::string_view kNotReadyInTime[] = {
    "while waiting for",
    "waiting for the condition",
    "waiting for a condition",
    "polling after",
};

constexpr std::string_view kLastResort[] = {
    "connection refused", "timeout",    "timed out",
    "temporary failure",  "rate limit", "service unavailable",
};

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return c >= 'a' && c <= 'z'; }

// The first HTTP status of a failure that is called one: "StatusCode: 503", "unexpected status
// 429", "googleapi: Error 503:", "HTTP response code 502".
std::optional<int> http_status(const std::string& text) {
  constexpr std::string_view kCalled[] = {"status", "error",    "code",
                                          "http",   "response", "returned"};
  constexpr std::size_t kNear = 14;
  for (std::size_t i = 1; i + 3 <= text.size(); ++i) {
    if ((text[i] != '4' && text[i] != '5') || !is_digit(text[i + 1]) || !is_digit(text[i + 2])) {
      continue;
    }
    const char before = text[i - 1];
    const char after = i + 3 < text.size() ? text[i + 3] : ' ';
    if (is_digit(after) || is_letter(after) || after == '-') continue;
    if (before != ' ' && before != ':' && before != '=' && before != '(') continue;
    const std::size_t from = i > kNear ? i - kNear : 0;
    const std::string near = text.substr(from, i - from);
    if (has_any(near, kCalled)) {
      return (text[i] - '0') * 100 + (text[i + 1] - '0') * 10 + (text[i + 2] - '0');
    }
  }
  return std::nullopt;
}

bool belongs_to_host(char c) {
  return is_letter(c) || is_digit(c) || c == '.' || c == '-' || c == '_' || c == ':' || c == '[' ||
         c == ']';
}

std::string host_at(const std::string& text, std::size_t at) {
  std::size_t end = at;
  while (end < text.size() && belongs_to_host(text[end])) ++end;
  // A URL may bring a user: "https://name:secret@host/".
  if (end < text.size() && text[end] == '@') return host_at(text, end + 1);
  std::string host = text.substr(at, end - at);
  while (!host.empty() && (host.back() == ':' || host.back() == '.')) host.pop_back();
  for (const std::string_view port : {":443", ":80"}) {
    if (host.ends_with(port)) host.resize(host.size() - port.size());
  }
  constexpr std::size_t kLongestName = 253;
  return host.size() > kLongestName ? "" : host;
}

// The host after the first of the words; they are tried one after the other.
std::string host_after(const std::string& text, Words words) {
  for (const std::string_view word : words) {
    const auto found = text.find(word);
    if (found == std::string::npos) continue;
    std::string host = host_at(text, found + word.size());
    if (!host.empty()) return host;
  }
  return "";
}

}  // namespace

std::string_view to_string(FailureKind kind) {
  switch (kind) {
    case FailureKind::kConfiguration: return "configuration";
    case FailureKind::kDenied: return "denied";
    case FailureKind::kQuota: return "quota";
    case FailureKind::kExists: return "exists";
    case FailureKind::kTransient: return "transient";
    case FailureKind::kLocked: return "locked";
    case FailureKind::kPlanStale: return "plan_stale";
    case FailureKind::kStateRefused: return "state_refused";
    case FailureKind::kStateUnsaved: return "state_unsaved";
    case FailureKind::kInterrupted: return "interrupted";
    case FailureKind::kOther: return "other";
  }
  return "other";
}

FailureKind kind_of_fault(std::string_view text) {
  const std::string said = normalised(text);
  const bool of_a_day = said.contains("quota") && said.contains("per day");
  if (has_any(said, kRepeatable) && !of_a_day) return FailureKind::kTransient;
  if (has_any(said, kDeniedCodes)) return FailureKind::kDenied;
  if (has_any(said, kQuotaCodes)) return FailureKind::kQuota;
  if (has_any(said, kExistsCodes)) return FailureKind::kExists;
  if (const auto status = http_status(said)) {
    if (*status == 401 || *status == 403) return FailureKind::kDenied;
    const bool passes = *status == 408 || *status == 429 || *status >= 500;
    return passes ? FailureKind::kTransient : FailureKind::kOther;
  }
  if (has_any(said, kNetwork)) return FailureKind::kTransient;
  if (has_any(said, kNotReadyInTime)) return FailureKind::kOther;
  return has_any(said, kLastResort) ? FailureKind::kTransient : FailureKind::kOther;
}

std::string host_in(std::string_view text) {
  // What was asked for, then what was looked up or dialled, then what tofu says in its own words.
  constexpr std::string_view kAsked[] = {
      "get \"https://",  "get \"http://",   "post \"https://",   "post \"http://",
      "put \"https://",  "put \"http://",   "patch \"https://",  "patch \"http://",
      "head \"https://", "head \"http://",  "delete \"https://", "delete \"http://",
      "get https://",    "post https://",   "put https://",      "patch https://",
      "head https://",   "delete https://",
  };
  constexpr std::string_view kReached[] = {"dial tcp: lookup ",
                                           "lookup ",
                                           "dial tcp ",
                                           "could not connect to ",
                                           "failed to connect to ",
                                           "unable to access 'https://",
                                           "unable to access 'http://"};
  const std::string said = normalised(text);
  std::string host = host_after(said, kAsked);
  return host.empty() ? host_after(said, kReached) : host;
}

}  // namespace provisioner::tofu
