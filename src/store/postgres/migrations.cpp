// Conventions: instants are TIMESTAMPTZ, which PostgreSQL keeps in microseconds; enumerations the
// words of the API; "" where a text has nothing to say. workspace_states, job_states,
// leader_election and config_changes have the columns that the requirement prescribes first, then
// ours. Names and ids sort by bytes (COLLATE "C"), as in the embedded store.
//
// Each migration also works for the release before: expand, and contract one release later.
#include "store/postgres/migrations.hpp"

#include <array>

namespace provisioner::postgres {
namespace {

constexpr std::array<Migration, 5> kMigrations = {{
    {"several instances", R"sql(
CREATE TABLE leader_election (
  id VARCHAR(255) PRIMARY KEY,
  leader_id VARCHAR(255) NOT NULL,
  lease_expiry TIMESTAMP WITH TIME ZONE NOT NULL,  -- for elections that live in the store
  updated_at TIMESTAMP WITH TIME ZONE DEFAULT NOW(),
  term BIGINT NOT NULL DEFAULT 0,             -- only grows (I2)
  claim_id TEXT NOT NULL DEFAULT '',          -- with the term the fence of every decision
  claimed_at TIMESTAMPTZ NOT NULL DEFAULT NOW(),
  timeline BIGINT NOT NULL DEFAULT 0,         -- of the server when the term was claimed
  transfer_id TEXT NOT NULL DEFAULT '',       -- a wish for another leader; '' = none
  transfer_from TEXT NOT NULL DEFAULT '',
  transfer_to TEXT NOT NULL DEFAULT '',
  changed XID8 NOT NULL DEFAULT pg_current_xact_id()
);

-- The transaction that last wrote a row: what those look for that missed its notification.
CREATE FUNCTION note_change() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
  NEW.changed := pg_current_xact_id();
  RETURN NEW;
END $$;
CREATE TRIGGER note_change BEFORE UPDATE ON leader_election
  FOR EACH ROW EXECUTE FUNCTION note_change();

CREATE FUNCTION present_timeline() RETURNS BIGINT LANGUAGE sql AS $$
  SELECT ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int8
$$;

-- Holds the leader's row for the rest of the transaction, or ends the transaction (I2). A term that
-- was claimed before a failover ended with it: commits that came after it may be lost.
CREATE FUNCTION require_leader(wanted_term BIGINT, wanted_claim TEXT) RETURNS VOID
LANGUAGE plpgsql AS $$
BEGIN
  PERFORM 1 FROM leader_election WHERE id = 'scheduler' AND term = wanted_term AND
    claim_id = wanted_claim AND claim_id <> '' AND timeline = present_timeline() FOR SHARE;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'term % is not current', wanted_term USING ERRCODE = 'PV001';
  END IF;
END $$;

-- A write that has to hit exactly one row, or ends the transaction.
CREATE FUNCTION require_one_row(rows BIGINT) RETURNS VOID LANGUAGE plpgsql AS $$
BEGIN
  IF rows <> 1 THEN
    RAISE EXCEPTION '% rows were changed instead of one', rows USING ERRCODE = 'PV002';
  END IF;
END $$;

CREATE TABLE instances (
  id TEXT COLLATE "C" PRIMARY KEY,
  incarnation TEXT NOT NULL,
  version TEXT NOT NULL,
  home TEXT NOT NULL,                         -- machine and state directory
  started_at TIMESTAMPTZ NOT NULL,
  last_seen TIMESTAMPTZ NOT NULL,
  ready BOOLEAN NOT NULL,
  draining BOOLEAN NOT NULL DEFAULT false,    -- set by a person
  stopped BOOLEAN NOT NULL
);

CREATE TABLE cluster_settings (
  key TEXT PRIMARY KEY,
  value TEXT NOT NULL
);

CREATE TABLE bundles (
  hash TEXT COLLATE "C" PRIMARY KEY,
  unreferenced_since TIMESTAMPTZ,       -- found by a pruning; NULL = in use, or new
  content BYTEA NOT NULL
);

CREATE TABLE workspace_states (
  id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
  name VARCHAR(255) COLLATE "C" NOT NULL UNIQUE,
  status VARCHAR(50) NOT NULL,
  deployment_mode VARCHAR(50),
  last_deployed TIMESTAMP WITH TIME ZONE,
  last_destroyed TIMESTAMP WITH TIME ZONE,
  last_deploy_error TEXT,
  last_destroy_error TEXT,
  last_config_modified TIMESTAMP WITH TIME ZONE,
  created_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT NOW(),
  updated_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT NOW(),
  version INTEGER NOT NULL DEFAULT 1,
  enabled BOOLEAN NOT NULL,
  published_enabled BOOLEAN NOT NULL,  -- what the file said; a person's choice outlives the same file
  detached BOOLEAN NOT NULL,
  held BOOLEAN NOT NULL,
  hold_until TIMESTAMPTZ,
  hold_reason TEXT NOT NULL,
  template_name TEXT NOT NULL,
  description TEXT NOT NULL,
  config TEXT NOT NULL,
  bundle TEXT COLLATE "C" NOT NULL,
  inputs_hash TEXT NOT NULL,
  deployed_config TEXT,
  deployed_bundle TEXT COLLATE "C",
  deployed_inputs_hash TEXT,
  deployed_mode TEXT NOT NULL,
  ttl_expires_at TIMESTAMPTZ,
  failed_destroys BIGINT NOT NULL,
  retry_at TIMESTAMPTZ,
  lock_file TEXT NOT NULL DEFAULT '',  -- .terraform.lock.hcl
  changed XID8 NOT NULL DEFAULT pg_current_xact_id()
);
CREATE INDEX changed_workspaces ON workspace_states (changed);
CREATE TRIGGER note_change BEFORE UPDATE ON workspace_states
  FOR EACH ROW EXECUTE FUNCTION note_change();

CREATE TABLE job_states (
  id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
  workspace_id UUID REFERENCES workspace_states(id),
  name VARCHAR(255) NOT NULL,
  status VARCHAR(50) NOT NULL,
  last_run TIMESTAMP WITH TIME ZONE,
  last_success TIMESTAMP WITH TIME ZONE,
  last_error TEXT,
  run_count INTEGER DEFAULT 0,
  success_count INTEGER DEFAULT 0,
  failure_count INTEGER DEFAULT 0,
  created_at TIMESTAMP WITH TIME ZONE DEFAULT NOW(),
  updated_at TIMESTAMP WITH TIME ZONE DEFAULT NOW(),
  UNIQUE(workspace_id, name)
);

CREATE TABLE config_changes (
  id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
  workspace_name VARCHAR(255) COLLATE "C",
  change_type VARCHAR(50) NOT NULL,
  old_config JSONB,
  new_config JSONB,
  changed_by VARCHAR(255),
  changed_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT NOW(),
  seq BIGINT GENERATED ALWAYS AS IDENTITY
);
CREATE INDEX config_changes_by_workspace ON config_changes (workspace_name, seq);
CREATE INDEX config_changes_by_time ON config_changes (changed_at);

CREATE TABLE schedules (
  workspace VARCHAR(255) COLLATE "C" PRIMARY KEY REFERENCES workspace_states (name),
  cursor TIMESTAMPTZ NOT NULL,         -- never moves back
  config_version BIGINT NOT NULL,
  schedule_hash TEXT NOT NULL
);

-- The ledger. Its key is I3.
CREATE TABLE occurrences (
  workspace VARCHAR(255) COLLATE "C" NOT NULL REFERENCES workspace_states (name),
  schedule TEXT COLLATE "C" NOT NULL,
  at TIMESTAMPTZ NOT NULL,
  until TIMESTAMPTZ NOT NULL,
  count BIGINT NOT NULL,
  local_time TEXT NOT NULL,
  action TEXT NOT NULL,
  mode TEXT NOT NULL,
  outcome TEXT NOT NULL,
  reason TEXT NOT NULL,
  run TEXT,
  PRIMARY KEY (workspace, schedule, at)
);
CREATE INDEX occurrences_by_workspace ON occurrences (workspace, at);
CREATE INDEX occurrences_by_time ON occurrences (at);
CREATE INDEX occurrence_ranges ON occurrences (until, at) WHERE count > 1;

CREATE TABLE runs (
  seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,  -- the order of queueing; a resumed run keeps its place
  id TEXT COLLATE "C" NOT NULL UNIQUE,
  workspace VARCHAR(255) COLLATE "C" NOT NULL REFERENCES workspace_states (name),
  job TEXT NOT NULL DEFAULT '',
  operation TEXT NOT NULL,
  mode TEXT NOT NULL,
  trigger TEXT NOT NULL,
  scheduled_for TIMESTAMPTZ,
  requested_by TEXT NOT NULL,
  config TEXT NOT NULL,
  bundle TEXT COLLATE "C" NOT NULL,
  inputs_hash TEXT NOT NULL,
  not_before TIMESTAMPTZ,
  waiting_for TEXT NOT NULL,
  upgrade BOOLEAN NOT NULL,
  confirmed BOOLEAN NOT NULL,
  idempotency_key TEXT,                -- NULL = none
  status TEXT NOT NULL,
  attempt BIGINT NOT NULL,
  instance TEXT NOT NULL,
  term BIGINT NOT NULL,
  created_at TIMESTAMPTZ NOT NULL,
  started_at TIMESTAMPTZ,
  finished_at TIMESTAMPTZ,
  exit_code BIGINT,
  error TEXT NOT NULL,
  resources_add BIGINT NOT NULL,
  resources_change BIGINT NOT NULL,
  resources_destroy BIGINT NOT NULL,
  cancel_requested BOOLEAN NOT NULL,
  changed XID8 NOT NULL DEFAULT pg_current_xact_id()
);
CREATE INDEX changed_runs ON runs (changed);
CREATE TRIGGER note_change BEFORE UPDATE ON runs FOR EACH ROW EXECUTE FUNCTION note_change();
-- A slot has one active and one queued run (I1).
CREATE UNIQUE INDEX one_running_run_per_slot ON runs (workspace, job) WHERE status = 'running';
CREATE UNIQUE INDEX one_queued_run_per_slot ON runs (workspace, job) WHERE status = 'queued';
CREATE UNIQUE INDEX runs_by_idempotency_key ON runs (idempotency_key)
  WHERE idempotency_key IS NOT NULL;
CREATE INDEX runs_by_workspace ON runs (workspace, seq);
CREATE INDEX runs_by_status ON runs (status, seq);
CREATE INDEX runs_by_end ON runs (finished_at) WHERE finished_at IS NOT NULL;

CREATE TABLE run_attempts (
  run TEXT COLLATE "C" NOT NULL REFERENCES runs (id),
  attempt BIGINT NOT NULL,
  workspace VARCHAR(255) COLLATE "C" NOT NULL,
  claim_hash TEXT NOT NULL UNIQUE,     -- SHA-256: who reads the table cannot speak for a runner
  instance TEXT NOT NULL,
  incarnation TEXT NOT NULL,
  term BIGINT NOT NULL,
  status TEXT NOT NULL,
  base_state BIGINT NOT NULL,          -- the current state version when it was claimed; 0 = none
  heartbeat_seq BIGINT NOT NULL,
  started_at TIMESTAMPTZ NOT NULL,
  finished_at TIMESTAMPTZ,
  lease_expires_at TIMESTAMPTZ NOT NULL,  -- for display; expiry is observed
  error TEXT NOT NULL,
  registered BOOLEAN NOT NULL,
  machine_id TEXT NOT NULL,
  boot_id TEXT NOT NULL,
  pid_namespace TEXT NOT NULL,
  guard_pid BIGINT NOT NULL,
  guard_start BIGINT NOT NULL,
  directory TEXT NOT NULL,
  PRIMARY KEY (run, attempt)
) WITH (fillfactor = 70);              -- heartbeats rewrite rows in place
CREATE UNIQUE INDEX one_running_attempt_per_run ON run_attempts (run) WHERE status = 'running';

CREATE TABLE run_logs (
  run TEXT COLLATE "C" NOT NULL REFERENCES runs (id),
  attempt BIGINT NOT NULL,
  position BIGINT NOT NULL,            -- of its first byte
  text BYTEA NOT NULL,                 -- as tofu wrote it, which need not be UTF-8
  changed XID8 NOT NULL DEFAULT pg_current_xact_id(),
  PRIMARY KEY (run, attempt, position)
);
CREATE INDEX changed_run_logs ON run_logs (changed);

CREATE TABLE state_versions (
  workspace VARCHAR(255) COLLATE "C" NOT NULL REFERENCES workspace_states (name),
  job TEXT NOT NULL,
  number BIGINT NOT NULL,
  lineage TEXT NOT NULL,
  serial BIGINT NOT NULL,
  sha256 TEXT NOT NULL,
  resources BIGINT NOT NULL,
  divergent BOOLEAN NOT NULL,
  run TEXT COLLATE "C",
  attempt BIGINT NOT NULL,
  written_by TEXT NOT NULL,
  at TIMESTAMPTZ NOT NULL,
  body BYTEA NOT NULL,
  PRIMARY KEY (workspace, job, number)
);
CREATE UNIQUE INDEX accepted_state_versions ON state_versions (workspace, job, number)
  WHERE NOT divergent;

CREATE TABLE state_locks (
  workspace VARCHAR(255) COLLATE "C" NOT NULL REFERENCES workspace_states (name),
  job TEXT NOT NULL,
  id TEXT NOT NULL,
  info_json TEXT NOT NULL,
  run TEXT COLLATE "C",
  attempt BIGINT NOT NULL,
  created_at TIMESTAMPTZ NOT NULL,
  PRIMARY KEY (workspace, job)
);

CREATE TABLE audit_events (
  seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at TIMESTAMPTZ NOT NULL,
  actor TEXT NOT NULL,
  action TEXT NOT NULL,
  target TEXT NOT NULL,
  outcome TEXT NOT NULL
);
CREATE INDEX audit_events_by_time ON audit_events (at);

-- What each instance said last about each folder.
CREATE TABLE reports (
  instance TEXT COLLATE "C" NOT NULL,
  workspace VARCHAR(255) COLLATE "C" NOT NULL,
  content TEXT NOT NULL,               -- '' = vanished there
  reported_at TIMESTAMPTZ NOT NULL,
  PRIMARY KEY (workspace, instance)
);

CREATE TABLE api_tokens (
  id TEXT COLLATE "C" PRIMARY KEY,
  name TEXT NOT NULL,
  hash TEXT NOT NULL UNIQUE,           -- SHA-256, hex; the token itself is nowhere
  role TEXT NOT NULL,
  workspaces TEXT NOT NULL,            -- patterns, joined by ', '; '' = all
  created_by TEXT NOT NULL,
  created_at TIMESTAMPTZ NOT NULL,
  expires_at TIMESTAMPTZ,              -- NULL = never
  revoked_at TIMESTAMPTZ,
  revoked_by TEXT NOT NULL DEFAULT '',
  last_used_at TIMESTAMPTZ
);
CREATE UNIQUE INDEX api_tokens_in_use ON api_tokens (name) WHERE revoked_at IS NULL;
)sql"},
    {"correlation of runs", R"sql(
-- The trace-id of the request that a run comes from, or one of its own.
ALTER TABLE runs ADD COLUMN correlation_id TEXT NOT NULL DEFAULT '';
)sql"},
    {"retries of runs", R"sql(
-- Attempts that failed for a passing reason and were followed by another one.
ALTER TABLE runs ADD COLUMN retries BIGINT NOT NULL DEFAULT 0;
)sql"},
    {"jobs", R"sql(
ALTER TABLE runs ADD COLUMN concurrent BOOLEAN NOT NULL DEFAULT false;  -- of a job that may overlap
ALTER TABLE runs ADD COLUMN event TEXT COLLATE "C" NOT NULL DEFAULT ''; -- what started it
DROP INDEX one_running_run_per_slot;
DROP INDEX one_queued_run_per_slot;
CREATE UNIQUE INDEX one_running_run_per_slot ON runs (workspace, job)
  WHERE status = 'running' AND NOT concurrent;
CREATE UNIQUE INDEX one_queued_run_per_slot ON runs (workspace, job)
  WHERE status = 'queued' AND NOT concurrent;
CREATE INDEX runs_by_job ON runs (workspace, job, seq) WHERE job <> '';
CREATE INDEX unfinished_job_runs ON runs (workspace, seq)
  WHERE job <> '' AND status IN ('queued', 'running');
CREATE INDEX runs_by_event ON runs (workspace, event) WHERE event <> '';
-- The workspace's own, which decisions look at among many of its jobs.
CREATE INDEX own_runs ON runs (workspace, seq) WHERE job = '';

ALTER TABLE occurrences ADD COLUMN job TEXT COLLATE "C" NOT NULL DEFAULT '';

ALTER TABLE job_states
  ADD COLUMN workspace VARCHAR(255) COLLATE "C" NOT NULL REFERENCES workspace_states (name),
  ADD COLUMN type TEXT NOT NULL,
  ADD COLUMN present BOOLEAN NOT NULL,
  ADD COLUMN enabled BOOLEAN NOT NULL,
  ADD COLUMN position BIGINT NOT NULL,
  ADD COLUMN events TEXT NOT NULL,
  ADD COLUMN schedule_hash TEXT NOT NULL,
  ADD COLUMN cursor TIMESTAMPTZ NOT NULL,    -- never moves back
  ADD COLUMN next_run TIMESTAMPTZ,
  ADD COLUMN last_failure TIMESTAMPTZ,
  ADD COLUMN last_exit_code BIGINT,
  ADD COLUMN deployed_config TEXT,           -- of a template job
  ADD COLUMN deployed_bundle TEXT,
  ADD COLUMN deployed_inputs_hash TEXT,
  ALTER COLUMN name TYPE VARCHAR(255) COLLATE "C",
  ALTER COLUMN workspace_id SET NOT NULL,
  ADD UNIQUE (workspace, name);

-- What jobs wait for; a row goes with the decision that follows from it.
CREATE TABLE job_events (
  number BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  workspace VARCHAR(255) COLLATE "C" NOT NULL REFERENCES workspace_states (name),
  event TEXT NOT NULL,
  at TIMESTAMPTZ NOT NULL,
  bundle TEXT COLLATE "C" NOT NULL
);
CREATE INDEX job_events_by_workspace ON job_events (workspace, number);
)sql"},
    {"templates", R"sql(
CREATE TABLE templates (
  name TEXT COLLATE "C" PRIMARY KEY,
  source_url TEXT NOT NULL,
  source_path TEXT NOT NULL,
  source_ref TEXT NOT NULL,
  description TEXT NOT NULL,
  commit_id TEXT NOT NULL,
  content_hash TEXT COLLATE "C" NOT NULL,     -- of the bundle
  created_at TIMESTAMPTZ NOT NULL,
  updated_at TIMESTAMPTZ NOT NULL,
  version BIGINT NOT NULL,
  changed XID8 NOT NULL DEFAULT pg_current_xact_id()
);
CREATE INDEX changed_templates ON templates (changed);
CREATE TRIGGER note_change BEFORE UPDATE ON templates FOR EACH ROW EXECUTE FUNCTION note_change();

-- Of a workspace whose content holds its template's files; '' of any other.
ALTER TABLE workspace_states ADD COLUMN template_bundle TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE workspace_states ADD COLUMN folder_content TEXT NOT NULL DEFAULT '';
)sql"},
}};

}  // namespace

std::span<const Migration> all_migrations() { return kMigrations; }

}  // namespace provisioner::postgres
