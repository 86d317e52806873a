// Rows of jobs and their events, as every SQL store keeps them: the columns and their readers.
// `Row` is the store's own reader of columns from left to right.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "store/store.hpp"

namespace provisioner {

// In the order of read_job().
inline constexpr std::string_view kSelectJobs =
    "SELECT j.workspace, j.name, j.type, j.present, j.enabled, j.position, j.events, "
    "j.schedule_hash, j.status, j.cursor, j.next_run, j.last_run, j.last_success, j.last_failure, "
    "j.last_error, j.last_exit_code, j.run_count, j.success_count, j.failure_count, "
    "j.deployed_config, j.deployed_bundle, j.deployed_inputs_hash FROM job_states j ";

template <typename Row>
Job read_job(Row row) {
  Job j;
  j.workspace = row.template as<WorkspaceName>();
  j.name = row.template as<JobName>();
  j.type = row.checked(parse_job_type(row.text()));
  j.present = row.boolean();
  j.enabled = row.boolean();
  j.position = row.integer();
  j.events = row.checked(parse_job_events(row.text()));
  j.schedule_hash = row.text();
  j.status = row.checked(parse_job_status(row.text()));
  j.cursor = row.instant();
  j.next_run = row.optional_instant();
  j.last_run = row.optional_instant();
  j.last_success = row.optional_instant();
  j.last_failure = row.optional_instant();
  j.last_error = row.text();
  j.last_exit_code = row.optional_integer();
  j.run_count = row.integer();
  j.success_count = row.integer();
  j.failure_count = row.integer();
  auto deployed_config = row.optional_text();
  Definition deployed{.config = deployed_config.value_or(""),
                      .bundle = row.template as<BundleHash>(),
                      .inputs_hash = row.text()};
  if (deployed_config) j.deployed = std::move(deployed);
  return j;
}

inline constexpr std::string_view kSelectJobEvents =
    "SELECT number, workspace, event, at, bundle FROM job_events ";

template <typename Row>
JobEventRow read_job_event(Row row) {
  JobEventRow e;
  e.number = row.integer();
  e.workspace = row.template as<WorkspaceName>();
  e.event = row.checked(parse_job_event(row.text()));
  e.at = row.instant();
  e.bundle = row.template as<BundleHash>();
  return e;
}

// Of runs of jobs.
inline constexpr std::string_view kSelectJobRuns =
    "SELECT r.id, r.job, r.operation, r.status, r.waiting_for, r.event, r.concurrent, r.error "
    "FROM runs r ";

template <typename Row>
JobRun read_job_run(Row row) {
  JobRun r;
  r.id = row.template as<RunId>();
  r.job = row.template as<JobName>();
  r.operation = row.checked(parse_operation(row.text()));
  r.status = row.checked(parse_run_status(row.text()));
  r.waiting_for = row.text();
  r.event = row.text();
  r.concurrent = row.boolean();
  r.error = row.text();
  return r;
}

}  // namespace provisioner
