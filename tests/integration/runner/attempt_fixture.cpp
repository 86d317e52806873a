#include "tests/integration/runner/attempt_fixture.hpp"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "runner/launch.hpp"
#include "runner/process_set.hpp"
#include "runtime/clock.hpp"
#include "runtime/random.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/program.hpp"

namespace provisioner::runner {

using testing::eventually;
using namespace std::chrono_literals;

StandInDaemon::StandInDaemon(std::filesystem::path socket, AttemptFence fence)
    : socket_(std::move(socket)), fence_(std::move(fence)) {}

StandInDaemon::~StandInDaemon() { go(); }

void StandInDaemon::come() {
  loop_ = std::make_unique<boost::asio::io_context>(1);
  server_ = std::make_unique<http::Server>(
      loop_->get_executor(), [this](http::Request request) { return handle(std::move(request)); });
  const auto listening = server_->listen_unix(socket_, 0600);
  if (!listening) throw std::runtime_error(listening.error().message);
  thread_ = std::thread([this] {
    auto stays = boost::asio::make_work_guard(*loop_);
    loop_->run();
  });
}

void StandInDaemon::go() {
  if (!thread_.joinable()) return;
  loop_->stop();
  thread_.join();
  server_.reset();
  loop_.reset();
}

Task<http::Response> StandInDaemon::handle(http::Request request) {
  if (request.path() == kWatchPath) {
    SystemClock clock(loop_->get_executor());
    const BootInstant end = clock.boot_now() + 30s;
    while (clock.boot_now() < end &&
           !with_facts([](const DaemonFacts& facts) { return facts.cancel || facts.fenced; })) {
      co_await clock.sleep_for(5ms);
    }
  }
  co_return with_facts([&](DaemonFacts& facts) {
    const int seen = ++facts.requests[request.method + " " + request.path()];
    http::Response response = answer(request);
    if (seen <= facts.replies_to_lose) {
      return http::json_response(503, encode(Problem{"unavailable", "the reply was lost"}));
    }
    return response;
  });
}

http::Response StandInDaemon::answer(const http::Request& request) {
  DaemonFacts& facts = facts_;
  const auto refuse = [](ErrorKind kind, const std::string& message) {
    return http::json_response(status_of(kind), encode(problem_of({kind, message})));
  };
  const auto claimed = parse_authorization(request.header("Authorization"));
  if (!claimed || !(*claimed == fence_)) return refuse(ErrorKind::kDenied, "wrong claim");
  if (facts.fenced) return refuse(ErrorKind::kFenced, "attempt 2 has taken over");
  const std::string path = request.path();
  if (path == kRegisterPath) {
    auto registration = decode_registration(request.body);
    if (!registration) return refuse(ErrorKind::kInvalid, registration.error().message);
    facts.registration = *registration;
    return http::json_response(200, encode(facts.assignment));
  }
  if (path == kHeartbeatPath || path == kWatchPath) {
    if (path == kHeartbeatPath) ++facts.heartbeats;
    return http::json_response(200, encode(Heartbeat{facts.cancel}));
  }
  if (path == kLogPath) {
    const auto offset = static_cast<std::size_t>(std::stoll(request.query("offset").value_or("0")));
    if (offset > facts.log.size()) return refuse(ErrorKind::kInvalid, "a gap in the log");
    facts.log.replace(offset, std::string::npos, request.body);
    return http::text_response(204, "");
  }
  if (path == kRecoverPath) {
    facts.recovered.push_back(request.body);
    return http::text_response(200, "");
  }
  if (path == kFinishPath) {
    auto finish = decode_finish(request.body);
    if (!finish) return refuse(ErrorKind::kInvalid, finish.error().message);
    const auto offset = static_cast<std::size_t>(finish->log_offset);
    if (offset > facts.log.size()) return refuse(ErrorKind::kInvalid, "a gap in the log");
    if (!finish->log.empty()) facts.log.replace(offset, std::string::npos, finish->log);
    facts.results.push_back(finish->result);
    return http::text_response(204, "");
  }
  if (path == kStatePath && request.method == "GET") {
    if (facts.states.empty()) return http::text_response(204, "");
    return http::json_response(200, facts.states.back());
  }
  if (path == kStatePath && request.method == "LOCK") {
    if (facts.lock && *facts.lock != request.body) return http::json_response(423, *facts.lock);
    facts.lock = request.body;
    return http::text_response(200, "");
  }
  if (path == kStatePath && request.method == "UNLOCK") {
    facts.lock.reset();
    return http::text_response(200, "");
  }
  if (path == kStatePath && request.method == "POST") {
    if (facts.refuse_states) return refuse(ErrorKind::kUnavailable, "the store is away");
    facts.states.push_back(request.body);
    return http::text_response(200, "");
  }
  return refuse(ErrorKind::kNotFound, path);
}

AttemptTest::AttemptTest()
    : fence_{SystemRandom().run_id(Instant(std::chrono::duration_cast<Duration>(
                 std::chrono::system_clock::now().time_since_epoch()))),
             Attempt(1), SystemRandom().claim_id()},
      directory_{temp_ / "attempt"},
      daemon_(temp_ / "daemon.sock", fence_) {
  std::filesystem::create_directories(directory_.content());
  daemon_.with_facts([&](DaemonFacts& facts) {
    Assignment& assignment = facts.assignment;
    assignment.workspace = WorkspaceName("shop");
    assignment.environment = {{"PATH", "/usr/local/bin:/usr/bin:/bin"},
                              {"NOTES", notes().string()}};
    assignment.cache_directory = temp_ / "cache";
    assignment.lease = 20s;
    assignment.margin = 100ms;
    assignment.heartbeat = 200ms;
    assignment.stop_allowance = 3s;
  });
}

AttemptTest::~AttemptTest() {
  const auto all_dead = [&] {
    for (const pid_t pid : living()) kill(pid, SIGKILL);
    if (guard_ > 0 && guard_code_ < 0) wait_for_guard(0ms);
    return living().empty();
  };
  EXPECT_TRUE(eventually(60s, all_dead));
  if (HasFailure()) {
    fprintf(stderr, "--- guard.log\n%s--- log\n%s--- notes\n%s---\n", guard_log().c_str(),
            log().c_str(), noted().c_str());
  }
}

void AttemptTest::use_command(const std::string& script) {
  daemon_.with_facts([&](DaemonFacts& facts) {
    facts.assignment.commands.deploy_init = facts.assignment.commands.deploy_plan = "true";
    facts.assignment.commands.deploy_apply = script;
  });
}

void AttemptTest::use_stand_in_tofu(const std::string& script) {
  testing::write_file(temp_ / "stand-in", "#!/bin/sh\n" + script);
  std::filesystem::permissions(temp_ / "stand-in", std::filesystem::perms::owner_all);
  daemon_.with_facts([&](DaemonFacts& facts) {
    facts.assignment.binary = temp_ / "stand-in";
    facts.assignment.own_backend = true;
  });
}

void AttemptTest::use_terraform(const std::string& main_tf) {
  testing::write_file(directory_.content() / "main.tf", main_tf);
  const auto found = testing::run_program({"sh", "-c", "command -v tofu || command -v terraform"});
  if (found.code != 0) GTEST_SKIP() << "neither tofu nor terraform is on PATH";
  daemon_.with_facts([&](DaemonFacts& facts) {
    facts.assignment.binary = std::string(trim(found.out));
    facts.assignment.binary_directory = temp_ / "bin";
    std::filesystem::create_directories(temp_ / "bin");
    std::filesystem::create_symlink(facts.assignment.binary, temp_ / "bin" / "tofu");
    facts.assignment.environment["HOME"] = temp_.path();
    facts.assignment.environment["CHECKPOINT_DISABLE"] = "1";
    facts.assignment.init_fingerprint = "content-1";
  });
}

void AttemptTest::launch(Duration first_lease) {
  const auto pid = launch_guard({.guard = PROVISIONER_BIN_DIR "/provisioner-guard",
                                 .runner = PROVISIONER_BIN_DIR "/provisioner-runner",
                                 .socket = temp_ / "daemon.sock",
                                 .directory = directory_.root,
                                 .fence = fence_,
                                 .first_lease = first_lease});
  ASSERT_TRUE(pid) << pid.error().message;
  guard_ = *pid;
}

std::vector<pid_t> AttemptTest::living() const {
  return testing::processes_with(std::string(kAttemptVariable),
                                 attempt_tag(fence_.run, fence_.attempt));
}

pid_t AttemptTest::runner_pid() const {
  for (const pid_t pid : living()) {
    if (testing::command_of(pid).starts_with("provisioner-runner run ")) return pid;
  }
  return 0;
}

int AttemptTest::wait_for_guard(std::chrono::milliseconds patience) {
  eventually(patience, [&] { return !guard_lives(); });
  return guard_code_;
}

bool AttemptTest::guard_lives() {
  if (guard_ <= 0 || guard_code_ >= 0) return false;
  int status = 0;
  if (waitpid(guard_, &status, WNOHANG) != guard_) return true;
  guard_code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return false;
}

std::optional<ExitRecord> AttemptTest::exit_record() const {
  const auto record = read_exit_record(directory_);
  EXPECT_TRUE(record) << record.error().message;
  return record.value_or(std::nullopt);
}

std::optional<AttemptResult> AttemptTest::result() {
  return daemon_.with_facts([](const DaemonFacts& facts) {
    return facts.results.empty() ? std::nullopt : std::optional(facts.results.back());
  });
}

std::string AttemptTest::log() {
  return daemon_.with_facts([](const DaemonFacts& facts) { return facts.log; });
}

std::string AttemptTest::guard_log() const { return testing::read_file(directory_.guard_log()); }

int AttemptTest::times_noted(const std::string& word) const {
  int times = 0;
  const std::string text = noted();
  for (const auto line : split(text, '\n')) times += line == word ? 1 : 0;
  return times;
}

bool AttemptTest::lives(pid_t pid) {
  const std::string stat = testing::read_file("/proc/" + std::to_string(pid) + "/stat");
  return !stat.empty() && stat.find(") Z ") == std::string::npos;
}

}  // namespace provisioner::runner
