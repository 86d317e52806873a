#include "runner/steps.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>

#include "runner/job_step.hpp"
#include "tofu/command_line.hpp"
#include "tofu/errors.hpp"

namespace provisioner::runner {
namespace {

constexpr std::size_t kTailBytes = 8 * 1024;

void keep_tail(std::string& tail, std::string_view text) {
  tail += text;
  tail += '\n';
  if (tail.size() > 2 * kTailBytes) tail.erase(0, tail.size() - kTailBytes);
}

// What the two streams said together; the plan and the progress are on the first.
tofu::OutputSummary merged(tofu::OutputSummary output, const tofu::OutputSummary& error) {
  output.errors.insert(output.errors.end(), error.errors.begin(), error.errors.end());
  output.warnings += error.warnings;
  output.plan_is_stale = output.plan_is_stale || error.plan_is_stale;
  if (!output.planned) output.planned = error.planned;
  if (!output.applied) output.applied = error.applied;
  if (!output.left_lock) output.left_lock = error.left_lock;
  if (!output.lock_in_the_way) output.lock_in_the_way = error.lock_in_the_way;
  return output;
}

AttemptResult failed(std::string error) {
  AttemptResult result;
  result.status = RunStatus::kFailed;
  result.error = std::move(error);
  return result;
}

}  // namespace

Steps::Steps(Parts parts)
    : parts_(std::move(parts)),
      cache_(parts_.assignment.cache_directory, parts_.directory.content(),
             parts_.assignment.init_fingerprint),
      lock_file_before_(cache_.lock_file()) {}

Task<AttemptResult> Steps::run() {
  Verdict verdict =
      parts_.assignment.operation == Operation::kDestroy ? co_await destroy() : co_await deploy();
  AttemptResult result = verdict.value_or(AttemptResult{.status = RunStatus::kSucceeded});
  if (!result.exit_code) result.exit_code = last_code_;
  result.resources = done_;
  result.began_changes = began_changes_;
  result.error = parts_.log.masks().apply(std::move(result.error));
  if (const std::string now = cache_.lock_file(); now != lock_file_before_) result.lock_file = now;
  co_return result;
}

Task<Steps::Verdict> Steps::deploy() {
  const CustomCommands& custom = parts_.assignment.commands;
  if (auto ended = co_await init(custom.deploy_init)) co_return ended;

  const bool own_apply = parts_.assignment.operation == Operation::kDeploy;
  if (custom.deploy_plan) {
    if (auto ended = co_await shell_step("plan", *custom.deploy_plan)) co_return ended;
  }
  std::error_code absent;
  const bool planned = std::filesystem::exists(parts_.directory.plan(), absent);
  if (!custom.deploy_plan || (own_apply && !custom.deploy_apply && !planned)) {
    if (auto ended = co_await plan(false)) co_return ended;
  }
  if (!own_apply) {
    if (planned_ && planned_->planned) done_ = *planned_->planned;
    co_return std::nullopt;
  }
  if (parts_.assignment.needs_agreement && planned_ && planned_->removes_something()) {
    AttemptResult result{.status = RunStatus::kSucceeded};
    result.needs_confirmation = true;
    result.error = fmt::format("the plan deletes or replaces {} and nobody agreed",
                               planned_->planned->destroy);
    parts_.log.append("The plan deletes or replaces resources: it waits for a confirmation.");
    done_ = *planned_->planned;
    co_return result;
  }
  if (custom.deploy_apply) {
    began_changes_ = true;
    co_return co_await shell_step("apply", *custom.deploy_apply);
  }
  co_return co_await apply(false);
}

Task<Steps::Verdict> Steps::destroy() {
  const CustomCommands& custom = parts_.assignment.commands;
  if (auto ended = co_await init(custom.destroy_init)) co_return ended;
  if (custom.destroy_destroy) {
    began_changes_ = true;
    co_return co_await shell_step("destroy", *custom.destroy_destroy);
  }
  if (auto ended = co_await plan(true)) co_return ended;
  co_return co_await apply(true);
}

Task<Steps::Verdict> Steps::init(const std::optional<std::string>& custom) {
  const bool up_to_date = cache_.fetch();
  if (custom) {
    auto ended = co_await shell_step("init", *custom);
    initialised_ = false;  // what a command does is its own affair: run it each time
    co_return ended;
  }
  if (up_to_date && !parts_.assignment.upgrade) {
    parts_.log.append("init: not needed, nothing it depends on has changed");
    initialised_ = true;
    init_left_out_ = true;
    co_return std::nullopt;
  }
  co_return co_await init_with_tofu();
}

Task<Steps::Verdict> Steps::init_with_tofu() {
  const auto lock = co_await lock_plugin_cache();
  if (!lock) co_return failed(lock.error().message);
  const auto outcome = co_await tofu_step(
      "init", tofu::init_arguments({.upgrade = parts_.assignment.upgrade,
                                    .own_backend = !parts_.assignment.own_backend}));
  if (*lock >= 0) close(*lock);
  auto ended = judge(outcome);
  initialised_ = !ended;
  co_return ended;
}

// Two inits at a time would write the same provider into the shared cache.
Task<Result<int>> Steps::lock_plugin_cache() {
  const std::filesystem::path& directory = parts_.assignment.plugin_cache_directory;
  if (directory.empty()) co_return -1;
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  const std::string path = (directory / ".provisioner.lock").string();
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) co_return fail_errno("opening " + path, errno);
  while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK || parts_.course.stopping()) {
      const int why = parts_.course.stopping() ? ECANCELED : errno;
      close(fd);
      co_return fail_errno("locking " + path, why);
    }
    co_await parts_.clock.sleep_for(std::chrono::milliseconds(100));
  }
  co_return fd;
}

Task<Steps::Verdict> Steps::plan(bool destroy) {
  auto verdict = co_await plan_once(destroy);
  if (!verdict || !init_left_out_ || !plan_asks_for_init_ || parts_.course.stopping()) {
    co_return verdict;
  }
  // What init depends on was judged too narrowly, or what it had made is damaged.
  parts_.log.append("init was left out, but the plan asks for it: both once more");
  init_left_out_ = false;
  initialised_ = false;
  if (auto ended = co_await init_with_tofu()) co_return ended;
  co_return co_await plan_once(destroy);
}

Task<Steps::Verdict> Steps::plan_once(bool destroy) {
  std::error_code absent;
  const bool has_variables = std::filesystem::exists(parts_.directory.variables(), absent);
  const auto outcome = co_await tofu_step(
      "plan",
      tofu::plan_arguments({.destroy = destroy,
                            .var_file = has_variables ? parts_.directory.variables().string() : "",
                            .plan_file = parts_.directory.plan().string()}));
  if (outcome) {
    planned_ = outcome->summary;
    plan_asks_for_init_ =
        !outcome->exit.ended_well() && tofu::asks_for_init(outcome->summary, outcome->tail);
  }
  co_return judge(outcome);
}

Task<Steps::Verdict> Steps::apply(bool destroy) {
  const auto arguments = tofu::apply_arguments(parts_.directory.plan().string());
  const std::string name = destroy ? "destroy" : "apply";
  began_changes_ = true;
  auto outcome = co_await tofu_step(name, arguments);
  if (outcome && !outcome->exit.ended_well() && outcome->summary.plan_is_stale &&
      !parts_.course.stopping()) {
    parts_.log.append("The state has moved on since the plan: planning once more.");
    if (auto ended = co_await plan(destroy)) co_return ended;
    if (!destroy && parts_.assignment.needs_agreement && planned_->removes_something()) {
      AttemptResult result{.status = RunStatus::kSucceeded};
      result.needs_confirmation = true;
      result.error = "the new plan deletes or replaces something and nobody agreed";
      co_return result;
    }
    outcome = co_await tofu_step(name, arguments);
  }
  if (outcome) {
    done_ = outcome->summary.applied.value_or(outcome->summary.finished);
    // tofu was done before it noticed that it should stop.
    if (outcome->exit.ended_well()) co_return std::nullopt;
  }
  co_return judge(outcome);
}

Task<Result<Steps::Outcome>> Steps::tofu_step(std::string step,
                                              std::vector<std::string> arguments) {
  Command command;
  command.words = {parts_.assignment.binary};
  command.words.insert(command.words.end(), arguments.begin(), arguments.end());
  auto outcome = co_await this->step(std::move(step), std::move(command));
  if (outcome) co_await release_lock(*outcome);
  co_return outcome;
}

Task<> Steps::release_lock(const Outcome& failed) {
  if (!parts_.assignment.own_backend || !failed.summary.left_lock) co_return;
  const auto arguments = tofu::force_unlock_arguments(*failed.summary.left_lock);
  Command command;
  command.words = {parts_.assignment.binary};
  command.words.insert(command.words.end(), arguments.begin(), arguments.end());
  const auto code = last_code_;
  const auto released = co_await this->step("force-unlock", std::move(command));
  last_code_ = code;
  if (!released) {
    parts_.log.append(fmt::format("The state stays locked ({}): run `force-unlock {}`.",
                                  released.error().message, *failed.summary.left_lock));
  }
}

Task<Steps::Verdict> Steps::shell_step(std::string step, std::string command) {
  parts_.log.append("$ " + command);
  const auto outcome =
      co_await this->step(std::move(step), {.words = {"/bin/sh", "-c", command}, .group = true});
  if (outcome && outcome->summary.applied) done_ = *outcome->summary.applied;
  if (outcome && outcome->summary.planned) planned_ = outcome->summary;
  co_return judge(outcome);
}

Task<Result<Steps::Outcome>> Steps::step(std::string step, Command command) {
  if (parts_.course.stopping()) co_return fail(ErrorKind::kCancelled, "stopped before " + step);
  parts_.log.append(fmt::format("[{}]", step));
  command.environment = environment_list();
  command.directory = parts_.directory.content().string();
  Outcome outcome{.step = step};
  tofu::OutputParser parsers[2];
  const auto log = [&](const std::vector<tofu::OutputEvent>& events) {
    for (const auto& event : events) {
      if (event.text.empty()) continue;
      parts_.log.append(event.text);
      keep_tail(outcome.tail, event.text);
    }
  };
  auto process = Process::start(parts_.loop, parts_.reaper, parts_.starter, command,
                                [&](Stream stream, std::string_view piece) {
                                  log(parsers[stream == Stream::kOutput ? 0 : 1].feed(piece));
                                });
  if (!process) co_return std::unexpected(process.error());
  // The listener stays registered: it must not outlive the process it speaks of.
  auto current = std::make_shared<Process*>(process->get());
  parts_.course.on_stop([current] {
    if (*current != nullptr) (*current)->interrupt();
  });
  const auto exit = co_await (*process)->wait();
  *current = nullptr;
  for (auto& parser : parsers) log(parser.finish());
  if (!exit) co_return std::unexpected(exit.error());
  outcome.exit = *exit;
  outcome.summary = merged(parsers[0].summary(), parsers[1].summary());
  last_code_ = exit->signal != 0 ? 128 + exit->signal : exit->code;
  co_return outcome;
}

Steps::Verdict Steps::judge(const Result<Outcome>& outcome) {
  if (parts_.course.stopping()) return stopped();
  if (!outcome) {
    return failed(outcome.error().message);
  }
  const ProcessExit& exit = outcome->exit;
  if (exit.ended_well()) return std::nullopt;
  if (exit.signal != 0) {
    AttemptResult result;
    result.status = RunStatus::kInterrupted;
    result.error = fmt::format("{} was killed by signal {} ({})", outcome->step, exit.signal,
                               strsignal(exit.signal));
    return result;
  }
  const auto failure = tofu::classify_failure({outcome->step, exit.code, exit.signal},
                                              outcome->summary, outcome->tail);
  AttemptResult result = failed(failure.sentence);
  // Nobody here asked for it: a stranger's signal, or the trampoline's end.
  if (failure.kind == tofu::FailureKind::kInterrupted) result.status = RunStatus::kInterrupted;
  result.may_pass = failure.is_retryable();
  if (!is_our_relay(failure.host)) result.host = parts_.log.masks().apply(failure.host);
  return result;
}

// Whose troubles are the daemon's, and no cloud's.
bool Steps::is_our_relay(const std::string& host) const {
  const auto address = parts_.environment.find("TF_HTTP_ADDRESS");
  return !host.empty() && address != parts_.environment.end() &&
         address->second.contains("//" + host + "/");
}

AttemptResult Steps::stopped() const { return stopped_result(parts_.course, parts_.assignment); }

std::vector<std::string> Steps::environment_list() const {
  std::vector<std::string> list;
  for (const auto& [name, value] : parts_.environment) list.push_back(name + "=" + value);
  return list;
}

}  // namespace provisioner::runner
