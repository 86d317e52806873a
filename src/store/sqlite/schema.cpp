// Conventions: instants are INTEGER microseconds since 1970 UTC (`datetime(x / 1000000,
// 'unixepoch')` shows them), booleans 0 or 1, enumerations the words of the API, "" where a text
// has nothing to say. workspace_states, leader_election and config_changes have the columns that
// the requirement prescribes first, then ours.
//
// Each migration also works for the release before: expand, and contract one release later.
#include "store/sqlite/schema.hpp"

#include <fmt/format.h>

#include <array>
#include <string>

namespace provisioner::sqlite {
namespace {

struct Migration {
  const char* name;
  const char* sql;
};

constexpr std::array<Migration, 7> kMigrations = {{
    {"one instance", R"sql(
CREATE TABLE leader_election (
  id TEXT PRIMARY KEY,
  leader_id TEXT NOT NULL,
  lease_expiry INTEGER NOT NULL,     -- for elections that live in the store
  updated_at INTEGER NOT NULL,
  term INTEGER NOT NULL,             -- only grows (I2)
  claim_id TEXT NOT NULL,            -- with the term the fence of every decision
  claimed_at INTEGER NOT NULL
) STRICT;

CREATE TABLE instances (
  id TEXT PRIMARY KEY,
  incarnation TEXT NOT NULL,
  version TEXT NOT NULL,
  started_at INTEGER NOT NULL,
  last_seen INTEGER NOT NULL
) STRICT;

CREATE TABLE cluster_settings (
  key TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT;

CREATE TABLE bundles (
  hash TEXT PRIMARY KEY,
  unreferenced_since INTEGER,        -- found by a pruning; NULL = in use, or new
  content BLOB NOT NULL
) STRICT;

CREATE TABLE workspace_states (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  status TEXT NOT NULL,
  deployment_mode TEXT,
  last_deployed INTEGER,
  last_destroyed INTEGER,
  last_deploy_error TEXT,
  last_destroy_error TEXT,
  last_config_modified INTEGER,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  version INTEGER NOT NULL DEFAULT 1,
  enabled INTEGER NOT NULL,
  published_enabled INTEGER NOT NULL,  -- what the file said; a person's choice outlives the same file
  detached INTEGER NOT NULL,
  held INTEGER NOT NULL,
  hold_until INTEGER,
  hold_reason TEXT NOT NULL,
  template_name TEXT NOT NULL,
  description TEXT NOT NULL,
  config TEXT NOT NULL,
  bundle TEXT NOT NULL,
  inputs_hash TEXT NOT NULL,
  deployed_config TEXT,
  deployed_bundle TEXT,
  deployed_inputs_hash TEXT,
  deployed_mode TEXT NOT NULL,
  ttl_expires_at INTEGER,
  failed_destroys INTEGER NOT NULL,
  retry_at INTEGER,
  lock_file TEXT NOT NULL DEFAULT ''   -- .terraform.lock.hcl
) STRICT;

CREATE TABLE config_changes (
  id TEXT PRIMARY KEY,
  workspace_name TEXT,
  change_type TEXT NOT NULL,
  old_config TEXT,
  new_config TEXT,
  changed_by TEXT,
  changed_at INTEGER NOT NULL
) STRICT;
CREATE INDEX config_changes_by_workspace ON config_changes (workspace_name);

CREATE TABLE schedules (
  workspace TEXT PRIMARY KEY REFERENCES workspace_states (name),
  cursor INTEGER NOT NULL,           -- never moves back
  config_version INTEGER NOT NULL,
  schedule_hash TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- The ledger. Its key is I3.
CREATE TABLE occurrences (
  workspace TEXT NOT NULL REFERENCES workspace_states (name),
  schedule TEXT NOT NULL,
  at INTEGER NOT NULL,
  until INTEGER NOT NULL,
  count INTEGER NOT NULL,
  local_time TEXT NOT NULL,
  action TEXT NOT NULL,
  mode TEXT NOT NULL,
  outcome TEXT NOT NULL,
  reason TEXT NOT NULL,
  run TEXT,
  PRIMARY KEY (workspace, schedule, at)
) STRICT, WITHOUT ROWID;
CREATE INDEX occurrences_by_workspace ON occurrences (workspace, at);
CREATE INDEX occurrences_by_time ON occurrences (at);
CREATE INDEX occurrence_ranges ON occurrences (until, at) WHERE count > 1;

CREATE TABLE runs (
  seq INTEGER PRIMARY KEY,           -- the order of queueing; a resumed run keeps its place
  id TEXT NOT NULL UNIQUE,
  workspace TEXT NOT NULL REFERENCES workspace_states (name),
  job TEXT NOT NULL DEFAULT '',
  operation TEXT NOT NULL,
  mode TEXT NOT NULL,
  trigger TEXT NOT NULL,
  scheduled_for INTEGER,
  requested_by TEXT NOT NULL,
  config TEXT NOT NULL,
  bundle TEXT NOT NULL,
  inputs_hash TEXT NOT NULL,
  not_before INTEGER,
  waiting_for TEXT NOT NULL,
  upgrade INTEGER NOT NULL,
  confirmed INTEGER NOT NULL,
  idempotency_key TEXT,              -- NULL = none
  status TEXT NOT NULL,
  attempt INTEGER NOT NULL,
  instance TEXT NOT NULL,
  term INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  started_at INTEGER,
  finished_at INTEGER,
  exit_code INTEGER,
  error TEXT NOT NULL,
  resources_add INTEGER NOT NULL,
  resources_change INTEGER NOT NULL,
  resources_destroy INTEGER NOT NULL,
  cancel_requested INTEGER NOT NULL
) STRICT;
-- A slot has one active and one queued run (I1).
CREATE UNIQUE INDEX one_running_run_per_slot ON runs (workspace, job) WHERE status = 'running';
CREATE UNIQUE INDEX one_queued_run_per_slot ON runs (workspace, job) WHERE status = 'queued';
CREATE UNIQUE INDEX runs_by_idempotency_key ON runs (idempotency_key)
  WHERE idempotency_key IS NOT NULL;
CREATE INDEX runs_by_workspace ON runs (workspace, seq);
CREATE INDEX runs_by_status ON runs (status, seq);
CREATE INDEX runs_by_end ON runs (finished_at) WHERE finished_at IS NOT NULL;

CREATE TABLE run_attempts (
  run TEXT NOT NULL REFERENCES runs (id),
  attempt INTEGER NOT NULL,
  workspace TEXT NOT NULL,
  claim_hash TEXT NOT NULL UNIQUE,   -- SHA-256: who reads the file cannot speak for a runner
  instance TEXT NOT NULL,
  incarnation TEXT NOT NULL,
  term INTEGER NOT NULL,
  status TEXT NOT NULL,
  base_state INTEGER NOT NULL,       -- the current state version when it was claimed; 0 = none
  heartbeat_seq INTEGER NOT NULL,
  started_at INTEGER NOT NULL,
  finished_at INTEGER,
  lease_expires_at INTEGER NOT NULL, -- for display; expiry is observed
  error TEXT NOT NULL,
  registered INTEGER NOT NULL,
  machine_id TEXT NOT NULL,
  boot_id TEXT NOT NULL,
  pid_namespace TEXT NOT NULL,
  guard_pid INTEGER NOT NULL,
  guard_start INTEGER NOT NULL,
  directory TEXT NOT NULL,
  PRIMARY KEY (run, attempt)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX one_running_attempt_per_run ON run_attempts (run) WHERE status = 'running';

CREATE TABLE run_logs (
  run TEXT NOT NULL REFERENCES runs (id),
  attempt INTEGER NOT NULL,
  position INTEGER NOT NULL,         -- of its first byte
  text BLOB NOT NULL                 -- as tofu wrote it, which need not be UTF-8
) STRICT;
CREATE UNIQUE INDEX run_logs_in_order ON run_logs (run, attempt, position);

CREATE TABLE state_versions (
  workspace TEXT NOT NULL REFERENCES workspace_states (name),
  job TEXT NOT NULL,
  number INTEGER NOT NULL,
  lineage TEXT NOT NULL,
  serial INTEGER NOT NULL,
  sha256 TEXT NOT NULL,
  resources INTEGER NOT NULL,
  divergent INTEGER NOT NULL,
  run TEXT,
  attempt INTEGER NOT NULL,
  written_by TEXT NOT NULL,
  at INTEGER NOT NULL,
  body BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX state_versions_in_order ON state_versions (workspace, job, number);
CREATE UNIQUE INDEX accepted_state_versions ON state_versions (workspace, job, number)
  WHERE divergent = 0;

CREATE TABLE state_locks (
  workspace TEXT NOT NULL REFERENCES workspace_states (name),
  job TEXT NOT NULL,
  id TEXT NOT NULL,
  info_json TEXT NOT NULL,
  run TEXT,
  attempt INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  PRIMARY KEY (workspace, job)
) STRICT, WITHOUT ROWID;

CREATE TABLE audit_events (
  seq INTEGER PRIMARY KEY,
  at INTEGER NOT NULL,
  actor TEXT NOT NULL,
  action TEXT NOT NULL,
  target TEXT NOT NULL,
  outcome TEXT NOT NULL
) STRICT;
CREATE INDEX audit_events_by_time ON audit_events (at);
)sql"},
    {"tokens of the API", R"sql(
CREATE TABLE api_tokens (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  hash TEXT NOT NULL UNIQUE,         -- SHA-256, hex; the token itself is nowhere
  role TEXT NOT NULL,
  workspaces TEXT NOT NULL,          -- patterns, joined by ', '; "" = all
  created_by TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  expires_at INTEGER,                -- NULL = never
  revoked_at INTEGER,
  revoked_by TEXT NOT NULL DEFAULT '',
  last_used_at INTEGER
) STRICT;
CREATE UNIQUE INDEX api_tokens_in_use ON api_tokens (name) WHERE revoked_at IS NULL;
)sql"},
    {"several instances", R"sql(
ALTER TABLE leader_election ADD COLUMN transfer_id TEXT NOT NULL DEFAULT '';  -- '' = no wish
ALTER TABLE leader_election ADD COLUMN transfer_from TEXT NOT NULL DEFAULT '';
ALTER TABLE leader_election ADD COLUMN transfer_to TEXT NOT NULL DEFAULT '';

ALTER TABLE instances ADD COLUMN home TEXT NOT NULL DEFAULT '';
ALTER TABLE instances ADD COLUMN ready INTEGER NOT NULL DEFAULT 0;
ALTER TABLE instances ADD COLUMN draining INTEGER NOT NULL DEFAULT 0;
ALTER TABLE instances ADD COLUMN stopped INTEGER NOT NULL DEFAULT 0;

-- What each instance said last about each folder.
CREATE TABLE reports (
  instance TEXT NOT NULL,
  workspace TEXT NOT NULL,
  content TEXT NOT NULL,             -- '' = vanished there
  reported_at INTEGER NOT NULL,
  PRIMARY KEY (workspace, instance)
) STRICT, WITHOUT ROWID;
)sql"},
    {"correlation of runs", R"sql(
-- The trace-id of the request that a run comes from, or one of its own.
ALTER TABLE runs ADD COLUMN correlation_id TEXT NOT NULL DEFAULT '';
)sql"},
    {"retries of runs", R"sql(
-- Attempts that failed for a passing reason and were followed by another one.
ALTER TABLE runs ADD COLUMN retries INTEGER NOT NULL DEFAULT 0;
)sql"},
    {"jobs", R"sql(
ALTER TABLE runs ADD COLUMN concurrent INTEGER NOT NULL DEFAULT 0;  -- of a job that may overlap
ALTER TABLE runs ADD COLUMN event TEXT NOT NULL DEFAULT '';         -- what started it, with others
DROP INDEX one_running_run_per_slot;
DROP INDEX one_queued_run_per_slot;
CREATE UNIQUE INDEX one_running_run_per_slot ON runs (workspace, job)
  WHERE status = 'running' AND concurrent = 0;
CREATE UNIQUE INDEX one_queued_run_per_slot ON runs (workspace, job)
  WHERE status = 'queued' AND concurrent = 0;
CREATE INDEX runs_by_job ON runs (workspace, job, seq) WHERE job <> '';
CREATE INDEX unfinished_job_runs ON runs (workspace, seq)
  WHERE job <> '' AND status IN ('queued', 'running');
CREATE INDEX runs_by_event ON runs (workspace, event) WHERE event <> '';
-- The workspace's own, which decisions look at among many of its jobs.
CREATE INDEX own_runs ON runs (workspace, seq) WHERE job = '';

ALTER TABLE occurrences ADD COLUMN job TEXT NOT NULL DEFAULT '';

CREATE TABLE job_states (
  id TEXT PRIMARY KEY,
  workspace_id TEXT NOT NULL REFERENCES workspace_states (id),
  name TEXT NOT NULL,
  status TEXT NOT NULL,
  last_run INTEGER,
  last_success INTEGER,
  last_error TEXT,
  run_count INTEGER NOT NULL,
  success_count INTEGER NOT NULL,
  failure_count INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  workspace TEXT NOT NULL REFERENCES workspace_states (name),
  type TEXT NOT NULL,
  present INTEGER NOT NULL,
  enabled INTEGER NOT NULL,
  position INTEGER NOT NULL,
  events TEXT NOT NULL,
  schedule_hash TEXT NOT NULL,
  cursor INTEGER NOT NULL,           -- never moves back
  next_run INTEGER,
  last_failure INTEGER,
  last_exit_code INTEGER,
  deployed_config TEXT,              -- of a template job
  deployed_bundle TEXT,
  deployed_inputs_hash TEXT,
  UNIQUE (workspace, name)
) STRICT;

-- What jobs wait for; a row goes with the decision that follows from it.
CREATE TABLE job_events (
  number INTEGER PRIMARY KEY,
  workspace TEXT NOT NULL REFERENCES workspace_states (name),
  event TEXT NOT NULL,
  at INTEGER NOT NULL,
  bundle TEXT NOT NULL
) STRICT;
CREATE INDEX job_events_by_workspace ON job_events (workspace, number);
)sql"},
    {"templates", R"sql(
CREATE TABLE templates (
  name TEXT PRIMARY KEY,
  source_url TEXT NOT NULL,
  source_path TEXT NOT NULL,
  source_ref TEXT NOT NULL,
  description TEXT NOT NULL,
  commit_id TEXT NOT NULL,
  content_hash TEXT NOT NULL,        -- of the bundle
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  version INTEGER NOT NULL
) STRICT;

-- Of a workspace whose content holds its template's files; '' of any other.
ALTER TABLE workspace_states ADD COLUMN template_bundle TEXT NOT NULL DEFAULT '';
ALTER TABLE workspace_states ADD COLUMN folder_content TEXT NOT NULL DEFAULT '';
)sql"},
}};

std::int64_t number(Connection& connection, std::string_view sql) {
  auto query = connection.sql(sql);
  query.step();
  return query.row().integer();
}

}  // namespace

void check_integrity(Connection& connection) {
  auto query = connection.sql("PRAGMA quick_check(1)");
  query.step();
  const std::string finding = query.row().text();
  if (finding == "ok") return;
  throw SqlError(SQLITE_CORRUPT,
                 Error{ErrorKind::kCorrupt,
                       fmt::format("the file is damaged ({}): {}", finding, kRecoveryAdvice)});
}

std::int64_t newest_schema() { return static_cast<std::int64_t>(kMigrations.size()); }

std::int64_t present_schema(Connection& connection) {
  const bool known =
      number(connection, "SELECT count(*) FROM sqlite_schema WHERE name = 'schema_migrations'") > 0;
  return known ? number(connection, "SELECT coalesce(max(version), 0) FROM schema_migrations") : 0;
}

std::int64_t migrate(Connection& connection) {
  const std::int64_t newest = newest_schema();
  const bool known =
      number(connection, "SELECT count(*) FROM sqlite_schema WHERE name = 'schema_migrations'") > 0;
  if (!known && number(connection, "SELECT count(*) FROM sqlite_schema") > 0) {
    throw SqlError(SQLITE_ERROR, Error{ErrorKind::kInvalid,
                                       "the file is a database of another program: choose another "
                                       "state directory"});
  }
  connection.script(
      "CREATE TABLE IF NOT EXISTS schema_migrations (version INTEGER PRIMARY KEY, name TEXT NOT "
      "NULL, applied_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now'))) STRICT");
  const std::int64_t applied =
      number(connection, "SELECT coalesce(max(version), 0) FROM schema_migrations");
  if (applied > newest) {
    throw SqlError(
        SQLITE_ERROR,
        Error{ErrorKind::kInvalid,
              fmt::format("its schema {} is newer than this program, which knows schema {}: run "
                          "the newer provisioner that wrote it, or restore a backup from before "
                          "the upgrade",
                          applied, newest)});
  }
  for (std::int64_t next = applied + 1; next <= newest; ++next) {
    const Migration& migration = kMigrations[static_cast<std::size_t>(next - 1)];
    connection.script("BEGIN IMMEDIATE");
    try {
      connection.script(migration.sql);
      connection.sql("INSERT INTO schema_migrations (version, name) VALUES (?, ?)")
          .run(next, migration.name);
      connection.script("COMMIT");
    } catch (const SqlError&) {
      if (connection.in_transaction()) connection.script("ROLLBACK");
      throw;
    }
  }
  return newest;
}

}  // namespace provisioner::sqlite
