#include "runner/attempt_life.hpp"

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "runner/guard_line.hpp"
#include "runner/say.hpp"

namespace provisioner::runner {
namespace {

namespace asio = boost::asio;

constexpr Duration kLogPause = std::chrono::milliseconds(100);
constexpr std::size_t kLogBatch = 64 * 1024;
constexpr Duration kWatch = std::chrono::seconds(30);
// A run of nothing but `true` ends sooner, and need not ask.
constexpr Duration kBeforeWatch = std::chrono::milliseconds(50);
constexpr Duration kFirstBeat = std::chrono::seconds(1);
constexpr Duration kLastMoment = std::chrono::milliseconds(20);
constexpr Duration kAfterFailure = std::chrono::milliseconds(500);

std::int64_t micros_of(BootInstant at) { return at.time_since_epoch().count(); }

}  // namespace

AttemptLife::AttemptLife(Parts parts)
    : parts_(std::move(parts)),
      guard_line_(parts_.loop, parts_.guard_line),
      signals_(parts_.loop, SIGTERM, SIGINT, SIGHUP),
      moved_(parts_.loop),
      ship_now_(parts_.loop),
      shipped_all_but_the_end_(parts_.loop) {}

void AttemptLife::begin() {
  parts_.course.on_stop([this] {
    say(fmt::format("stopping: {}", sentence_of(*parts_.course.cause())));
    tell_guard(parts_.guard_line, {GuardRecord::Kind::kStopping, 0});
    asio::co_spawn(parts_.loop, kill_when_time_is_up(), asio::detached);
  });
  asio::co_spawn(parts_.loop, hear_guard(), asio::detached);
  asio::co_spawn(parts_.loop, hear_signals(), asio::detached);
  asio::co_spawn(parts_.loop, keep_time(), asio::detached);
}

void AttemptLife::go_on(const Assignment& assignment, BootInstant registered_at) {
  heartbeat_ = assignment.heartbeat;
  timeout_at_ = registered_at + assignment.timeout;
  tell_guard(parts_.guard_line,
             {GuardRecord::Kind::kStopAllowance, assignment.stop_allowance.count()});
  parts_.course.grant(registered_at,
                      {assignment.lease, assignment.margin, assignment.stop_allowance});
  tell_deadline();
  moved_.notify();
  asio::co_spawn(parts_.loop, beat(registered_at), asio::detached);
  asio::co_spawn(parts_.loop, watch(), asio::detached);
}

void AttemptLife::ship(const LogSpool& log) {
  log_ = &log;
  asio::co_spawn(parts_.loop, ship_log(), asio::detached);
}

void AttemptLife::stop(StopCause cause) { parts_.course.stop(cause, parts_.clock.boot_now()); }

void AttemptLife::tell_deadline() {
  tell_guard(parts_.guard_line,
             {GuardRecord::Kind::kDeadline, micros_of(parts_.course.deadline())});
}

void AttemptLife::finished() { tell_guard(parts_.guard_line, {GuardRecord::Kind::kFinished, 0}); }

// The guard never speaks: whatever is to be read is the end of it.
Task<> AttemptLife::hear_guard() {
  boost::system::error_code error;
  co_await guard_line_.async_wait(asio::posix::stream_descriptor::wait_read,
                                  asio::redirect_error(asio::use_awaitable, error));
  stop(StopCause::kGuardDied);
}

Task<> AttemptLife::hear_signals() {
  boost::system::error_code error;
  co_await signals_.async_wait(asio::redirect_error(asio::use_awaitable, error));
  if (!error) stop(StopCause::kTerminated);
}

Task<> AttemptLife::keep_time() {
  while (!parts_.course.stopping()) {
    const BootInstant now = parts_.clock.boot_now();
    if (now >= parts_.course.stop_at()) co_return stop(StopCause::kLeaseLost);
    if (timeout_at_ && now >= *timeout_at_) co_return stop(StopCause::kTimedOut);
    co_await moved_.wait_until(
        parts_.clock, std::min(parts_.course.stop_at(), timeout_at_.value_or(BootInstant::max())));
  }
}

Task<> AttemptLife::kill_when_time_is_up() {
  co_await parts_.clock.sleep_until(parts_.course.kill_at());
  say("killing what has not stopped");
  co_await end_the_others();
}

Task<> AttemptLife::end_the_others() {
  // The last trampoline has told of its child's end and is about to go by itself.
  const BootInstant patience_ends = parts_.clock.boot_now() + kLastMoment;
  while (has_children() && parts_.clock.boot_now() < patience_ends) {
    co_await parts_.reaper.some_ended().wait_until(parts_.clock, patience_ends);
  }
  while (has_children()) {
    if (!processes_) {
      processes_ = std::make_unique<ProcessSet>(parts_.tag, ProcessSet::Carriers::kBornAfterUs);
    }
    if (processes_->look(getpid(), parts_.guard) == 0) break;
    processes_->signal_all(SIGKILL);
    co_await parts_.clock.sleep_for(std::chrono::milliseconds(5));
  }
}

void AttemptLife::heed(const Result<http::Response>& answer) {
  if (!answer) {
    if (answer.error().kind == ErrorKind::kFenced || answer.error().kind == ErrorKind::kDenied) {
      stop(StopCause::kFenced);
    }
    return;
  }
  const auto heartbeat = decode_heartbeat(answer->body);
  if (heartbeat && heartbeat->cancel_requested) stop(StopCause::kCancelled);
}

// The registration was as good as a heartbeat.
Task<> AttemptLife::beat(BootInstant registered_at) {
  co_await parts_.clock.sleep_until(registered_at + std::min(heartbeat_, kFirstBeat));
  while (!parts_.course.fenced()) {
    const BootInstant sent = parts_.clock.boot_now();
    const auto answer =
        co_await parts_.daemon.ask({"POST", std::string(kHeartbeatPath), "{}"},
                                   std::min<Duration>(heartbeat_, std::chrono::seconds(10)));
    if (answer) {
      parts_.course.renew(sent);
      tell_deadline();
    }
    heed(answer);
    co_await parts_.clock.sleep_until(
        answer ? sent + heartbeat_ : parts_.clock.boot_now() + std::min(heartbeat_, kAfterFailure));
  }
}

Task<> AttemptLife::watch() {
  const std::string target =
      fmt::format("{}?seconds={}", kWatchPath,
                  std::chrono::duration_cast<std::chrono::seconds>(kWatch).count());
  co_await parts_.clock.sleep_for(kBeforeWatch);
  while (!parts_.course.stopping()) {
    const auto answer =
        co_await parts_.daemon.ask({"GET", target, ""}, kWatch + std::chrono::seconds(5));
    heed(answer);
    if (!answer) co_await parts_.clock.sleep_for(kAfterFailure);
  }
}

Task<> AttemptLife::ship_log() {
  const auto is_little = [this] {
    return log_->size() - shipped_ <= static_cast<std::int64_t>(kLogBatch);
  };
  shipping_ = true;
  while (!parts_.course.fenced() && !cannot_ship_) {
    if (!ending_ && is_little()) {
      co_await ship_now_.wait_until(parts_.clock, parts_.clock.boot_now() + kLogPause);
    }
    if (ending_ && is_little()) break;
    if (shipped_ == log_->size()) continue;
    auto text = log_->read(shipped_, kLogBatch);
    if (!text || text->empty()) {
      cannot_ship_ = true;
      break;
    }
    const std::int64_t end = shipped_ + static_cast<std::int64_t>(text->size());
    const auto answer =
        co_await parts_.daemon.insist({"POST", fmt::format("{}?offset={}", kLogPath, shipped_),
                                       std::move(*text), "text/plain; charset=utf-8"},
                                      [this] { return parts_.course.deadline(); });
    if (answer) {
      shipped_ = end;
    } else if (may_pass(answer.error().kind)) {
      co_await parts_.clock.sleep_for(kLogPause);
    } else {
      say(fmt::format("the daemon refuses the log: {}", answer.error().message));
      cannot_ship_ = true;
      if (answer.error().kind == ErrorKind::kFenced) stop(StopCause::kFenced);
    }
  }
  shipping_ = false;
  shipped_all_but_the_end_.notify();
}

Task<AttemptLife::LogEnd> AttemptLife::end_of_log() {
  ending_ = true;
  ship_now_.notify();
  while (shipping_ && !parts_.course.fenced() &&
         parts_.clock.boot_now() < parts_.course.deadline()) {
    co_await shipped_all_but_the_end_.wait_until(parts_.clock, parts_.clock.boot_now() + kLogPause);
  }
  LogEnd end{shipped_, ""};
  if (log_ == nullptr || shipping_ || cannot_ship_) co_return end;
  if (auto text = log_->read(shipped_, kLogBatch)) end.text = std::move(*text);
  co_return end;
}

}  // namespace provisioner::runner
