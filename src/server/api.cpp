#include "server/api.hpp"

#include <fmt/format.h>

#include <exception>

#include "server/routes.hpp"

namespace provisioner::server {
namespace {

constexpr std::string_view kRunnerPrefix = "/runner/v1/";
constexpr std::string_view kApiPrefix = "/api/";
constexpr std::string_view kCorrelationHeader = "X-Correlation-Id";
// How long a stream goes on without asking whether its token still holds.
constexpr Duration kWelcome = std::chrono::milliseconds(500);

}  // namespace

struct Api::State : Services {
  using Services::Services;

  Task<http::Response> answer(http::Request request, CorrelationId correlation);
  Task<http::Response> call(http::Request request, CorrelationId correlation);
  CorrelationId correlation_of(const http::Request& request) const;
  ProbeView probe_view() const;
  std::optional<Problem> check(const Caller& caller, const Match& match) const;
  http::Response while_welcome(http::Response response, Caller caller);
  Task<> audit(LogFields about, std::string actor, std::string action, std::string target,
               std::string outcome);

  Gate gate{parts.store, parts.clock, parts.access, parts.limits};
};

Api::Api(Parts parts) : state_(std::make_unique<State>(std::move(parts))) {
  state_->feed_epoch = state_->parts.random.incarnation().value;
}

Api::~Api() = default;

Task<http::Response> Api::handle(http::Request request) {
  const std::string what = fmt::format("{} {}", request.method, request.path());
  const CorrelationId correlation = state_->correlation_of(request);
  std::string bug;
  try {
    http::Response response = co_await state_->answer(std::move(request), correlation);
    if (!correlation.empty()) response.headers[std::string(kCorrelationHeader)] = correlation.value;
    co_return response;
  } catch (const std::exception& e) {
    bug = e.what();
  }
  const auto cancelled = (co_await boost::asio::this_coro::cancellation_state).cancelled();
  if (cancelled == boost::asio::cancellation_type::none) {
    state_->parts.log.error(fmt::format("a bug: {} threw: {}", what, bug),
                            {{"correlation_id", correlation.value}});
  }
  http::Response response = render(Problem{
      .status = 500, .code = "internal_error", .detail = "a bug of the daemon; its log says more"});
  response.headers[std::string(kCorrelationHeader)] = correlation.value;
  co_return response;
}

void Api::set_limits(const AccessLimits& limits) { state_->gate.set_limits(limits); }

// The caller's, else a new one; "" for what is no part of the API.
CorrelationId Api::State::correlation_of(const http::Request& request) const {
  if (!request.target.starts_with(kApiPrefix)) return {};
  auto given = parse_traceparent(request.header("traceparent"));
  return given ? *std::move(given) : parts.random.correlation_id();
}

Task<http::Response> Api::State::answer(http::Request request, CorrelationId correlation) {
  if (request.target.starts_with(kRunnerPrefix) && request.peer && parts.runner_api) {
    co_return co_await parts.runner_api(std::move(request));
  }
  if (auto probed = answer_probe(request, probe_view())) co_return std::move(*probed);
  if (request.target.starts_with(kApiPrefix)) {
    co_return co_await call(std::move(request), std::move(correlation));
  }
  co_return render(
      Problem{.status = 404, .code = "no_such_path", .detail = "nothing is served here"});
}

ProbeView Api::State::probe_view() const {
  return {.version = parts.version,
          .instance = parts.instance,
          .now = now(),
          .leads = parts.leader().leads,
          .readiness = parts.readiness(),
          .checks = parts.health()};
}

Task<http::Response> Api::State::call(http::Request request, CorrelationId correlation) {
  const auto match = find_route(request.method, request.target);
  if (!match) {
    http::Response response = render(match.error());
    if (match.error().status == 405) {
      std::string allowed;
      for (const auto& method : match.error().choices) {
        allowed += (allowed.empty() ? "" : ", ") + method;
      }
      response.headers["Allow"] = allowed;
    }
    co_return response;
  }
  const Route& route = *match->route;
  // A look is audited only when it is refused.
  const std::string action = route.action.empty()
                                 ? fmt::format("{} {}", route.method, route.pattern)
                                 : std::string(route.action);
  const bool of_job = route.pattern.contains("{job}");
  const std::string first = match->params.empty() ? "" : match->params[0];
  const std::string target = of_job ? fmt::format("{}:{}", first, match->params[1]) : first;
  LogFields about = {{"correlation_id", correlation.value}};
  if (route.pattern.contains("{workspace}")) about.emplace_back("workspace", first);
  if (of_job) about.emplace_back("job", match->params[1]);
  if (route.pattern.contains("{run}")) about.emplace_back("run_id", target);
  auto caller = co_await gate.admit(request);
  if (!caller) {
    const Gate::Refusal& refusal = caller.error();
    if (refusal.is_noted) {
      co_await audit(about, refusal.actor, action, target, "refused: " + refusal.problem.detail);
    }
    co_return render(refusal.problem);
  }
  const std::string actor = caller->actor;
  if (const auto refusal = check(*caller, *match)) {
    co_await audit(about, actor, action, target, "refused: " + refusal->detail);
    co_return render(*refusal);
  }
  Reply reply = co_await route.handler(*this, Call{.request = std::move(request),
                                                   .caller = *caller,
                                                   .correlation = correlation,
                                                   .params = match->params});
  const bool has_token = !caller->token_hash.empty();
  if (reply && reply->stream && has_token)
    reply = while_welcome(std::move(*reply), std::move(*caller));
  if (!route.action.empty()) {
    std::string outcome = "accepted";
    if (!reply) {
      outcome = "refused: " + reply.error().detail;
    } else if (reply->status >= 400) {
      outcome = fmt::format("refused: {}", http::reason_phrase(reply->status));
    }
    co_await audit(about, actor, action, target, std::move(outcome));
  }
  if (!reply && reply.error().status >= 500) {
    parts.log.warning(fmt::format("{}: {}", action, reply.error().detail), about);
  }
  co_return reply ? std::move(*reply) : render(reply.error());
}

std::optional<Problem> Api::State::check(const Caller& caller, const Match& match) const {
  const Route& route = *match.route;
  if (auto refusal = check_role(caller, route.role, gate.policy())) return refusal;
  if (route.pattern.contains("{workspace}")) {
    return check_scope(caller, workspace_in(match));
  }
  if (route.reach == Reach::kEverything) return check_reaches_everything(caller);
  return std::nullopt;
}

// A stream may last for days: it ends soon after the token that began it.
http::Response Api::State::while_welcome(http::Response response, Caller caller) {
  response.stream = [this, caller = std::move(caller),
                     stream = std::move(response.stream)](http::WriteChunk write) -> Task<> {
    BootInstant asked = parts.clock.boot_now();
    co_await stream([&, write](std::string_view chunk) -> Task<Status> {
      const BootInstant now = parts.clock.boot_now();
      if (now - asked >= kWelcome) {
        asked = now;
        if (!co_await gate.is_still_welcome(caller)) {
          co_return fail(ErrorKind::kDenied, "the token does not hold any more");
        }
      }
      co_return co_await write(chunk);
    });
  };
  return response;
}

// What was done stays done when the store cannot take the note: the log has it.
Task<> Api::State::audit(LogFields about, std::string actor, std::string action, std::string target,
                         std::string outcome) {
  parts.log.info(fmt::format("{} by {}: {}", action, actor, outcome), about);
  const Status noted = co_await parts.store.audit(
      {.at = now(), .actor = actor, .action = action, .target = target, .outcome = outcome});
  if (!noted) {
    parts.log.warning(fmt::format("not audited ({}): {} by {} on {}: {}", noted.error().message,
                                  action, actor, target, outcome),
                      std::move(about));
  }
}

}  // namespace provisioner::server
