#include "server/gate.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "server/token.hpp"

namespace provisioner::server {
namespace {

constexpr std::size_t kMostSeen = 4096;
constexpr Duration kUsePrecision = std::chrono::minutes(1);

RateLimit::Rate rate(double per_second) { return {per_second, std::max(1.0, 2 * per_second)}; }

Problem too_many(std::string detail) {
  return {.status = 429, .code = "too_many_requests", .detail = std::move(detail)};
}

}  // namespace

Gate::Gate(Store& store, Clock& clock, AccessPolicy policy, AccessLimits limits)
    : store_(store),
      clock_(clock),
      policy_(std::move(policy)),
      callers_(rate(limits.caller_per_second)),
      total_(rate(limits.total_per_second)),
      refused_({1, limits.refused_burst}) {}

void Gate::set_limits(const AccessLimits& limits) {
  callers_ = RateLimit(rate(limits.caller_per_second));
  total_ = RateLimit(rate(limits.total_per_second));
  refused_ = RateLimit({1, limits.refused_burst});
}

Task<std::expected<Caller, Gate::Refusal>> Gate::admit(const http::Request& request) {
  if (request.peer) {
    auto caller = identify(request, policy_);
    if (caller) co_return std::move(*caller);
    co_return std::unexpected(
        Refusal{std::move(caller.error()), fmt::format("uid:{}", request.peer->uid)});
  }
  const std::string address = "tcp:" + request.remote_address;
  const BootInstant now = clock_.boot_now();
  const auto refuse_quietly = [&](std::string detail) {
    return std::unexpected(Refusal{too_many(std::move(detail)), address, false});
  };
  if (!total_.take("", now)) co_return refuse_quietly("the API is asked too often: wait a moment");

  const auto token = bearer_of(request);
  const bool is_known = token && *token && seen_good_.contains(hash_token(**token));
  if (!is_known && !refused_.has(address, now)) {
    co_return refuse_quietly(
        fmt::format("too many requests from {} were refused: look at the token it sends, then "
                    "wait a moment",
                    request.remote_address));
  }
  std::expected<Caller, Problem> caller = std::unexpected(Problem{});
  if (!token) {
    caller = std::unexpected(token.error());
  } else if (*token) {
    caller = co_await find_token(request, **token);
  } else {
    caller = identify(request, policy_);
  }
  if (!caller) {
    if (caller.error().status == 401) refused_.take(address, now);
    co_return std::unexpected(Refusal{std::move(caller.error()), address});
  }
  if (!callers_.take(caller->actor, now)) {
    co_return refuse_quietly(
        fmt::format("{} asks too often: wait a moment, or follow /api/v1/events", caller->actor));
  }
  co_return std::move(*caller);
}

Task<std::expected<Caller, Problem>> Gate::find_token(const http::Request& request,
                                                      const std::string& token) {
  const std::string hash = hash_token(token);
  const Result<ApiToken> row = co_await store_.token_by_hash(hash);
  if (!row && row.error().kind != ErrorKind::kNotFound) {
    co_return std::unexpected(problem_of(row.error()));
  }
  if (!row || !is_same_secret(row->hash, hash)) co_return std::unexpected(unknown_token());
  const Instant now = clock_.now();
  auto caller = caller_of(*row, request, now);
  if (!caller) {
    seen_good_.erase(hash);
    co_return caller;
  }
  remember(hash);
  if (!row->last_used_at || now - *row->last_used_at >= kUsePrecision) {
    // Only for people to see; a store that cannot note it now can the next time.
    (void)co_await store_.touch_token(row->id, now);
  }
  co_return caller;
}

void Gate::remember(const std::string& hash) {
  if (seen_good_.size() >= kMostSeen) seen_good_.clear();
  seen_good_.insert(hash);
}

Task<bool> Gate::is_still_welcome(const Caller& caller) {
  const Result<ApiToken> row = co_await store_.token_by_hash(caller.token_hash);
  if (!row) co_return row.error().kind != ErrorKind::kNotFound;
  co_return !row->revoked_at && !is_expired(*row, clock_.now());
}

}  // namespace provisioner::server
