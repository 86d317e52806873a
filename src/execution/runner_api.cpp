#include "execution/runner_api.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "config/workspace_file.hpp"
#include "execution/recovery.hpp"
#include "execution/store_state_backend.hpp"

namespace provisioner::execution {
namespace {

using namespace std::chrono_literals;

http::Response refusal(const Error& error) {
  auto response =
      http::json_response(runner::status_of(error.kind), runner::encode(runner::problem_of(error)));
  if (response.status == 503) response.headers["Retry-After"] = "1";
  return response;
}

http::Response refusal(ErrorKind kind, std::string message) {
  return refusal(Error{kind, std::move(message)});
}

http::Response empty_response(int status) {
  http::Response response;
  response.status = status;
  return response;
}

http::Response answer(const Status& status, int good) {
  return status ? empty_response(good) : refusal(status.error());
}

std::optional<std::int64_t> number_in(const http::Request& request, std::string_view name) {
  const auto text = request.query(name);
  std::int64_t number = 0;
  if (!text) return std::nullopt;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), number);
  if (error != std::errc() || end != text->data() + text->size() || number < 0) return std::nullopt;
  return number;
}

std::string lock_id_of(const std::string& info_json) {
  const auto info = nlohmann::json::parse(info_json, nullptr, false);
  if (!info.is_object() || !info.contains("ID") || !info["ID"].is_string()) return "";
  return info["ID"].get<std::string>();
}

Error over(const AttemptFence& fence) {
  return {ErrorKind::kFenced, fmt::format("attempt {} of run {} is over, or has another claim",
                                          fence.attempt.value, fence.run.value)};
}

std::string sentence_of(const AttemptResult& result) {
  if (result.status == RunStatus::kSucceeded) return "Completed successfully";
  return fmt::format("Ended: {}{}{}", to_string(result.status), result.error.empty() ? "" : ": ",
                     result.error);
}

// One entry among the watchers, for as long as its request waits.
class Watching {
 public:
  Watching(std::multimap<std::string, Signal*>& watchers, const RunId& run, Signal& wake)
      : watchers_(watchers), place_(watchers.emplace(run.value, &wake)) {}
  ~Watching() { watchers_.erase(place_); }
  Watching(const Watching&) = delete;
  Watching& operator=(const Watching&) = delete;

 private:
  std::multimap<std::string, Signal*>& watchers_;
  std::multimap<std::string, Signal*>::iterator place_;
};

// When a successful deploy of this definition is to be destroyed again.
std::optional<Instant> ttl_of(const Run& run, Instant now) {
  const auto parsed = parse_workspace(run.workspace, run.definition.config, run.workspace.value);
  if (!parsed || !parsed->spec.ttl) return std::nullopt;
  return now + *parsed->spec.ttl;
}

}  // namespace

RunnerApi::RunnerApi(Parts parts) : parts_(std::move(parts)) {
  subscription_ = parts_.store.subscribe([this](const Change& change) {
    if (change.topic != Change::Topic::kCancel && change.topic != Change::Topic::kRun) return;
    const auto [first, last] = watchers_.equal_range(change.key);
    for (auto it = first; it != last; ++it) it->second->notify();
  });
}

RunnerApi::~RunnerApi() = default;

void RunnerApi::expect(const ClaimedRun& claimed) {
  known_.try_emplace(AttemptKey(claimed.fence.run, claimed.fence.attempt),
                     Known{claimed.run, 0, ""});
}

void RunnerApi::attempt_ended(const RunId& run, Attempt attempt, RunStatus how,
                              const std::string& sentence) {
  if (how == RunStatus::kInterrupted) ++interrupted_;
  if (parts_.retries != nullptr) parts_.retries->interrupted(run);
  forget(AttemptKey(run, attempt), how, sentence);
}

std::size_t RunnerApi::running(Operation operation) const {
  return static_cast<std::size_t>(std::ranges::count_if(
      known_, [&](const auto& entry) { return entry.second.run.operation == operation; }));
}

void RunnerApi::release_watchers() {
  releasing_ = true;
  for (auto& [run, signal] : watchers_) signal->notify();
}

Task<http::Response> RunnerApi::handle(http::Request request) {
  auto fence = runner::parse_authorization(request.header("Authorization"));
  if (!fence) co_return refusal(fence.error());
  const std::string path = request.path();
  const std::string method = request.method;
  if (path == runner::kStatePath) {
    auto response = co_await state(*fence, std::move(request));
    if (method != "GET") log_if_fenced(*fence, method, response);
    co_return response;
  }
  if (method == "GET" && path == runner::kWatchPath) {
    co_return co_await watch(std::move(*fence), std::move(request));
  }
  if (method == "POST") {
    if (path == runner::kRegisterPath) {
      co_return co_await register_attempt(std::move(*fence), std::move(request.body));
    }
    if (path == runner::kHeartbeatPath) co_return co_await heartbeat(std::move(*fence));
    if (path == runner::kLogPath) {
      co_return co_await append_log(std::move(*fence), std::move(request));
    }
    if (path == runner::kRecoverPath) {
      co_return co_await recover(std::move(*fence), std::move(request.body));
    }
    if (path == runner::kFinishPath) {
      co_return co_await finish(std::move(*fence), std::move(request.body));
    }
  }
  co_return refusal(ErrorKind::kNotFound,
                    fmt::format("runners have no request {} {}", method, path));
}

// For reads, and for what a write needs to know of its run; the write itself carries the claim into
// the store's transaction, which decides.
Task<Result<ClaimedRun>> RunnerApi::authenticate(AttemptFence fence) {
  auto claimed = co_await parts_.store.find_claim(fence.claim);
  if (!claimed) co_return std::unexpected(claimed.error());
  if (!*claimed || (*claimed)->fence != fence) co_return std::unexpected(over(fence));
  co_return std::move(**claimed);
}

Task<http::Response> RunnerApi::register_attempt(AttemptFence fence, std::string body) {
  const auto registration = runner::decode_registration(body);
  if (!registration) co_return refusal(registration.error());
  const AttemptKey key(fence.run, fence.attempt);
  // Of a run that this daemon claimed the registration itself checks the claim.
  std::optional<Run> run;
  if (const auto known = known_.find(key); known != known_.end()) {
    run = known->second.run;
  } else {
    const auto claimed = co_await authenticate(fence);
    if (!claimed) co_return refusal(claimed.error());
    run = claimed->run;
  }
  if (auto registered = co_await parts_.store.register_attempt(fence, registration->process);
      !registered) {
    co_return refusal(registered.error());
  }
  known_.try_emplace(key, Known{*run, 0, ""});
  auto assignment = co_await parts_.assign(*run, registration->process.directory);
  if (assignment) co_return http::json_response(200, runner::encode(*assignment));
  if (assignment.error().kind != ErrorKind::kInvalid &&
      assignment.error().kind != ErrorKind::kNotFound) {
    co_return refusal(assignment.error());
  }
  // Nothing was started yet: the run ends here, with a sentence that says what to mend.
  AttemptResult result;
  result.status = RunStatus::kFailed;
  result.error = assignment.error().message;
  const auto ended = co_await parts_.store.finish_attempt(fence, result, parts_.clock.now());
  if (!ended) co_return refusal(ended.error());
  forget(key, result.status, sentence_of(result));
  parts_.log.warning("a run failed before it began: " + result.error,
                     {{"run_id", fence.run.value},
                      {"correlation_id", run->correlation_id.value},
                      {"workspace", run->workspace.value}});
  co_return refusal(ErrorKind::kFenced, result.error);
}

Task<http::Response> RunnerApi::heartbeat(AttemptFence fence) {
  const auto beat =
      co_await parts_.store.heartbeat(std::move(fence), parts_.clock.now() + parts_.lease);
  if (!beat) co_return refusal(beat.error());
  co_return http::json_response(200, runner::encode(runner::Heartbeat{beat->cancel_requested}));
}

Task<http::Response> RunnerApi::watch(AttemptFence fence, http::Request request) {
  constexpr std::int64_t kLongest = 60;
  const auto seconds = std::min(number_in(request, "seconds").value_or(30), kLongest);
  const auto deadline = parts_.clock.boot_now() + std::chrono::seconds(seconds);
  if (const auto claimed = co_await authenticate(fence); !claimed) {
    co_return refusal(claimed.error());
  }
  // Notifications make it quick, looking every second makes it certain.
  constexpr Duration kLook = 1s;
  Signal wake(co_await boost::asio::this_coro::executor);
  const Watching watching(watchers_, fence.run, wake);
  while (true) {
    const auto run = co_await parts_.store.run(fence.run);
    if (!run) co_return refusal(run.error());
    if (run->status != RunStatus::kRunning || run->attempt != fence.attempt) {
      co_return refusal(over(fence));
    }
    const auto now = parts_.clock.boot_now();
    if (run->cancel_requested || releasing_ || now >= deadline) {
      co_return http::json_response(200, runner::encode(runner::Heartbeat{run->cancel_requested}));
    }
    co_await wake.wait_until(parts_.clock, std::min(deadline, now + kLook));
  }
}

Task<http::Response> RunnerApi::append_log(AttemptFence fence, http::Request request) {
  const auto offset = number_in(request, "offset");
  if (!offset) co_return refusal(ErrorKind::kInvalid, "offset: a number of bytes is expected");
  const auto appended = co_await parts_.store.append_log(fence, *offset, request.body);
  if (appended) co_await tee(fence, *offset, std::move(request.body));
  co_return answer(appended, 204);
}

Task<http::Response> RunnerApi::state(AttemptFence fence, http::Request request) {
  const auto claimed = co_await authenticate(fence);
  if (!claimed) co_return refusal(claimed.error());
  StoreStateBackend backend(parts_.store, parts_.clock, slot_of(claimed->run), fence,
                            fmt::format("run {}", fence.run.value));
  if (request.method == "GET") {
    auto body = co_await backend.read();
    if (!body) co_return refusal(body.error());
    if (!*body) co_return empty_response(204);
    co_return http::json_response(200, std::move(**body));
  }
  if (request.method == "POST") {
    const std::string lock_id = request.query("ID").value_or("");
    co_return answer(co_await backend.write(lock_id, std::move(request.body)), 200);
  }
  const std::string lock_id = lock_id_of(request.body);
  if (request.method == "UNLOCK") co_return answer(co_await backend.unlock(lock_id), 200);
  if (request.method == "LOCK") {
    if (lock_id.empty()) co_return refusal(ErrorKind::kInvalid, "ID: a lock needs one");
    auto in_the_way = co_await backend.lock(lock_id, std::move(request.body));
    if (!in_the_way) co_return refusal(in_the_way.error());
    if (!*in_the_way) co_return empty_response(200);
    co_return http::json_response(423, std::move(**in_the_way));
  }
  co_return refusal(ErrorKind::kInvalid, fmt::format("the state does not take {}", request.method));
}

Task<http::Response> RunnerApi::recover(AttemptFence fence, std::string body) {
  const auto claimed = co_await authenticate(fence);
  if (!claimed) co_return refusal(claimed.error());
  const auto handed_over =
      co_await hand_over_state(parts_.store, parts_.clock.now(), *claimed, std::move(body));
  if (!handed_over) {
    // "conflict" would tell the runner that the state is kept and may be deleted.
    Error error = handed_over.error();
    if (error.kind == ErrorKind::kConflict) error.kind = ErrorKind::kUnavailable;
    co_return refusal(error);
  }
  if (handed_over->accepted) co_return empty_response(200);
  parts_.log.error(
      "a recovered state was kept apart and the workspace is held: " + handed_over->sentence,
      {{"run_id", fence.run.value},
       {"correlation_id", claimed->run.correlation_id.value},
       {"workspace", claimed->run.workspace.value}});
  co_return refusal(ErrorKind::kConflict, handed_over->sentence);
}

Task<http::Response> RunnerApi::finish(AttemptFence fence, std::string body) {
  auto last = runner::decode_finish(body);
  if (!last) co_return refusal(last.error());
  AttemptResult* const result = &last->result;
  const Instant now = parts_.clock.now();
  const AttemptKey key(fence.run, fence.attempt);
  std::optional<Run> run;
  if (const auto known = known_.find(key); known != known_.end()) {
    run = known->second.run;
  } else {
    const auto claimed = co_await parts_.store.find_claim(fence.claim);
    if (!claimed) co_return refusal(claimed.error());
    if (*claimed) run = (*claimed)->run;
  }
  if (run && result->status == RunStatus::kSucceeded && run->operation == Operation::kDeploy &&
      run->job.empty()) {
    result->ttl_expires_at = ttl_of(*run, now);
  }
  if (run && parts_.retries != nullptr) result->retry = parts_.retries->offer(*run, *result);
  const auto finished = co_await parts_.store.finish_attempt(
      fence, *result, now, LogEnd{.offset = last->log_offset, .text = last->log});
  if (finished) {
    if (run) {
      take(known_.try_emplace(key, Known{*run, last->log_offset, ""}).first->second,
           last->log_offset, last->log);
    }
    const auto retry_at =
        result->retry ? co_await accepted(fence) : std::optional<Instant>(std::nullopt);
    if (run && result->status == RunStatus::kInterrupted) ++interrupted_;
    if (retry_at) {
      forget(key, RunStatus::kQueued, std::string(trim(result->retry->announcement)));
    } else {
      forget(key, result->status, sentence_of(*result));
    }
    if (run) {
      if (parts_.retries != nullptr) parts_.retries->ended(*run, *result, retry_at);
      log_end(*run, *result, retry_at);
      if (parts_.acknowledged && !retry_at) parts_.acknowledged(*run, *result);
    }
  }
  co_return answer(finished, 204);
}

// Somebody who thought that he may write: a runner that slept through its lease, for example.
void RunnerApi::log_if_fenced(const AttemptFence& fence, const std::string& method,
                              const http::Response& response) const {
  if (response.status != runner::status_of(ErrorKind::kFenced)) return;
  const Error error = runner::error_of(response.status, response.body);
  if (error.kind != ErrorKind::kFenced) return;
  LogFields fields = {{"run_id", fence.run.value},
                      {"attempt", std::to_string(fence.attempt.value)}};
  if (const auto known = known_.find(AttemptKey(fence.run, fence.attempt)); known != known_.end()) {
    fields.emplace_back("correlation_id", known->second.run.correlation_id.value);
  }
  parts_.log.warning(fmt::format("refused to {} a state for an attempt that is over: {}",
                                 method == "POST"   ? "write"
                                 : method == "LOCK" ? "lock"
                                                    : "unlock",
                                 error.message),
                     std::move(fields));
}

Task<std::optional<Instant>> RunnerApi::accepted(AttemptFence fence) {
  const auto run = co_await parts_.store.run(fence.run);
  if (!run || run->attempt != fence.attempt || !waits_for_retry(*run)) co_return std::nullopt;
  co_return run->not_before;
}

void RunnerApi::log_end(const Run& run, const AttemptResult& result,
                        std::optional<Instant> retry_at) const {
  const LogFields fields = {{"workspace", run.workspace.value},
                            {"run_id", run.id.value},
                            {"correlation_id", run.correlation_id.value},
                            {"attempt", std::to_string(run.attempt.value)}};
  if (result.status == RunStatus::kSucceeded) {
    // A script or command has no resources to count.
    parts_.log.info(run.operation == Operation::kJob
                        ? fmt::format("job {} succeeded", run.job.value)
                        : fmt::format("{} succeeded: {} added, {} changed, {} destroyed",
                                      to_string(run.operation), result.resources.add,
                                      result.resources.change, result.resources.destroy),
                    fields);
  } else if (retry_at) {
    parts_.log.warning(
        fmt::format("{} failed and is tried again at {}: {}", to_string(run.operation),
                    format_rfc3339(*retry_at), result.error),
        fields);
  } else {
    parts_.log.warning(
        fmt::format("{} {}: {}", to_string(run.operation), to_string(result.status), result.error),
        fields);
  }
}

Task<> RunnerApi::tee(const AttemptFence& fence, std::int64_t offset, std::string text) {
  const AttemptKey key(fence.run, fence.attempt);
  auto known = known_.find(key);
  if (known == known_.end()) {
    auto run = co_await parts_.store.run(fence.run);
    if (!run) co_return;  // the store has the log; this file is a convenience
    known = known_.try_emplace(key, Known{std::move(*run), offset, ""}).first;
  }
  take(known->second, offset, text);
  auto& [run, log_end, rest] = known->second;
  const auto end = rest.rfind('\n');
  if (end == std::string::npos) co_return;
  parts_.workspace_log.write(run.workspace, parts_.clock.now(), log_subject(run),
                             rest.substr(0, end));
  rest.erase(0, end + 1);
}

// A repeated piece adds only what is new.
void RunnerApi::take(Known& known, std::int64_t offset, std::string_view text) {
  const auto size = static_cast<std::int64_t>(text.size());
  const auto repeated = std::clamp<std::int64_t>(known.log_end - offset, 0, size);
  known.rest += text.substr(static_cast<std::size_t>(repeated));
  known.log_end = std::max(known.log_end, offset + size);
}

void RunnerApi::forget(const AttemptKey& attempt, RunStatus how, const std::string& sentence) {
  const auto known = known_.find(attempt);
  if (known == known_.end()) return;
  auto& [run, log_end, rest] = known->second;
  if (!rest.empty() && !rest.ends_with('\n')) rest += '\n';
  parts_.workspace_log.write(run.workspace, parts_.clock.now(), log_subject(run), rest + sentence);
  if (on_end_) on_end_(run, how);
  known_.erase(known);
}

}  // namespace provisioner::execution
