#include "tests/simulation/attempt.hpp"

#include <fmt/format.h>

#include "http/message.hpp"
#include "tests/simulation/mutation.hpp"
#include "tests/simulation/observer.hpp"
#include "tofu/state_body.hpp"

namespace provisioner::simulation {

using namespace std::chrono_literals;

namespace {

constexpr Duration kSignal = 100us;  // how long news of a death or a signal takes

bool may_pass(ErrorKind kind) {
  return kind == ErrorKind::kUnavailable || kind == ErrorKind::kAmbiguous ||
         kind == ErrorKind::kTimeout;
}

std::string state_text(const std::string& lineage, std::int64_t serial, const std::string& writer) {
  return fmt::format(
      R"({{"version":4,"terraform_version":"1.9.0","serial":{},"lineage":"{}","outputs":{{}},)"
      R"("resources":[{{"mode":"managed","type":"t","name":"{}","provider":"p","instances":[{{}}]}}]}})",
      serial, lineage, writer);
}

}  // namespace

AttemptProcesses::AttemptProcesses(Parts parts)
    : parts_(std::move(parts)),
      world_(parts_.host.world()),
      guard_pid_(parts_.host.next_pid()),
      guard_start_(world_.now().count()),
      guard_(std::make_shared<Process>(world_, "guard")),
      runner_(std::make_shared<Process>(world_, "runner")),
      plan_(parts_.host.boot_now() + parts_.first_lease, Duration(0)),
      runner_clock_(parts_.host, runner_),
      course_(world_.executor()),
      moved_(world_.executor()),
      sigint_(world_.executor()) {
  runner_->on_death([this] {
    world_.after(kSignal, guard_, [this] {
      plan_.runner_exited(parts_.host.boot_now());
      guard_looks();
    });
    if (tofu_) world_.after(kSignal, tofu_, [this] { interrupt(); });
  });
  guard_->on_death([this] {
    world_.after(kSignal, runner_,
                 [this] { course_.stop(runner::StopCause::kGuardDied, runner_clock_.boot_now()); });
  });
  world_.after(5ms, guard_, [this] { guard_looks(); });
  world_.after(10ms, runner_, [this] { runner_->spawn(run()); });
}

AttemptProcesses::~AttemptProcesses() = default;

bool AttemptProcesses::works() const {
  return (tofu_ && tofu_->alive()) || (grandchild_ && grandchild_->alive());
}

bool AttemptProcesses::any_alive() const { return guard_->alive() || runner_->alive() || works(); }

std::string AttemptProcesses::living() const {
  if (tofu_ && tofu_->alive()) return "tofu";
  if (grandchild_ && grandchild_->alive()) return "grandchild";
  return runner_->alive() ? "runner" : "guard";
}

void AttemptProcesses::kill_all() {
  end_the_others();
  runner_->kill();
  guard_->kill();
}

void AttemptProcesses::stop_all() {
  if (guard_->alive()) guard_disturbed_ = true;
  for (const auto& process : {guard_, runner_, tofu_, grandchild_}) {
    if (process) process->stop();
  }
}

void AttemptProcesses::go_on_all() {
  for (const auto& process : {guard_, runner_, tofu_, grandchild_}) {
    if (process) process->go_on();
  }
}

void AttemptProcesses::kill_guard() {
  guard_disturbed_ = true;
  guard_->kill();
}

AttemptFiles& AttemptProcesses::files() { return parts_.host.directories[parts_.directory]; }

// --- the guard -----------------------------------------------------------------------------------

void AttemptProcesses::tell_guard(std::function<void(runner::GuardPlan&)> word) {
  world_.after(kSignal, guard_, [this, word = std::move(word)] {
    word(plan_);
    guard_looks();
  });
}

void AttemptProcesses::guard_looks() {
  if (guard_timer_) world_.cancel(*guard_timer_);
  guard_timer_.reset();
  const BootInstant now = parts_.host.boot_now();
  const auto decision = plan_.decide(now, !plan_.runner_lives() && works());
  BootInstant again = now + 5ms;
  switch (decision.act) {
    case runner::GuardAct::kEnd:
      files().exit_cause = std::string(plan_.cause());
      world_.note(fmt::format("guard of {}.{} ends: {}", parts_.fence.run.value,
                              parts_.fence.attempt.value, plan_.cause()));
      guard_->kill();
      return;
    case runner::GuardAct::kKillRunner: runner_->kill(); break;
    case runner::GuardAct::kKillAll:
      runner_->kill();
      end_the_others();
      break;
    case runner::GuardAct::kWait: again = decision.until; break;
  }
  guard_timer_ = world_.at(parts_.host.true_time_of(again), guard_, [this] { guard_looks(); });
}

// --- the runner ----------------------------------------------------------------------------------

Task<Result<http::Response>> AttemptProcesses::ask(std::string method, std::string target,
                                                   std::string body, Duration patience) {
  http::Request request;
  request.method = std::move(method);
  request.target = std::move(target);
  request.headers["Authorization"] = runner::authorization(parts_.fence);
  request.body = std::move(body);
  auto response = co_await parts_.ask(runner_, std::move(request), patience);
  if (!response) co_return response;
  if ((response->status >= 200 && response->status < 300) || response->status == 423) {
    co_return response;
  }
  co_return std::unexpected(runner::error_of(response->status, response->body));
}

Task<Result<http::Response>> AttemptProcesses::insist(std::string method, std::string target,
                                                      std::string body,
                                                      std::function<BootInstant()> give_up) {
  Duration pause = 50ms;
  while (true) {
    const Duration left = give_up() - runner_clock_.boot_now();
    auto response = co_await ask(method, target, body,
                                 std::clamp<Duration>(left, Duration(1ms), Duration(10s)));
    if (response || !may_pass(response.error().kind)) co_return response;
    const BootInstant next = runner_clock_.boot_now() + pause;
    if (next >= give_up()) co_return response;
    co_await runner_clock_.sleep_until(next);
    pause = std::min<Duration>(pause * 2, 2s);
  }
}

Task<> AttemptProcesses::run() {
  course_.begin(runner_clock_.boot_now() + parts_.first_lease, {.stop_allowance = 1s});
  course_.on_stop([this] {
    world_.note(fmt::format("runner of {}.{} stops: {}", parts_.fence.run.value,
                            parts_.fence.attempt.value, sentence_of(*course_.cause())));
    tell_guard([](runner::GuardPlan& plan) { plan.runner_stops(); });
    runner_->spawn(kill_when_time_is_up());
    if (tofu_) world_.after(kSignal, tofu_, [this] { interrupt(); });
  });
  runner_->spawn(keep_time());
  if (co_await register_attempt()) {
    AttemptResult result;
    if (!course_.stopping()) {
      start_tofu();
      const auto code = co_await Answer<int>::wait(tofu_exit_);
      if (!code) co_return;
      result.status = *code == 0 ? RunStatus::kSucceeded : RunStatus::kFailed;
      if (*code != 0) result.error = "tofu failed";
    }
    if (course_.stopping()) {
      result.status = status_of(*course_.cause());
      result.error = sentence_of(*course_.cause());
    }
    end_the_others();
    co_await hand_over_states();
    co_await report(std::move(result));
  }
  tell_guard([](runner::GuardPlan& plan) { plan.runner_finished(); });
  world_.after(kSignal, runner_, [this] { runner_->kill(); });
}

Task<bool> AttemptProcesses::register_attempt() {
  const auto here = parts_.host.habitat();
  const runner::Registration registration{{.machine_id = here.machine_id,
                                           .boot_id = here.boot_id,
                                           .pid_namespace = here.pid_namespace,
                                           .guard_pid = guard_pid_,
                                           .guard_start = guard_start_,
                                           .directory = parts_.directory}};
  Duration pause = 50ms;
  while (true) {
    const BootInstant sent = runner_clock_.boot_now();
    const auto answer =
        co_await ask("POST", std::string(runner::kRegisterPath), runner::encode(registration), 10s);
    if (course_.stopping()) co_return false;
    if (answer) {
      auto assignment = runner::decode_assignment(answer->body);
      if (!assignment) co_return false;
      parts_.observer.lease_granted(parts_.fence, sent);
      assignment_ = *std::move(assignment);
      timeout_at_ = sent + assignment_->timeout;
      tell_guard([allowance = assignment_->stop_allowance](runner::GuardPlan& plan) {
        plan.set_stop_allowance(allowance);
      });
      const BootInstant deadline = course_.grant(
          sent, {assignment_->lease, assignment_->margin, assignment_->stop_allowance});
      tell_guard([deadline](runner::GuardPlan& plan) { plan.move_deadline(deadline); });
      moved_.notify();
      runner_->spawn(beat());
      co_return true;
    }
    if (!may_pass(answer.error().kind)) co_return false;
    co_await runner_clock_.sleep_for(pause);
    if (course_.stopping()) co_return false;
    pause = std::min<Duration>(pause * 2, 1s);
  }
}

Task<> AttemptProcesses::keep_time() {
  while (!course_.stopping()) {
    const BootInstant now = runner_clock_.boot_now();
    if (now >= course_.stop_at()) co_return course_.stop(runner::StopCause::kLeaseLost, now);
    if (now >= timeout_at_) co_return course_.stop(runner::StopCause::kTimedOut, now);
    co_await moved_.wait_until(runner_clock_, std::min(course_.stop_at(), timeout_at_));
  }
}

Task<> AttemptProcesses::beat() {
  while (!course_.fenced()) {
    const BootInstant sent = runner_clock_.boot_now();
    const auto answer = co_await ask("POST", std::string(runner::kHeartbeatPath), "{}",
                                     std::min<Duration>(assignment_->heartbeat, 10s));
    const BootInstant now = runner_clock_.boot_now();
    if (answer) {
      parts_.observer.lease_granted(parts_.fence, sent);
      const BootInstant deadline = course_.renew(mutated(Mutation::kLeaseFromAnswer) ? now : sent);
      tell_guard([deadline](runner::GuardPlan& plan) { plan.move_deadline(deadline); });
      const auto heartbeat = runner::decode_heartbeat(answer->body);
      if (heartbeat && heartbeat->cancel_requested) {
        course_.stop(runner::StopCause::kCancelled, now);
      }
    } else if (answer.error().kind == ErrorKind::kFenced ||
               answer.error().kind == ErrorKind::kDenied) {
      course_.stop(runner::StopCause::kFenced, now);
    }
    co_await runner_clock_.sleep_until(answer ? sent + assignment_->heartbeat : now + 500ms);
  }
}

Task<> AttemptProcesses::kill_when_time_is_up() {
  co_await runner_clock_.sleep_until(course_.kill_at());
  end_the_others();
}

void AttemptProcesses::end_the_others() {
  if (tofu_) tofu_->kill();
  if (grandchild_) grandchild_->kill();
}

Task<> AttemptProcesses::hand_over_states() {
  std::vector<std::string> bodies;
  for (const auto& [number, body] : files().spooled) bodies.push_back(body);
  if (files().errored) bodies.push_back(*files().errored);
  for (const auto& body : bodies) {
    if (course_.fenced()) co_return;
    const auto answer = co_await insist("POST", std::string(runner::kRecoverPath), body,
                                        [this] { return course_.deadline(); });
    if (!answer && answer.error().kind == ErrorKind::kFenced) {
      course_.stop(runner::StopCause::kFenced, runner_clock_.boot_now());
      co_return;
    }
    if (!answer && answer.error().kind != ErrorKind::kConflict) continue;
    std::erase_if(files().spooled, [&](const auto& entry) { return entry.second == body; });
    if (files().errored == body) files().errored.reset();
  }
}

Task<> AttemptProcesses::report(AttemptResult result) {
  if (course_.fenced()) co_return;
  co_await insist("POST", std::string(runner::kFinishPath),
                  runner::encode(runner::Finish{.result = std::move(result)}),
                  [this] { return course_.deadline(); });
}

Task<Result<std::string>> AttemptProcesses::serve(std::string method, std::string id,
                                                  std::string body) {
  if (course_.fenced()) co_return fail(ErrorKind::kFenced, "the attempt is over");
  std::string target(runner::kStatePath);
  std::int64_t number = 0;
  if (method == "POST") {
    target += "?ID=" + id;
    number = ++writes_;
    files().spooled[number] = body;  // on disk before it goes anywhere
    parts_.observer.made_state(parts_.workspace, body);
  }
  const auto answer =
      co_await insist(method, target, body, [this] { return course_.patience_ends(); });
  if (!answer) {
    if (answer.error().kind == ErrorKind::kFenced) {
      course_.stop(runner::StopCause::kFenced, runner_clock_.boot_now());
    }
    co_return std::unexpected(answer.error());
  }
  if (number != 0) files().spooled.erase(number);
  if (answer->status == 423) co_return fail(ErrorKind::kConflict, "the state is locked");
  co_return answer->body;
}

// --- tofu ----------------------------------------------------------------------------------------

std::string AttemptProcesses::lock_id() const {
  return fmt::format("{}.{}", parts_.fence.run.value, parts_.fence.attempt.value);
}

void AttemptProcesses::start_tofu() {
  tofu_exit_ = std::make_shared<Answer<int>>(world_);
  tofu_ = std::make_shared<Process>(world_, "tofu");
  tofu_->on_death([this] {
    world_.after(kSignal, runner_, [this] { tofu_exit_->set(137); });
    if (!grandchild_) return;
    world_.after(parts_.temper.grandchild, grandchild_, [this] { grandchild_->kill(); });
  });
  if (parts_.temper.grandchild > 0s) grandchild_ = std::make_shared<Process>(world_, "grandchild");
  world_.after(2ms, tofu_, [this] { tofu_->spawn(apply()); });
}

void AttemptProcesses::terminate() {
  world_.after(kSignal, runner_,
               [this] { course_.stop(runner::StopCause::kTerminated, runner_clock_.boot_now()); });
}

void AttemptProcesses::interrupt() {
  if (interrupted_) return;  // the trampoline passes on one
  interrupted_ = true;
  if (!parts_.temper.stubborn) sigint_.notify();
}

void AttemptProcesses::exit_tofu(int code) {
  world_.after(kSignal, runner_, [this, code] { tofu_exit_->set(code); });
  world_.after(Duration(0), tofu_, [this] { tofu_->kill(); });
}

Task<> AttemptProcesses::work_for(Duration time) {
  HostClock clock(parts_.host, tofu_);
  co_await sigint_.wait_until(clock, clock.boot_now() + time);
}

Task<Result<std::string>> AttemptProcesses::request(std::string method, std::string body) {
  co_return co_await have_done<std::string>(
      world_, tofu_, runner_, 1h, [this, method, body] { return serve(method, lock_id(), body); });
}

Task<bool> AttemptProcesses::hand_over(std::string body) {
  if (co_await request("POST", body)) co_return true;
  parts_.observer.made_state(parts_.workspace, body);
  files().errored = std::move(body);
  co_return false;
}

Task<> AttemptProcesses::apply() {
  const auto stops = [this] { return interrupted_ && !parts_.temper.stubborn; };
  parts_.observer.tofu_started(*this);
  co_await work_for(world_.between(50ms, 500ms));  // init
  if (stops()) co_return exit_tofu(1);
  if (!co_await request("LOCK", fmt::format(R"({{"ID":"{}"}})", lock_id()))) co_return exit_tofu(1);
  const auto present = co_await request("GET", "");
  if (!present) co_return exit_tofu(1);
  std::string lineage = "lineage of " + lock_id();
  std::int64_t serial = 0;
  if (const auto meta = tofu::parse_state(*present)) {
    lineage = meta->lineage;
    serial = meta->serial;
  }
  bool handed_over = true;
  for (int i = 0; i < parts_.temper.states && handed_over && !stops(); ++i) {
    co_await work_for(parts_.temper.step);
    parts_.observer.tofu_works(*this);
    handed_over = co_await hand_over(state_text(lineage, ++serial, lock_id()));
  }
  while (parts_.temper.hangs && handed_over && !stops()) co_await work_for(1h);
  if (stops() && handed_over) {
    HostClock clock(parts_.host, tofu_);
    co_await clock.sleep_for(world_.between(10ms, 2s));  // a provider finishes what it began
    handed_over = co_await hand_over(state_text(lineage, ++serial, lock_id()));
  }
  if (handed_over) co_await request("UNLOCK", fmt::format(R"({{"ID":"{}"}})", lock_id()));
  exit_tofu(handed_over && !stops() && !parts_.temper.fails ? 0 : 1);
}

}  // namespace provisioner::simulation
