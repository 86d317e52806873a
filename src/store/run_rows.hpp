// Rows of runs and their attempts, as every SQL store keeps them: the columns and their readers.
// `Row` is the store's own reader of columns from left to right.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "store/store.hpp"

namespace provisioner {

// In the order of read_run(); `seq` comes first.
inline constexpr std::string_view kSelectRuns =
    "SELECT r.seq, r.id, r.workspace, r.job, r.operation, r.mode, r.trigger, r.scheduled_for, "
    "r.requested_by, r.config, r.bundle, r.inputs_hash, r.not_before, r.waiting_for, r.upgrade, "
    "r.confirmed, r.concurrent, r.event, r.status, r.attempt, r.retries, r.instance, r.term, "
    "r.created_at, r.started_at, "
    "r.finished_at, r.exit_code, r.error, r.resources_add, r.resources_change, "
    "r.resources_destroy, r.cancel_requested, r.correlation_id FROM runs r ";

// A run with its place in the queue, which is also that in the history.
struct PlacedRun {
  std::int64_t seq = 0;
  Run run;
};

template <typename Row>
PlacedRun read_run(Row row) {
  PlacedRun placed{.seq = row.integer(), .run = {}};
  Run& r = placed.run;
  r.id = row.template as<RunId>();
  r.workspace = row.template as<WorkspaceName>();
  r.job = row.template as<JobName>();
  r.operation = row.checked(parse_operation(row.text()));
  r.mode = row.text();
  r.trigger = row.checked(parse_trigger(row.text()));
  r.scheduled_for = row.optional_instant();
  r.requested_by = row.text();
  r.definition = {
      .config = row.text(), .bundle = row.template as<BundleHash>(), .inputs_hash = row.text()};
  r.not_before = row.optional_instant();
  r.waiting_for = row.text();
  r.upgrade = row.boolean();
  r.confirmed = row.boolean();
  r.concurrent = row.boolean();
  r.event = row.text();
  r.status = row.checked(parse_run_status(row.text()));
  r.attempt = row.template as<Attempt>();
  r.retries = row.integer();
  r.instance = row.template as<InstanceId>();
  r.term = row.template as<Term>();
  r.created_at = row.instant();
  r.started_at = row.optional_instant();
  r.finished_at = row.optional_instant();
  r.exit_code = row.optional_integer();
  r.error = row.text();
  r.resources = {.add = row.integer(), .change = row.integer(), .destroy = row.integer()};
  r.cancel_requested = row.boolean();
  r.correlation_id = row.template as<CorrelationId>();
  return placed;
}

// In the order of read_attempt().
inline constexpr std::string_view kSelectAttempts =
    "SELECT run, workspace, attempt, instance, status, registered, machine_id, boot_id, "
    "pid_namespace, guard_pid, guard_start, directory, heartbeat_seq, started_at, finished_at, "
    "lease_expires_at, error, claim_hash, base_state, "
    "(SELECT r.correlation_id FROM runs r WHERE r.id = run_attempts.run), "
    "(SELECT r.job FROM runs r WHERE r.id = run_attempts.run) FROM run_attempts ";

// What the store alone knows of an attempt, beside the row that it shows.
struct StoredAttempt {
  AttemptRow row;
  std::string claim_hash;
  std::int64_t base_state = 0;
};

template <typename Row>
StoredAttempt read_attempt(Row row) {
  StoredAttempt a;
  a.row.run = row.template as<RunId>();
  a.row.workspace = row.template as<WorkspaceName>();
  a.row.attempt = row.template as<Attempt>();
  a.row.instance = row.template as<InstanceId>();
  a.row.status = row.checked(parse_run_status(row.text()));
  const bool registered = row.boolean();
  ProcessIdentity process{.machine_id = row.text(),
                          .boot_id = row.text(),
                          .pid_namespace = row.text(),
                          .guard_pid = row.integer(),
                          .guard_start = row.integer(),
                          .directory = row.text()};
  if (registered) a.row.process = std::move(process);
  a.row.heartbeat_seq = row.integer();
  a.row.started_at = row.instant();
  a.row.finished_at = row.optional_instant();
  a.row.lease_expires_at = row.instant();
  a.row.error = row.text();
  a.claim_hash = row.text();
  a.base_state = row.integer();
  a.row.correlation_id = row.template as<CorrelationId>();
  a.row.job = row.template as<JobName>();
  return a;
}

}  // namespace provisioner
