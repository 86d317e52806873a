// The daemon's side of runner/protocol.hpp: what a runner asks, answered from the store.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "base/ids.hpp"
#include "execution/retries.hpp"
#include "execution/workspace_log.hpp"
#include "http/message.hpp"
#include "model/workspace_spec.hpp"
#include "runner/protocol.hpp"
#include "runtime/clock.hpp"
#include "runtime/signal.hpp"
#include "store/store.hpp"
#include "telemetry/log.hpp"

namespace provisioner::execution {

// Makes the assignment of a claimed run whose directory was prepared. An error of kind kInvalid or
// kNotFound is the run's: it ends failed with that sentence; others mean "ask again".
using Assign = std::function<Task<Result<runner::Assignment>>(Run run, std::string directory)>;

// Authority is the claim in the request: writes go to the store with it, which refuses a stale one,
// and reads are checked against the store's claim first. Nothing is kept between requests but what
// wakes watchers, completes lines of the workspace's log file, or spares asking the store again, so
// a new daemon continues where an old one stopped.
class RunnerApi {
 public:
  struct Parts {
    Store& store;
    Clock& clock;
    WorkspaceLog& workspace_log;
    Logger log;
    Assign assign;
    Duration lease;
    // The store has acknowledged that this attempt ended so, and its run with it.
    std::function<void(const Run&, const AttemptResult&)> acknowledged = {};
    Retries* retries = nullptr;  // absent: no run is tried again
  };
  explicit RunnerApi(Parts parts);
  ~RunnerApi();

  // Any request whose path begins with runner::kPathPrefix.
  Task<http::Response> handle(http::Request request);

  // The runner of `claimed` is about to be started: it need not be looked up when it registers.
  void expect(const ClaimedRun& claimed);

  // For an attempt that ended without its runner's word: kInterrupted, or kFailed before it began.
  void attempt_ended(const RunId& run, Attempt attempt, RunStatus how, const std::string& sentence);

  // Called on the loop when an attempt that this daemon knows has ended, with the result of the
  // attempt; kQueued: it failed, and its run is tried again.
  void on_end(std::function<void(const Run&, RunStatus)> listener) {
    on_end_ = std::move(listener);
  }

  // Attempts that were interrupted: by their runners' word, or judged so here.
  std::int64_t interrupted() const { return interrupted_; }

  // Attempts of this kind that this daemon knows to be in progress.
  std::size_t running(Operation operation) const;

  // Answers everybody who watches for a cancel at once, now and later, so that a server can drain.
  void release_watchers();

 private:
  // What this daemon knows of an attempt that runs or is being started: the run as it was claimed,
  // how far its log reached the workspace's log file, and the line that is not complete.
  struct Known {
    Run run;
    std::int64_t log_end = 0;
    std::string rest;
  };
  using AttemptKey = std::pair<RunId, Attempt>;

  Task<Result<ClaimedRun>> authenticate(AttemptFence fence);
  Task<http::Response> register_attempt(AttemptFence fence, std::string body);
  Task<http::Response> heartbeat(AttemptFence fence);
  Task<http::Response> watch(AttemptFence fence, http::Request request);
  Task<http::Response> append_log(AttemptFence fence, http::Request request);
  Task<http::Response> state(AttemptFence fence, http::Request request);
  Task<http::Response> recover(AttemptFence fence, std::string body);
  Task<http::Response> finish(AttemptFence fence, std::string body);
  void log_if_fenced(const AttemptFence& fence, const std::string& method,
                     const http::Response& response) const;
  // When the run of an ended attempt is tried again, which was offered; absent: it has ended.
  Task<std::optional<Instant>> accepted(AttemptFence fence);
  void log_end(const Run& run, const AttemptResult& result, std::optional<Instant> retry_at) const;

  Task<> tee(const AttemptFence& fence, std::int64_t offset, std::string text);
  static void take(Known& known, std::int64_t offset, std::string_view text);
  void forget(const AttemptKey& attempt, RunStatus how, const std::string& sentence);

  Parts parts_;
  std::multimap<std::string, Signal*> watchers_;  // by run
  bool releasing_ = false;
  std::map<AttemptKey, Known> known_;
  std::function<void(const Run&, RunStatus)> on_end_;
  std::int64_t interrupted_ = 0;
  Store::Subscription subscription_;
};

}  // namespace provisioner::execution
