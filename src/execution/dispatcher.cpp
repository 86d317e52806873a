#include "execution/dispatcher.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "runtime/first_of.hpp"

namespace provisioner::execution {
namespace {

using namespace std::chrono_literals;

constexpr Duration kLookAgain = 1s;

std::string_view beginning_of(const Run& run) {
  switch (run.operation) {
    case Operation::kDeploy: return "deployment";
    case Operation::kDestroy: return "destruction";
    case Operation::kPlan: return "plan";
    case Operation::kJob: return "job";
  }
  return "run";
}

std::string_view cause_of(const Run& run) {
  switch (run.trigger) {
    case Trigger::kSchedule: return "scheduled";
    case Trigger::kManual: return "manual";
    case Trigger::kEvent: return "event-triggered";
    case Trigger::kChange: return "change-triggered";
    case Trigger::kTtl: return "ttl-triggered";
    case Trigger::kRetry: return "repeated";
  }
  return "";
}

// What the store may answer tomorrow.
bool may_pass(ErrorKind kind) {
  return kind == ErrorKind::kUnavailable || kind == ErrorKind::kAmbiguous ||
         kind == ErrorKind::kTimeout;
}

}  // namespace

Dispatcher::Dispatcher(Parts parts, DispatcherSettings settings)
    : parts_(std::move(parts)),
      settings_(std::move(settings)),
      supervisor_({
          .loop = parts_.loop,
          .store = parts_.store,
          .clock = parts_.clock,
          .launcher = parts_.launcher,
          .log = parts_.log,
          .state_dir = settings_.state_dir,
          .me = settings_.instance,
          .lease = settings_.lease,
          .stop_allowance = settings_.stop_allowance,
          .on_interrupt = settings_.on_interrupt,
          .current_fence = parts_.current_fence,
          .capacity_freed = [this] { wake_.notify(); },
          .interrupted =
              [this](const AttemptRow& row, const std::string& sentence) {
                parts_.runner_api.attempt_ended(row.run, row.attempt, RunStatus::kInterrupted,
                                                sentence);
              },
      }),
      wake_(parts_.loop) {
  subscription_ = parts_.store.subscribe([this](const Change& change) {
    if (change.topic == Change::Topic::kRun || change.topic == Change::Topic::kLeadership) {
      wake_.notify();
    }
  });
}

Task<> Dispatcher::run() {
  co_await supervisor_.start();
  co_await first_of(supervisor_.run(), claim_loop());
}

void Dispatcher::set_claiming(bool claiming) {
  claiming_ = claiming;
  wake_.notify();
}

void Dispatcher::set_capacity(std::int64_t capacity) {
  settings_.capacity = capacity;
  wake_.notify();
}

Task<> Dispatcher::claim_loop() {
  while (true) {
    while (claiming_ && active() < static_cast<std::size_t>(settings_.capacity)) {
      if (!co_await claim_one()) break;
    }
    BootInstant next = parts_.clock.boot_now() + kLookAgain;
    if (parts_.retries != nullptr) {
      next = std::min(next, parts_.retries->next_due().value_or(next));
    }
    co_await wake_.wait_until(parts_.clock, next);
  }
}

// False when there is nothing to claim, or nobody may.
Task<bool> Dispatcher::claim_one() {
  const auto fence = settings_.every_instance_claims ? std::nullopt : parts_.current_fence();
  if (!fence && !settings_.every_instance_claims) co_return false;
  const Supervisor::ClaimInHand in_hand(supervisor_);
  auto claimed = co_await claim(fence);
  if (!claimed) {
    const bool is_refused = claimed.error().kind == ErrorKind::kFenced;
    if (is_refused) {
      // Another leads now, and claims the run. Rare: mostly this one knows before it asks.
      parts_.log.info("a claim was refused: " + claimed.error().message);
    } else if (!store_away_) {
      parts_.log.warning("cannot claim runs: " + claimed.error().message);
    }
    store_away_ = !is_refused;
    co_return false;
  }
  store_away_ = false;
  if (!*claimed) co_return false;
  if (parts_.retries != nullptr) parts_.retries->claimed((*claimed)->run.id);
  ++starting_;
  co_await start(std::move(**claimed));
  --starting_;
  co_return true;
}

Task<Result<std::optional<ClaimedRun>>> Dispatcher::claim(std::optional<LeaderFence> fence) {
  ClaimRequest request;
  request.instance = settings_.instance;
  request.incarnation = settings_.incarnation;
  request.claim = parts_.random.claim_id();
  request.fence = fence;
  request.now = parts_.clock.now();
  request.lease = settings_.lease;
  if (parts_.retries != nullptr) request.passed_over = parts_.retries->passed_over();
  auto claimed = co_await parts_.store.claim_next(request);
  if (claimed || claimed.error().kind != ErrorKind::kAmbiguous) co_return claimed;
  co_return co_await parts_.store.find_claim(request.claim);
}

Task<> Dispatcher::start(ClaimedRun claimed) {
  const Run& run = claimed.run;
  parts_.workspace_log.write(run.workspace, parts_.clock.now(), log_subject(run),
                             claimed.fence.attempt == Attempt(1)
                                 ? fmt::format("Starting {} {}", cause_of(run), beginning_of(run))
                             : run.retries > 0
                                 ? fmt::format("Trying again {} {}: attempt {}", cause_of(run),
                                               beginning_of(run), claimed.fence.attempt.value)
                                 : fmt::format("Resuming {} {}: attempt {}", cause_of(run),
                                               beginning_of(run), claimed.fence.attempt.value));
  const auto launched = co_await launch(claimed);
  if (!launched) co_await fail_attempt(claimed, launched.error());
}

Task<Status> Dispatcher::launch(ClaimedRun& claimed) {
  const Run& run = claimed.run;
  if (!claimed.bundle) {
    auto read = co_await parts_.store.bundle(run.definition.bundle);
    if (!read) co_return fail("reading the workspace's content", read.error());
    claimed.bundle = *std::move(read);
  }

  const auto directory = runner::AttemptDirectory::of(settings_.state_dir, run.workspace, run.id,
                                                      claimed.fence.attempt);
  const AttemptNote note{run.workspace, run.job, claimed.fence, claimed.base_state};
  const auto prepared = co_await parts_.launcher.prepare(
      directory, note, *std::move(claimed.bundle), claimed.lock_file);
  if (!prepared) co_return fail("preparing the working directory", prepared.error());

  parts_.runner_api.expect(claimed);
  const auto pid = parts_.launcher.start_guard(directory, claimed.fence, settings_.lease);
  if (!pid) co_return std::unexpected(pid.error());
  parts_.log.info(fmt::format("started attempt {} of a {}", claimed.fence.attempt.value,
                              to_string(run.operation)),
                  {{"workspace", run.workspace.value},
                   {"run_id", run.id.value},
                   {"correlation_id", run.correlation_id.value},
                   {"trigger", std::string(to_string(run.trigger))},
                   {"guard_pid", fmt::format("{}", *pid)}});
  co_return supervisor_.watch(run.id, claimed.fence.attempt, run.workspace, *pid);
}

Task<> Dispatcher::fail_attempt(const ClaimedRun& claimed, Error error) {
  const LogFields fields = {{"workspace", claimed.run.workspace.value},
                            {"run_id", claimed.run.id.value},
                            {"correlation_id", claimed.run.correlation_id.value}};
  parts_.log.error("cannot start a run: " + error.message, fields);
  // An unreachable store is no fault of the run's: the supervisor ends the attempt, to be resumed.
  if (may_pass(error.kind)) co_return;
  AttemptResult result;
  result.status = RunStatus::kFailed;
  result.error = error.message;
  const auto finished =
      co_await parts_.store.finish_attempt(claimed.fence, result, parts_.clock.now());
  if (!finished) {
    parts_.log.error("cannot report it either: " + finished.error().message, fields);
    co_return;
  }
  parts_.runner_api.expect(claimed);
  parts_.runner_api.attempt_ended(claimed.run.id, claimed.fence.attempt, RunStatus::kFailed,
                                  "Ended: failed: " + error.message);
  const auto directory = runner::AttemptDirectory::of(settings_.state_dir, claimed.run.workspace,
                                                      claimed.run.id, claimed.fence.attempt);
  const auto removed = co_await parts_.launcher.remove(directory);
  if (!removed) parts_.log.warning(removed.error().message, fields);
}

}  // namespace provisioner::execution
