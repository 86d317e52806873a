// A run: one deploy, destroy or plan of a workspace, or one run of a job, in one or more attempts.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/ids.hpp"
#include "base/time.hpp"
#include "base/trace.hpp"
#include "model/workspace.hpp"

namespace provisioner {

enum class Operation { kDeploy, kDestroy, kPlan, kJob };
enum class Trigger { kSchedule, kManual, kEvent, kChange, kTtl, kRetry };
enum class RunStatus {
  kQueued,  // also: an attempt was interrupted and the next one waits to be claimed
  kRunning,
  kSucceeded,
  kFailed,
  kTimedOut,
  kCancelled,
  kInterrupted,  // final for a run only when it must not be resumed; else of an attempt
};

std::string_view to_string(Operation operation);  // "deploy", ...
std::string_view to_string(Trigger trigger);
std::string_view to_string(RunStatus status);  // "queued", "timed_out", ...
Result<Operation> parse_operation(std::string_view text);
Result<Trigger> parse_trigger(std::string_view text);
Result<RunStatus> parse_run_status(std::string_view text);

constexpr bool is_final(RunStatus status) {
  return status != RunStatus::kQueued && status != RunStatus::kRunning;
}

struct ResourceCounts {
  std::int64_t add = 0, change = 0, destroy = 0;
  friend bool operator==(const ResourceCounts&, const ResourceCounts&) = default;
};

// The tofu state that a run works on: a workspace's own, or a template job's inside it.
struct StateSlot {
  WorkspaceName workspace;
  std::string job;  // "" = the workspace's own
  friend auto operator<=>(const StateSlot&, const StateSlot&) = default;
};

// What a caller asks to be queued.
struct NewRun {
  RunId id;
  WorkspaceName workspace;
  JobName job = {};  // "" = the workspace itself
  Operation operation = Operation::kDeploy;
  std::string mode;  // "" = none
  Trigger trigger = Trigger::kManual;
  std::optional<Instant> scheduled_for;
  std::string requested_by;  // for the audit: "schedule", "uid:0", "token:ci"
  Definition definition;     // fixed when queued: a later edit does not reach a queued run
  std::optional<Instant> not_before;
  std::string waiting_for;  // names the dependency it waits for; "" = claimable
  bool upgrade = false;     // renew the provider lock file
  bool confirmed = false;   // a person agreed to deletions and replacements
  bool concurrent = false;  // of a job: may run beside others of its slot
  std::string event = {};   // names the event that it belongs to, with others; "" = none
  std::string idempotency_key;
  CorrelationId correlation_id = {};  // of the request that asked for it; "" = nobody did
  Instant created_at;
};

// What its run is given: its own, else one made from its id.
inline CorrelationId correlation_of(const NewRun& run) {
  return run.correlation_id.empty() ? correlation_of(run.id) : run.correlation_id;
}

struct Run {
  RunId id;
  WorkspaceName workspace;
  JobName job;  // "" = the workspace itself
  Operation operation = Operation::kDeploy;
  std::string mode;
  Trigger trigger = Trigger::kManual;
  std::optional<Instant> scheduled_for;
  std::string requested_by;
  Definition definition;
  std::optional<Instant> not_before;
  std::string waiting_for;
  bool upgrade = false;
  bool confirmed = false;
  bool concurrent = false;
  std::string event;
  CorrelationId correlation_id;  // of a run from before there were any: ""

  RunStatus status = RunStatus::kQueued;
  Attempt attempt;  // the newest; 0 = never claimed
  std::int64_t retries =
      0;  // attempts that failed for a passing reason and were followed by another
  InstanceId instance;
  Term term;
  Instant created_at;
  std::optional<Instant> started_at;  // of the first attempt
  std::optional<Instant> finished_at;
  std::optional<std::int64_t> exit_code;
  std::string error;
  ResourceCounts resources;
  bool cancel_requested = false;

  // A change-triggered run may not delete or replace anything that nobody agreed to.
  bool needs_agreement() const { return trigger == Trigger::kChange && !confirmed; }
  friend bool operator==(const Run&, const Run&) = default;
};

inline StateSlot slot_of(const Run& run) { return {run.workspace, run.job.value}; }

// Whether it failed and is tried again at `not_before`.
bool waits_for_retry(const Run& run);

// Where the processes of an attempt live. Only the same machine, boot and pid namespace may speak
// about their death.
struct ProcessIdentity {
  std::string machine_id;     // /etc/machine-id, "" when there is none
  std::string boot_id;        // /proc/sys/kernel/random/boot_id
  std::string pid_namespace;  // the inode of /proc/self/ns/pid
  std::int64_t guard_pid = 0;
  std::int64_t guard_start = 0;  // start time in clock ticks since boot (/proc/<pid>/stat, 22)
  std::string directory;         // the attempt's own directory
  friend bool operator==(const ProcessIdentity&, const ProcessIdentity&) = default;
};

struct AttemptRow {
  RunId run;
  CorrelationId correlation_id;  // of the run
  WorkspaceName workspace;
  JobName job;
  Attempt attempt;
  InstanceId instance;
  RunStatus status = RunStatus::kRunning;  // running, or how it ended
  std::optional<ProcessIdentity> process;  // absent until the runner has registered
  std::int64_t heartbeat_seq = 0;
  Instant started_at;
  std::optional<Instant> finished_at;
  Instant lease_expires_at;  // for display only: expiry is observed, not compared
  std::string error;
};

// When a failed attempt is followed by another one, unless something newer is in the way.
struct RetryOffer {
  Instant at;
  std::string announcement;  // a line of the log, its newline included, where the offer is taken
  friend bool operator==(const RetryOffer&, const RetryOffer&) = default;
};

// How an attempt ended, as its runner reports it.
struct AttemptResult {
  RunStatus status = RunStatus::kFailed;  // final, or kInterrupted: try again
  std::optional<std::int64_t> exit_code;
  std::string error;  // "" when it succeeded
  ResourceCounts resources;
  bool needs_confirmation = false;        // the plan deletes or replaces and nobody agreed
  std::optional<std::string> lock_file;   // .terraform.lock.hcl, when init changed it
  std::optional<Instant> ttl_expires_at;  // of a successful deploy

  // Of a failed one: the reason may pass by itself, and the host that it names, "" = none.
  bool may_pass = false;
  std::string host;
  bool began_changes = false;       // the step that changes resources was begun
  std::optional<RetryOffer> retry;  // the daemon's, who counts retries
};

}  // namespace provisioner
