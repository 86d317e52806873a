// Who may try to lead. Winning here is not leading: the winner claims a term in the store first
// (election/term.hpp), and only the store's fence makes what it does safe.
#pragma once

#include <string>

#include "base/error.hpp"
#include "base/time.hpp"
#include "runtime/task.hpp"

namespace provisioner {

struct ElectionTiming {
  Duration ttl = std::chrono::seconds(5);            // after it, others may lead
  Duration renew = std::chrono::seconds(1);          // between two renewals
  Duration margin = std::chrono::milliseconds(500);  // a leader stops that much before its ttl

  // kInvalid unless a lease survives two lost renewals and the margin leaves something of it.
  Status validate() const;
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

  virtual ElectionTiming timing() const = 0;

  virtual std::string describe() const = 0;  // "single", for doctor and cluster status
};

}  // namespace provisioner
