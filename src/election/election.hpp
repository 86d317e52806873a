// Who may try to lead. Winning here is not leading: the winner claims a term in the store first
// (election/term.hpp), and only the store's fence makes what it does safe.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "base/error.hpp"
#include "base/ids.hpp"
#include "base/time.hpp"
#include "runtime/task.hpp"

namespace provisioner {

struct ElectionTiming {
  Duration ttl = std::chrono::seconds(5);            // after it, others may lead
  Duration renew = std::chrono::seconds(1);          // between two renewals
  Duration margin = std::chrono::milliseconds(500);  // a leader stops that much before its ttl
  Duration request = std::chrono::seconds(1);        // an answer is waited for, whoever gives it

  // kInvalid unless a lease survives two lost renewals, the margin leaves something of it, and a
  // request has ended before the next is due.
  Status validate() const;
};

// For people: it may be old when it is read, and decides nothing.
struct ElectionView {
  InstanceId leader;  // empty: nobody
  std::optional<Duration> lease_left;
};

// One candidate's seat in the election. One session at a time: campaign -> renew ... -> resign,
// then campaign again. Every implementation passes tests/contract/election.
class Election {
 public:
  virtual ~Election() = default;

  // Opens a new session and returns once this instance may try to lead, with the deadline until
  // which it may: counted from before the request that won, so a late answer is already past it.
  // May wait for ever; cancellable by asio cancellation. kUnavailable: try again with a new
  // session.
  virtual Task<Result<BootInstant>> campaign() = 0;

  // Proves, not from memory, that the session lives and still wins, and extends it: the new
  // deadline, counted from before the request. kFenced when it is lost: resign() and campaign anew.
  // kUnavailable when nobody answered: the old deadline stands.
  virtual Task<Result<BootInstant>> renew() = 0;

  // Gives up the session, so that the next candidate need not wait for its end. Best effort, and
  // harmless without a session.
  virtual Task<> resign() = 0;

  // Who leads at present. kUnavailable.
  virtual Task<Result<ElectionView>> observe() = 0;

  // A small text on one line with which release() can give up this session after the end of its
  // process, when there is proof of it; "" while there is no session to give up. `listener` is
  // called with each new one, on the loop.
  void on_release_token(std::function<void(const std::string&)> listener) {
    token_listener_ = std::move(listener);
  }

  // Gives up the session that `token` names, unless it is gone. Only for who saw the end of the
  // process that had it. kInvalid: a token of another kind of election. kUnavailable: its ttl
  // decides.
  virtual Task<Status> release(std::string token) = 0;

  virtual ElectionTiming timing() const = 0;

  virtual std::string describe() const = 0;  // "single", for doctor and cluster status

 protected:
  void tell_release_token(const std::string& token) {
    if (token_listener_) token_listener_(token);
  }

 private:
  std::function<void(const std::string&)> token_listener_;
};

}  // namespace provisioner
