// The conversation that tofu's `http` backend has with us, apart from any server: a request in, a
// StateBackend call, a reply out. docs/state-backend.md says what the client accepts and why.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "base/time.hpp"
#include "runtime/task.hpp"

namespace provisioner::tofu {

// A state's keeper, already bound to one slot and one attempt (or one person's command).
// kConflict, kFenced and kDenied are final refusals whose message tofu shows; kUnavailable,
// kAmbiguous and kTimeout mean "ask again": every call may be repeated after a lost answer.
class StateBackend {
 public:
  virtual ~StateBackend() = default;

  // The current body; absent when there is no state yet.
  virtual Task<Result<std::optional<std::string>>> read() = 0;

  // Absent: the lock is (or already was) ours. Else the JSON of the lock that is in the way, as
  // its owner sent it.
  virtual Task<Result<std::optional<std::string>>> lock(std::string lock_id,
                                                        std::string info_json) = 0;

  // "" = whoever holds it (`terraform force-unlock`). Of no lock: ok.
  virtual Task<Status> unlock(std::string lock_id) = 0;

  // Content that is already current is ok.
  virtual Task<Status> write(std::string lock_id, std::string body) = 0;
};

struct StateRequest {
  std::string method;       // GET, POST, LOCK, UNLOCK, DELETE
  std::string lock_id;      // the query's ID, "" = none
  std::string content_md5;  // the header, "" = none
  std::string body;
};

struct StateReply {
  int status = 200;
  std::string content_type;  // "" = no body
  std::string body;
  std::optional<std::chrono::seconds> retry_after;
};

// What to do with "ask again". While we stop, tofu must not retry: it ignores SIGINT meanwhile, so
// it gets a refusal instead and saves its state to errored.tfstate.
enum class Patience { kAskAgain, kStopping };

// Answers one request. `patience` is read after the backend's answer, so a stop that comes while
// the request waits counts. Takes both by reference: they outlive the call.
Task<StateReply> answer_state_request(StateBackend& backend, StateRequest request,
                                      const Patience& patience);

// HTTP Basic credentials: user = run id, password = the attempt's secret.
struct Credentials {
  std::string user;
  std::string password;
};

// kDenied when the header is absent or no Basic authorization.
Result<Credentials> parse_authorization(std::string_view header);

// Comparison in constant time.
bool same_secret(std::string_view a, std::string_view b);

}  // namespace provisioner::tofu
