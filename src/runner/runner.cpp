#include "runner/runner.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <iterator>
#include <memory>
#include <optional>

#include "model/job.hpp"
#include "runner/attempt_directory.hpp"
#include "runner/attempt_life.hpp"
#include "runner/daemon.hpp"
#include "runner/identity.hpp"
#include "runner/job_step.hpp"
#include "runner/log_spool.hpp"
#include "runner/process.hpp"
#include "runner/process_set.hpp"
#include "runner/protocol.hpp"
#include "runner/say.hpp"
#include "runner/state_relay.hpp"
#include "runner/steps.hpp"
#include "runner/stop.hpp"
#include "runtime/clock.hpp"
#include "runtime/random.hpp"
#include "tofu/variables.hpp"

namespace provisioner::runner {
namespace {

namespace asio = boost::asio;
namespace fs = std::filesystem;

class Runner {
 public:
  Runner(asio::io_context& loop, RunnerOptions options)
      : options_(std::move(options)),
        loop_(loop.get_executor()),
        clock_(loop_),
        directory_{options_.directory},
        guard_(getppid()),
        course_(loop_),
        reaper_(loop_),
        daemon_(loop_, clock_, random_, options_.socket,
                AttemptFence{options_.run, options_.attempt, options_.claim}),
        life_({loop_, clock_, daemon_, course_, reaper_,
               attempt_tag(options_.run, options_.attempt), guard_, options_.line}) {}

  Task<int> run();

 private:
  Task<Result<Assignment>> register_attempt();
  Result<std::map<std::string, std::string>> environment(
      const Assignment& assignment, const std::optional<tofu::BackendAccess>& backend) const;
  Status write_inputs(const Assignment& assignment) const;
  Task<AttemptResult> work(const Assignment& assignment, LogSpool& log);
  Task<> hand_over_states();
  Task<bool> report(Finish finish);

  RunnerOptions options_;
  asio::any_io_executor loop_;
  SystemClock clock_;
  SystemRandom random_;
  AttemptDirectory directory_;
  pid_t guard_;
  Course course_;
  Reaper reaper_;
  Daemon daemon_;
  AttemptLife life_;
  std::unique_ptr<LogSpool> log_;
  std::unique_ptr<StateRelay> relay_;
};

Status write_private(const fs::path& path, std::string_view text) {
  std::error_code ignored;
  fs::remove(path, ignored);
  const mode_t before = umask(0077);
  std::ofstream file(path, std::ios::binary);
  file << text;
  file.close();
  umask(before);
  if (!file) return fail(ErrorKind::kIo, fmt::format("cannot write {}", path.string()));
  return {};
}

AttemptResult failed(const Error& error) {
  AttemptResult result;
  result.status = RunStatus::kFailed;
  result.error = error.message;
  return result;
}

Task<int> Runner::run() {
  constexpr Duration kSooner = std::chrono::seconds(1);  // than the guard
  course_.begin(clock_.boot_now() + options_.first_lease, {.stop_allowance = kSooner});
  life_.begin();

  const auto assignment = co_await register_attempt();
  if (!assignment) {
    say(fmt::format("not registered: {}", assignment.error().message));
    life_.finished();
    co_return 1;
  }
  log_ =
      std::make_unique<LogSpool>(directory_.log(), Masks(assignment->masks), assignment->log_limit);
  life_.ship(*log_);

  AttemptResult result = co_await work(*assignment, *log_);

  if (!assignment->own_backend) co_await hand_over_states();
  std::error_code gone;
  fs::remove(directory_.variables(), gone);
  fs::remove(directory_.script(), gone);
  fs::remove(directory_.plan(), gone);
  if (!result.error.empty()) log_->append(result.error);
  auto [log_offset, log_end] = co_await life_.end_of_log();
  const bool delivered = co_await report({std::move(result), log_offset, std::move(log_end)});
  life_.finished();
  co_return delivered ? 0 : 1;
}

Task<Result<Assignment>> Runner::register_attempt() {
  const Registration registration{identity_of(guard_, directory_.root.string())};
  // Each try is sent anew, and the lease counts from the one that was acknowledged: ask one by one.
  Duration pause = std::chrono::milliseconds(50);
  while (true) {
    const BootInstant sent = clock_.boot_now();
    const auto answer = co_await daemon_.ask(
        {"POST", std::string(kRegisterPath), encode(registration)}, std::chrono::seconds(10));
    if (course_.stopping()) co_return fail(ErrorKind::kCancelled, sentence_of(*course_.cause()));
    if (answer) {
      auto assignment = decode_assignment(answer->body);
      if (assignment) life_.go_on(*assignment, sent);
      co_return assignment;
    }
    if (!may_pass(answer.error().kind)) co_return std::unexpected(answer.error());
    co_await clock_.sleep_for(pause);
    if (course_.stopping()) co_return std::unexpected(answer.error());
    pause = std::min<Duration>(pause * 2, std::chrono::seconds(1));
  }
}

Result<std::map<std::string, std::string>> Runner::environment(
    const Assignment& assignment, const std::optional<tofu::BackendAccess>& backend) const {
  auto environment = assignment.environment;
  for (auto& [name, value] : tofu::automation_environment()) environment[name] = value;
  if (backend) {
    for (auto& [name, value] : tofu::backend_environment(*backend)) environment[name] = value;
  }
  environment["RUN_ID"] = options_.run.value;
  environment["WORKSPACE_ID"] = shown_workspace(assignment.workspace);
  environment["WORKSPACE_DEPLOYMENT_DIR"] = directory_.content().string();
  if (!assignment.job) environment["PROVISIONER_PLAN_FILE"] = directory_.plan().string();
  if (!assignment.variables.empty()) {
    environment["PROVISIONER_VARIABLES_FILE"] = directory_.variables().string();
  }
  environment[std::string(kAttemptVariable)] = attempt_tag(options_.run, options_.attempt);
  if (!assignment.plugin_cache_directory.empty()) {
    environment["TF_PLUGIN_CACHE_DIR"] = assignment.plugin_cache_directory;
  }
  std::string& path = environment["PATH"];
  if (path.empty()) path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
  if (!assignment.binary_directory.empty()) path = assignment.binary_directory + ":" + path;
  return environment;
}

Status Runner::write_inputs(const Assignment& assignment) const {
  if (!assignment.variables.empty()) {
    if (auto ok = write_private(directory_.variables(), assignment.variables); !ok) return ok;
  }
  if (!assignment.own_backend) {
    auto ok = write_private(directory_.content() / tofu::kOverrideFile, tofu::override_file_text());
    if (!ok) return ok;
  }
  return {};
}

Task<AttemptResult> Runner::work(const Assignment& assignment, LogSpool& log) {
  std::optional<tofu::BackendAccess> backend;
  if (!assignment.own_backend) {
    relay_ = std::make_unique<StateRelay>(StateRelay::Parts{
        loop_, clock_, random_, daemon_, course_, directory_, options_.run, assignment.workspace});
    auto access = relay_->start();
    if (!access) co_return failed(access.error());
    backend = std::move(*access);
  }
  auto variables = environment(assignment, backend);
  if (!variables) co_return failed(variables.error());
  if (auto ok = write_inputs(assignment); !ok) co_return failed(ok.error());
  Steps::Parts parts{loop_, clock_,     reaper_,    options_.starter,     course_,
                     log,   assignment, directory_, std::move(*variables)};
  if (assignment.job) {
    AttemptResult result = co_await run_job(std::move(parts));
    co_await life_.end_the_others();
    co_return result;
  }
  Steps steps(std::move(parts));
  AttemptResult result = co_await steps.run();
  // Nobody may write .terraform while it moves, or a state while it is handed over.
  co_await life_.end_the_others();
  if (course_.fenced()) co_return result;  // the cache belongs to the next attempt
  if (auto kept = steps.cache().keep(steps.initialised()); !kept) {
    say(kept.error().message);
  }
  co_return result;
}

// States that the daemon has not acknowledged, and what tofu left as errored.tfstate. Whatever does
// not arrive stays in the directory for the daemon's sweep.
Task<> Runner::hand_over_states() {
  for (const auto& path : unacknowledged_states(directory_)) {
    if (course_.fenced()) co_return;
    std::ifstream file(path, std::ios::binary);
    std::string body(std::istreambuf_iterator<char>(file), {});
    const auto answer =
        co_await daemon_.insist({"POST", std::string(kRecoverPath), std::move(body)},
                                [this] { return course_.deadline(); });
    const bool kept_as_divergent = !answer && answer.error().kind == ErrorKind::kConflict;
    if (!answer && answer.error().kind == ErrorKind::kFenced) {
      course_.stop(StopCause::kFenced, clock_.boot_now());
      co_return;
    }
    if (!answer) {
      say(fmt::format("state {}: {}", path.string(), answer.error().message));
      log_->append(fmt::format("The state in {} did not go over to the store as it is: {}",
                               path.filename().string(), answer.error().message));
    }
    std::error_code gone;
    if (answer || kept_as_divergent) fs::remove(path, gone);
  }
}

Task<bool> Runner::report(Finish finish) {
  if (course_.fenced()) co_return false;
  const auto answer = co_await daemon_.insist({"POST", std::string(kFinishPath), encode(finish)},
                                              [this] { return course_.deadline(); });
  if (answer) co_return true;
  say(fmt::format("the result was not accepted: {}", answer.error().message));
  co_return false;
}

}  // namespace

int run_runner(RunnerOptions options) {
  // Orphans of tofu come to us, so that none escapes should the guard die.
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  signal(SIGPIPE, SIG_IGN);
  const int starter = fcntl(options.starter, F_DUPFD_CLOEXEC, Process::kLowestStarter);
  close(options.starter);
  options.starter = starter;
  int code = 1;
  try {
    asio::io_context loop(1);
    Runner runner(loop, std::move(options));
    asio::co_spawn(loop, runner.run(), [&](std::exception_ptr error, int result) {
      if (error) {
        // The guard sees a dead runner and ends what is left.
        loop.stop();
        std::rethrow_exception(error);
      }
      code = result;
      loop.stop();
    });
    loop.run();
    // The system takes everything back quicker than our destructors would.
    std::_Exit(code);
  } catch (const std::exception& error) {
    say(fmt::format("a bug: {}", error.what()));
    return 1;
  }
}

}  // namespace provisioner::runner
