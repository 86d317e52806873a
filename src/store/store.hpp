// The truth. Every implementation passes tests/contract/store; behaviour beyond this page is not
// promised.
//
// Each call is one transaction: it commits whole before the Task completes, or it changes nothing.
// Calls are made on the loop and do not block it. Errors: kUnavailable (retry later), kAmbiguous
// (look up by id), kCorrupt, kIo (disk full, read-only), and those a call names.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "base/ids.hpp"
#include "base/time.hpp"
#include "model/api_token.hpp"
#include "model/job.hpp"
#include "model/leadership.hpp"
#include "model/occurrence.hpp"
#include "model/run.hpp"
#include "model/template.hpp"
#include "model/tofu_state.hpp"
#include "model/workspace.hpp"
#include "runtime/task.hpp"
#include "store/import.hpp"

namespace provisioner {

// --- configuration -------------------------------------------------------------------------------

// What one instance saw in a folder, validated.
struct Publication {
  WorkspaceName workspace;
  Definition definition;
  bool enabled = true;
  std::string template_name;
  // Set when the definition holds the template's files: the content of the template that was taken,
  // and the name of what the folder itself says, which is then what its instance reports.
  BundleHash template_bundle = {};
  std::string folder_content = {};
  std::string description;
  std::string changed_by;  // "instance host-1", "uid:0"
  // Whose copy of the folder this is. An instance is heard only when it says something else than it
  // said last, so that a stale copy never comes back; the newest report wins. "" = a person's own
  // word, which always counts.
  InstanceId instance;
  // Where the cursor of a workspace that the store never saw starts; a known one whose schedule
  // changed starts at `now`, one whose schedule did not change keeps its cursor.
  Instant first_cursor;
  std::string schedule_hash;  // of everything that decides when it fires
};

struct ScheduleCursor {
  WorkspaceName workspace;
  Instant cursor;  // occurrences up to and including it are in the ledger
  std::int64_t config_version = 0;
};

// What an instance said last about a folder.
struct Report {
  InstanceId instance;
  WorkspaceName workspace;
  std::string content;  // reported_content(); "" = the folder has vanished there
  Instant reported_at;
};

// Names everything that a definition says.
std::string content_of(const Definition& definition);

// Names everything that a folder says, whatever its template says.
std::string reported_content(const Publication& publication);
std::string reported_content(const Workspace& workspace);  // of the folder that counts

struct ConfigChange {
  WorkspaceName workspace;
  std::string change_type;  // "created", "updated", "detached", "returned", "removed"
  std::string old_config;   // normalised JSON, "" = none
  std::string new_config;
  std::string changed_by;
  Instant changed_at;
};

// What an installation of the file-based version holds (`migrate import`).
struct ImportRequest {
  struct Item {
    Publication publication;  // its first_cursor: when the schedule goes on
    ImportedWorkspace workspace;
  };
  std::vector<ImportedTemplate> templates;
  std::vector<Item> items;
  std::string source;    // for people: where it was read, and when
  bool dry_run = false;  // what would become of it; nothing is kept
};

// --- planning ------------------------------------------------------------------------------------

// One leader's decision about one workspace.
struct PlanCommit {
  WorkspaceName workspace;
  std::int64_t config_version = 0;    // the definition it was computed from
  std::optional<Instant> new_cursor;  // absent: a decision that no occurrence caused (change, ttl)
  std::vector<Occurrence> occurrences;
  std::optional<NewRun> run;
  std::optional<Instant> clear_ttl;  // the ttl that this decision consumed
  bool clear_retry = false;          // the destroy retry that this decision consumed

  // What the decision was made from: kVersionConflict when the workspace's row or its newest run
  // ("" = none) has become another one, so that an order nobody saw is never superseded. Absent:
  // any.
  std::optional<Version> workspace_version;
  std::optional<RunId> newest_run;
};

// --- jobs ----------------------------------------------------------------------------------------

// What happened to a workspace that some of its jobs wait for. Kept until the leader has decided.
struct JobEventRow {
  std::int64_t number = 0;  // in the order of events
  WorkspaceName workspace;
  JobEvent event = JobEvent::kDeployment;
  Instant at;
  BundleHash bundle;  // of the run that it came from; "" = of none
};

// As much of a job's run as decisions need: many may wait at a time.
struct JobRun {
  RunId id;
  JobName job;
  Operation operation = Operation::kJob;
  RunStatus status = RunStatus::kQueued;
  std::string waiting_for;
  std::string event;
  bool concurrent = false;
  std::string error;
};

// All that a decision about the jobs of one workspace rests on, beside its WorkspaceView.
struct JobsView {
  std::vector<Job> jobs;            // by position
  std::vector<JobEventRow> events;  // oldest first
  // Those that have not ended, and all of an event that some of them belong to; oldest first.
  std::vector<JobRun> runs;
};

// What the configuration says of a job, as far as its row knows it.
struct JobDefinition {
  JobName name;
  JobType type = JobType::kCommand;
  bool present = true;
  bool enabled = true;
  std::int64_t position = 0;
  std::set<JobEvent> events;
  std::string schedule_hash;
  std::optional<Instant> cursor;  // of one that is new, or whose schedule changed: it starts here
};

// What becomes of one job's schedule.
struct JobDecision {
  JobName job;
  std::optional<Instant> cursor;  // moves forward to it
  std::optional<Instant> next_run;
  std::string skipped;  // why its last occurrence was not acted on; "" = it was
};

// One leader's decision about the jobs of one workspace.
struct JobsCommit {
  WorkspaceName workspace;
  // What it was made from: kVersionConflict when configuration, the workspace's row or its own
  // newest run ("" = none) have become others.
  std::int64_t config_version = 0;
  Version workspace_version;
  RunId newest_run;

  struct Ending {
    RunId run;  // queued
    RunStatus status = RunStatus::kCancelled;
    std::string error;
  };
  struct Wait {
    RunId run;                // queued
    std::string waiting_for;  // "" = claimable
  };

  std::vector<JobDefinition> definitions;
  std::vector<JobDecision> decisions;
  std::vector<Occurrence> occurrences;
  std::vector<Ending> endings;
  std::vector<Wait> waits;
  std::vector<NewRun> runs;  // into slots where nothing is queued, or concurrent
  std::vector<std::int64_t> handled_events;
};

// --- runs ----------------------------------------------------------------------------------------

enum class WhenBusy {
  kRefuse,     // kConflict that names the active or queued run
  kSupersede,  // replace the queued run of the slot, wait for the active one
};

struct ClaimRequest {
  InstanceId instance;
  Incarnation incarnation;
  ClaimId claim;                     // fresh; find_claim() answers after a lost reply
  std::optional<LeaderFence> fence;  // required with execution = leader
  Instant now;
  Duration lease = std::chrono::seconds(150);
  std::vector<RunId> passed_over;  // left to others, or to a later claim
};

struct ClaimedRun {
  Run run;
  AttemptFence fence;
  std::int64_t base_state = 0;  // number of the state version at the claim; 0 = none
  std::string lock_file;        // the stored .terraform.lock.hcl, "" = none
  // The content of run.definition.bundle. Only a claim brings it; absent there when it is missing.
  std::optional<std::string> bundle;
};

// What of an attempt's log is stored together with its result.
struct LogEnd {
  std::int64_t offset = 0;  // as append_log() takes it
  std::string text;         // "" = nothing
};

struct HeartbeatAnswer {
  bool cancel_requested = false;
};

// A state body found after the attempt had ended, with the rule of check_recovered_state.
struct RecoveredState {
  StateMeta meta;
  std::string body;
};

struct Interruption {
  RunId run;
  Attempt attempt;
  std::int64_t heartbeat_seq = 0;  // compare-and-set: a heartbeat since then wins
  std::string reason;
  std::vector<RecoveredState> recovered;  // oldest first
  std::string hold_reason;  // not empty: hold the workspace for a person, do not resume
};

struct InterruptionOutcome {
  RunStatus run_status = RunStatus::kQueued;
  std::string sentence;  // what was done and why, for log and run
};

struct RunFilter {
  std::optional<WorkspaceName> workspace;
  std::optional<JobName> job;       // of `workspace`; "" = the workspace's own runs; absent: all
  std::vector<RunStatus> statuses;  // empty = all
  std::optional<RunId> before;      // page: only runs older than this
  int limit = 50;
};

// All that a decision about one workspace rests on. The runs are the workspace's own.
struct WorkspaceView {
  Workspace workspace;
  ScheduleCursor cursor;
  std::vector<Run> unfinished;        // newest first
  std::vector<Run> recent;            // of all, newest first
  std::vector<Workspace> neighbours;  // those that were asked for and exist
};

struct ViewRequest {
  WorkspaceName workspace;
  std::vector<WorkspaceName> neighbours;
  int recent_runs = 20;  // at least 1
};

struct LogChunk {
  Attempt attempt;
  std::int64_t offset = 0;  // byte position in that attempt's log
  std::string text;
};

// --- the rest ------------------------------------------------------------------------------------

struct OccurrenceFilter {
  std::optional<WorkspaceName> workspace;
  std::optional<Instant> from, to;
  int limit = 100;  // newest first
};

struct AuditEvent {
  Instant at;
  std::string actor;   // "uid:0", "gid:provisioner uid:1000"
  std::string action;  // "workspace.deploy"
  std::string target;
  std::string outcome;  // "accepted", "refused: ..."
};

struct AuditFilter {
  std::string action_prefix;  // "cluster." = only those; "" = all
  int limit = 100;            // newest first
};

struct RetentionPolicy {
  // Runs with their logs, the ledger, tokens that are revoked or expired, and instances that were
  // not seen for so long, but for drained ones.
  Duration runs = std::chrono::hours(24 * 90);
  Duration state_versions = std::chrono::hours(24 * 30);
  std::int64_t least_state_versions = 50;
};

struct PruneReport {
  std::int64_t runs = 0, occurrences = 0, state_versions = 0, bundles = 0;
};

// Something committed that others may wait for. A hint to look sooner, never the only way to know.
struct Change {
  enum class Topic { kWorkspace, kRun, kLog, kCancel, kLeadership, kTemplate };
  Topic topic = Topic::kWorkspace;
  std::string key;             // workspace name, run id, template name
  std::string workspace = {};  // whose run, of kRun and kCancel
};

class Store {
 public:
  virtual ~Store() = default;

  // Called on the loop after commits. Ends when the returned token is destroyed.
  using Subscription = std::shared_ptr<void>;
  virtual Subscription subscribe(std::function<void(const Change&)> on_change) = 0;

  // "sqlite 3.40.1, schema 1", for doctor and cluster status.
  virtual std::string describe() const = 0;

  // What whoever runs it should know of this store and mend, found when it was opened; sentences.
  virtual std::vector<std::string> warnings() const = 0;

  // Leadership. A claim is a compare-and-set on what `leadership` returned: kConflict when somebody
  // else was first. All writes that take a LeaderFence fail with kFenced when it is not current.
  virtual Task<Result<Leadership>> leadership() = 0;
  virtual Task<Result<Leadership>> claim_term(LeaderFence seen, ClaimId fresh, InstanceId me,
                                              Instant now) = 0;
  virtual Task<Status> resign(LeaderFence fence, Instant now) = 0;

  // Asks the leader to resign in favour of `to` (empty = anyone else). kConflict while nobody leads
  // or when `to` does. A later wish replaces an earlier one.
  virtual Task<Result<Leadership>> request_transfer(std::string id, InstanceId to, Instant now) = 0;

  // Whoever enters takes the row of its id; who beats keeps it: kConflict when another incarnation
  // has entered since. Both return the row, whose `draining` only set_draining() changes.
  virtual Task<Result<Instance>> enter_instance(Instance instance) = 0;
  virtual Task<Result<Instance>> beat_instance(Instance instance) = 0;
  virtual Task<Result<Instance>> set_draining(InstanceId id, bool draining) = 0;  // kNotFound
  virtual Task<Result<std::vector<Instance>>> instances() = 0;

  // Settings of the whole cluster, e.g. "timezone". Returns the value that holds afterwards: the
  // first writer's.
  virtual Task<Result<std::string>> setting_or_insert(std::string key, std::string value) = 0;

  // Whether the store answers, and nothing else: one round trip that waits for nobody else's work,
  // one at a time. kUnavailable, kTimeout.
  virtual Task<Status> ping() = 0;

  // What the store takes for now. A host whose clock differs from it does not plan.
  virtual Task<Result<Instant>> clock() = 0;

  // Configuration. `publish` of what is already current, or of what its instance said last, changes
  // nothing and returns the row; it ends a detachment. The bundle must have been put before
  // (kInvalid else). With the files of a template: kVersionConflict unless its content is the
  // template's present one, and what is new is only the template, it counts if the folder does.
  virtual Task<Result<Workspace>> publish(Publication publication, Instant now) = 0;
  // The folder has vanished at `instance`: counts only if that instance had it. Empty = a person.
  virtual Task<Status> detach(WorkspaceName workspace, InstanceId instance, std::string by,
                              Instant now) = 0;
  virtual Task<Result<std::vector<Report>>> reports() = 0;  // of every instance
  virtual Task<Status> put_bundle(BundleHash hash, std::string content) = 0;
  virtual Task<Result<std::string>> bundle(BundleHash hash) = 0;  // kNotFound
  virtual Task<Result<std::vector<ConfigChange>>> config_changes(WorkspaceName workspace,
                                                                 int limit) = 0;

  // Templates. put_template inserts the row if its version is 0 (kConflict: the name is taken),
  // else replaces the row of that version (kVersionConflict: somebody was first; kNotFound). The
  // bundle must have been put before (kInvalid). Returns the row with its new version.
  virtual Task<Result<std::vector<Template>>> templates() = 0;           // by name
  virtual Task<Result<Template>> template_named(TemplateName name) = 0;  // kNotFound
  virtual Task<Result<Template>> put_template(Template row) = 0;
  virtual Task<Status> remove_template(TemplateName name) = 0;  // kNotFound. Used or not

  virtual Task<Result<std::vector<Workspace>>> workspaces() = 0;      // by name
  virtual Task<Result<Workspace>> workspace(WorkspaceName name) = 0;  // kNotFound
  // Writes what people set: enabled, held, hold_until, hold_reason, ttl_expires_at, retry_at. Who
  // holds or disables it ends a run that waits to be tried again; so does a publication. Who
  // enables or releases it moves its cursor to now: what was due meanwhile does not fire.
  // kVersionConflict unless `row.version` is current; returns the row with its new version.
  virtual Task<Result<Workspace>> update_workspace(Workspace row, Instant now) = 0;
  // Forgets a workspace with its jobs, runs, ledger and states. kConflict while a run is active.
  virtual Task<Status> remove_workspace(WorkspaceName name, std::string by, Instant now) = 0;

  // Planning (leader only). The cursor, the occurrences and the queued run are one transaction.
  // kFenced; kVersionConflict when config_version is not current or the cursor is not behind
  // new_cursor. A queued run of the slot is superseded by `run`. Occurrences already in the ledger
  // make the whole call fail with kConflict (I3).
  virtual Task<Result<std::vector<ScheduleCursor>>> cursors() = 0;
  // The workspace and its cursor are read first, its newest runs last: where commit_plan() finds
  // the row and the newest run unchanged, what is between belongs to them. kNotFound.
  virtual Task<Result<WorkspaceView>> view(ViewRequest request) = 0;
  virtual Task<Status> commit_plan(LeaderFence fence, PlanCommit plan, Instant now) = 0;
  virtual Task<Result<std::vector<Occurrence>>> occurrences(OccurrenceFilter filter) = 0;

  // Jobs. The rows come and go with commit_jobs(), and follow their runs.
  virtual Task<Result<std::vector<Job>>> jobs(std::optional<WorkspaceName> of) = 0;  // by position
  virtual Task<Result<std::vector<JobEventRow>>> job_events() = 0;  // of all, oldest first
  // `event`: show the runs of this event too, whether or not some have still to end.
  virtual Task<Result<JobsView>> jobs_view(WorkspaceName workspace, std::string event) = 0;
  // Leader only, one transaction; otherwise as commit_plan(). kConflict where something is queued
  // in the slot of a run that is not concurrent.
  virtual Task<Status> commit_jobs(LeaderFence fence, JobsCommit jobs, Instant now) = 0;
  // A daemon has started while none was alive: an event for every workspace whose configuration
  // speaks of it.
  virtual Task<Status> note_reboot(Instant now) = 0;

  // Runs. Per slot one active and one queued, beside those of jobs that are concurrent. A plan run
  // is in the slot too (it takes the lock). The same idempotency key returns the run that it made
  // first.
  virtual Task<Result<Run>> enqueue(NewRun run, WhenBusy when_busy) = 0;
  virtual Task<Result<std::optional<ClaimedRun>>> claim_next(ClaimRequest request) = 0;
  virtual Task<Result<std::optional<ClaimedRun>>> find_claim(ClaimId claim) = 0;
  // Releases a queued run that waited for a dependency, or says what it waits for now. Leader only.
  virtual Task<Status> set_waiting(LeaderFence fence, RunId run, std::string waiting_for) = 0;
  // Writes of an attempt; kFenced once it is not the run's running attempt.
  // By one process, which may repeat it. Each call counts as a heartbeat, so that nobody ends what
  // was judged before it.
  virtual Task<Status> register_attempt(AttemptFence fence, ProcessIdentity process) = 0;
  virtual Task<Result<HeartbeatAnswer>> heartbeat(AttemptFence fence, Instant lease_expires_at) = 0;
  virtual Task<Status> append_log(AttemptFence fence, std::int64_t offset, std::string text) = 0;
  // Ends the attempt, moves run and workspace (model/transitions.hpp), releases its state lock.
  // The last attempt of a workspace's own deploy or destroy leaves an event, where jobs wait for
  // it. With status kInterrupted it is resumed by after_interruption(). A repeated call with the
  // same fence and status is ok (lost reply). `log` is appended in the same transaction; where it
  // does not follow on what is stored it is left out, for it must not keep the attempt from ending.
  // A failed one whose result offers a retry is followed by another attempt of the same run
  // (run_rules.hpp says when), which waits in the queue; the log then says so.
  virtual Task<Status> finish_attempt(AttemptFence fence, AttemptResult result, Instant now,
                                      LogEnd log = {}) = 0;
  // Ends an attempt whose processes are dead or whose lease was seen to expire. kConflict when its
  // heartbeat moved on or it has ended already. `fence` is required when another instance ended it.
  virtual Task<Result<InterruptionOutcome>> interrupt_attempt(std::optional<LeaderFence> fence,
                                                              Interruption interruption,
                                                              Instant now) = 0;
  virtual Task<Result<std::vector<AttemptRow>>> running_attempts() = 0;
  virtual Task<Result<std::vector<AttemptRow>>> attempts(RunId run) = 0;
  // A queued run ends at once; a running one gets the flag. kConflict when it has ended.
  virtual Task<Result<Run>> request_cancel(RunId run, Instant now) = 0;
  virtual Task<Result<Run>> run(RunId id) = 0;                        // kNotFound
  virtual Task<Result<std::vector<Run>>> runs(RunFilter filter) = 0;  // newest first
  // Chunks after (attempt, offset), oldest first, at most `limit` bytes (but one chunk at least).
  virtual Task<Result<std::vector<LogChunk>>> log(RunId run, Attempt attempt, std::int64_t offset,
                                                  std::int64_t limit) = 0;

  // tofu's state. `by` is a run's fence, or absent for a person's command (then `actor` counts).
  // lock_state: nothing when it is (or was already) ours, else the lock that is in the way.
  virtual Task<Result<std::optional<StateLock>>> lock_state(StateSlot slot,
                                                            std::optional<AttemptFence> by,
                                                            StateLock lock) = 0;
  virtual Task<Status> unlock_state(StateSlot slot, std::optional<AttemptFence> by,
                                    std::string lock_id) = 0;  // of no lock: ok
  virtual Task<Result<std::optional<StateLock>>> state_lock(StateSlot slot) = 0;
  // Whoever holds it. Returns what was released.
  virtual Task<Result<std::optional<StateLock>>> force_unlock(StateSlot slot) = 0;
  // kConflict with the reason of check_state_write; kFenced.
  virtual Task<Result<StateVersion>> write_state(StateSlot slot, std::optional<AttemptFence> by,
                                                 std::string lock_id, StateMeta meta,
                                                 std::string body, std::string actor,
                                                 Instant now) = 0;
  // An administrator's push or rollback: only the lock is in its way (kConflict). Moves the
  // workspace by after_push().
  virtual Task<Result<StateVersion>> push_state(StateSlot slot, StateMeta meta, std::string body,
                                                std::string actor, Instant now) = 0;
  virtual Task<Result<std::optional<StateVersion>>> current_state(StateSlot slot) = 0;
  virtual Task<Result<std::vector<StateVersion>>> state_versions(
      StateSlot slot) = 0;  // newest first
  virtual Task<Result<std::string>> state_body(StateSlot slot, std::int64_t number) = 0;

  // The .terraform.lock.hcl that the workspace's attempts left; "" = none, or no such workspace.
  virtual Task<Result<std::string>> lock_file(WorkspaceName workspace) = 0;

  // Tokens of the API. Lookups return revoked and expired ones too, so that a refusal can say
  // which. insert_token: kConflict when a token of that name is not revoked, or id or hash are in
  // use.
  virtual Task<Status> insert_token(ApiToken token) = 0;
  virtual Task<Result<std::vector<ApiToken>>> tokens() = 0;            // newest first
  virtual Task<Result<ApiToken>> token_by_hash(std::string hash) = 0;  // kNotFound
  // Returns the row as it is afterwards; of a revoked one unchanged. kNotFound.
  virtual Task<Result<ApiToken>> revoke_token(TokenId id, std::string by, Instant now) = 0;
  // Moves last_used_at forward, never back. An unknown id is ok: it may have been pruned.
  virtual Task<Status> touch_token(TokenId id, Instant now) = 0;

  // All of it in one transaction, after which imported_from() is not "" any more. A workspace that
  // this version has worked on stays as it is. One outcome an item, in their order. kConflict while
  // somebody holds the lock of a state that is to be replaced.
  virtual Task<Result<std::vector<ImportOutcome>>> import_installation(ImportRequest request,
                                                                       Instant now) = 0;
  virtual Task<Result<std::string>> imported_from() = 0;  // the first source; "" = none

  virtual Task<Status> audit(AuditEvent event) = 0;
  virtual Task<Result<std::vector<AuditEvent>>> audit_events(AuditFilter filter) = 0;
  virtual Task<Result<PruneReport>> prune(RetentionPolicy policy, Instant now) = 0;
};

}  // namespace provisioner
