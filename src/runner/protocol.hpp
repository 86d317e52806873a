// What a runner and its daemon say to each other: HTTP/1.1 over the daemon's unix socket, JSON
// unless a path says otherwise. Both sides encode and decode with this page.
//
//   POST   /runner/v1/register         Registration -> 200 Assignment. The first request of an
//                                      attempt; the same answer for the same identity.
//   POST   /runner/v1/heartbeat        {} -> 200 Heartbeat. An acknowledged one renews the lease,
//                                      counted from the moment it was sent.
//   GET    /runner/v1/watch?seconds=N  -> 200 Heartbeat, as soon as a cancel is requested, or after
//                                      N seconds. Renews nothing.
//   POST   /runner/v1/log?offset=N     text/plain; the bytes at offset N of the attempt's log
//                                      -> 204; also when they are there already.
//   GET    /runner/v1/state            -> 200 tofu's state, 204 none yet
//   POST   /runner/v1/state?ID=LOCK    tofu's state -> 200
//   LOCK   /runner/v1/state            tofu's lock -> 200; 423 with the lock that is in the way
//   UNLOCK /runner/v1/state            tofu's lock -> 200
//   POST   /runner/v1/state/recover    a state that tofu could not hand over, while this attempt
//                                      still runs -> 200 accepted or there already; 409 divergent:
//                                      the daemon has kept it.
//   POST   /runner/v1/finish           Finish: the log's end and the result -> 204. Repeated after
//   a
//                                      lost reply: 204.
//
// Every request carries `Authorization: Bearer <run>.<attempt>.<claim>`. Refusals carry a Problem:
// 401 unknown or wrong credential; 409 code "fenced": the attempt is over, stop without another
// write; 409 other codes: this request only; 503: the store is away, ask again. A daemon that
// cannot be reached, 5xx and a lost reply mean the same to a runner: ask again until the deadline.
// Every request can be repeated.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "base/ids.hpp"
#include "base/time.hpp"
#include "model/run.hpp"
#include "model/workspace_spec.hpp"

namespace provisioner::runner {

inline constexpr std::string_view kPathPrefix = "/runner/v1/";
inline constexpr std::string_view kRegisterPath = "/runner/v1/register";
inline constexpr std::string_view kHeartbeatPath = "/runner/v1/heartbeat";
inline constexpr std::string_view kWatchPath = "/runner/v1/watch";
inline constexpr std::string_view kLogPath = "/runner/v1/log";
inline constexpr std::string_view kStatePath = "/runner/v1/state";
inline constexpr std::string_view kRecoverPath = "/runner/v1/state/recover";
inline constexpr std::string_view kFinishPath = "/runner/v1/finish";

// The value of the Authorization header, and back. kDenied when it is not of that form.
std::string authorization(const AttemptFence& fence);
Result<AttemptFence> parse_authorization(std::string_view header);

struct Registration {
  ProcessIdentity process;
  friend bool operator==(const Registration&, const Registration&) = default;
};

// What a script or command job runs instead of tofu's steps.
struct JobWork {
  JobName name;
  // One of them. The script is a whole file: its first line may name an interpreter, else it is
  // /bin/sh; the command is a line for `sh -c`.
  std::string script, command;
  std::string working_dir;  // inside the content, or absolute; "" = the content's folder
  friend bool operator==(const JobWork&, const JobWork&) = default;
};

// Everything that a runner needs to know. The daemon has unpacked the bundle (and the stored lock
// file) into <attempt directory>/content before it started the guard. Secrets are in it: it is kept
// in memory only.
struct Assignment {
  WorkspaceName workspace;
  Operation operation = Operation::kDeploy;
  std::string binary;  // absolute path of tofu or terraform; of a job "", if there is none
  // Holds nothing but `tofu`, a link to that binary; first on PATH. "" = PATH as it is.
  std::string binary_directory;
  CustomCommands commands;     // instead of tofu's steps
  std::optional<JobWork> job;  // the same, of operation kJob
  // Complete, apart from what the runner adds: PATH's first entry, RUN_ID, the attempt's tag,
  // WORKSPACE_DEPLOYMENT_DIR, TF_IN_AUTOMATION and the state backend's TF_HTTP_*.
  std::map<std::string, std::string> environment;
  std::string variables;           // JSON object for a -var-file, the mode included; "" = none
  std::vector<std::string> masks;  // secrets that no log may show
  bool needs_agreement = false;    // stop before a plan that deletes or replaces
  bool upgrade = false;            // init -upgrade
  bool own_backend = false;        // the content declares a backend: ours stays out of the way
  // Names the content that init depends on (modules, providers, binary); "" = always init. init is
  // skipped while it and the lock file are those of the cached .terraform.
  std::string init_fingerprint;
  std::string cache_directory;  // <work>/<workspace>/cache, keeps .terraform between attempts
  std::string plugin_cache_directory;  // shared provider cache, "" = none; init holds its lock

  Duration timeout = std::chrono::minutes(60);  // of the whole run
  Duration lease = std::chrono::seconds(150);
  Duration margin = std::chrono::seconds(2);  // the deadline is that much before the lease's end
  Duration heartbeat = std::chrono::seconds(10);
  Duration stop_allowance = std::chrono::seconds(40);  // between the SIGINT and the SIGKILL
  std::int64_t log_limit = 100ll * 1024 * 1024;        // bytes; more output is cut, and says so

  friend bool operator==(const Assignment&, const Assignment&) = default;
};

// The end of an attempt. What the log request has not brought yet comes along.
struct Finish {
  AttemptResult result;
  std::int64_t log_offset = 0;
  std::string log;
};

struct Heartbeat {
  bool cancel_requested = false;
  friend bool operator==(const Heartbeat&, const Heartbeat&) = default;
};

// Why a request was refused.
struct Problem {
  std::string code;     // kFencedCode, "conflict", "denied", "unavailable", "invalid", ...
  std::string message;  // a sentence
};
inline constexpr std::string_view kFencedCode = "fenced";

// The status and the code that a daemon answers an error with: fenced, conflict 409, denied 401,
// invalid 400, not_found 404, everything that may pass by itself 503.
int status_of(ErrorKind kind);
Problem problem_of(const Error& error);

// The other way: the error that a refusing response means to the runner.
Error error_of(int status, std::string_view body);

std::string encode(const Registration& registration);
std::string encode(const Assignment& assignment);
std::string encode(const Heartbeat& heartbeat);
std::string encode(const Finish& finish);
std::string encode(const Problem& problem);

// kInvalid names the field. Unknown fields are ignored: a newer daemon may talk to an older runner.
Result<Registration> decode_registration(std::string_view json);
Result<Assignment> decode_assignment(std::string_view json);
Result<Heartbeat> decode_heartbeat(std::string_view json);
Result<Finish> decode_finish(std::string_view json);

}  // namespace provisioner::runner
