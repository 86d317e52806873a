#include "store/postgres/postgres_store.hpp"

#include <fmt/format.h>

#include <utility>

#include "runtime/random.hpp"
#include "store/postgres/attempts.hpp"
#include "store/postgres/calls.hpp"
#include "store/postgres/imports.hpp"
#include "store/postgres/jobs.hpp"
#include "store/postgres/leadership.hpp"
#include "store/postgres/ping.hpp"
#include "store/postgres/plans.hpp"
#include "store/postgres/records.hpp"
#include "store/postgres/retention.hpp"
#include "store/postgres/runs.hpp"
#include "store/postgres/schema.hpp"
#include "store/postgres/states.hpp"
#include "store/postgres/templates.hpp"
#include "store/postgres/tokens.hpp"
#include "store/postgres/workspaces.hpp"

namespace provisioner {
namespace {

// Longer than any migration, shorter than a person's patience.
constexpr Duration kMigrationDeadline = std::chrono::minutes(5);

// Deletes may be many, and nobody waits for them.
constexpr Duration kPruningDeadline = std::chrono::minutes(5);

// Thousands of workspaces, and a person who waits for them.
constexpr Duration kImportDeadline = std::chrono::minutes(10);

class PostgresStore final : public Store {
 public:
  PostgresStore(std::shared_ptr<postgres::Pool> pool, std::int64_t schema,
                std::vector<std::string> warnings)
      : calls_{pool, std::make_shared<postgres::Notifications>(pool)},
        ping_(pool),
        schema_(schema),
        warnings_(std::move(warnings)) {}

  ~PostgresStore() override { calls_.pool->close(); }

  Subscription subscribe(std::function<void(const Change&)> on_change) override {
    return calls_.notifications->subscribe(std::move(on_change));
  }

  std::string describe() const override {
    return fmt::format("postgresql {}, schema {}", calls_.pool->server_version(), schema_);
  }
  std::vector<std::string> warnings() const override { return warnings_; }

  Task<Result<Leadership>> leadership() override {
    return call<Leadership>([](auto& tx) { return postgres::leadership(tx); });
  }
  Task<Result<Leadership>> claim_term(LeaderFence seen, ClaimId fresh, InstanceId me,
                                      Instant now) override {
    return call<Leadership>(
        [=](auto& tx) { return postgres::claim_term(tx, seen, fresh, me, now); });
  }
  Task<Status> resign(LeaderFence fence, Instant now) override {
    return call<void>([=](auto& tx) { return postgres::resign(tx, fence, now); });
  }

  Task<Result<Leadership>> request_transfer(std::string id, InstanceId to, Instant now) override {
    return call<Leadership>([=](auto& tx) { return postgres::request_transfer(tx, id, to, now); });
  }
  Task<Result<Instance>> enter_instance(Instance instance) override {
    return call<Instance>([=](auto& tx) { return postgres::enter_instance(tx, instance); });
  }
  Task<Result<Instance>> beat_instance(Instance instance) override {
    return call<Instance>([=](auto& tx) { return postgres::beat_instance(tx, instance); });
  }
  Task<Result<Instance>> set_draining(InstanceId id, bool draining) override {
    return call<Instance>([=](auto& tx) { return postgres::set_draining(tx, id, draining); });
  }
  Task<Status> ping() override { return ping_.ask(); }
  Task<Result<Instant>> clock() override {
    return call<Instant>([](auto& tx) { return postgres::clock(tx); });
  }
  Task<Result<std::vector<Report>>> reports() override {
    return call<std::vector<Report>>([](auto& tx) { return postgres::reports(tx); });
  }
  Task<Status> insert_token(ApiToken token) override {
    return call<void>([=](auto& tx) { return postgres::insert_token(tx, token); });
  }
  Task<Result<std::vector<ApiToken>>> tokens() override {
    return call<std::vector<ApiToken>>([](auto& tx) { return postgres::tokens(tx); });
  }
  Task<Result<ApiToken>> token_by_hash(std::string hash) override {
    return call<ApiToken>([=](auto& tx) { return postgres::token_by_hash(tx, hash); });
  }
  Task<Result<ApiToken>> revoke_token(TokenId id, std::string by, Instant now) override {
    return call<ApiToken>([=](auto& tx) { return postgres::revoke_token(tx, id, by, now); });
  }
  Task<Status> touch_token(TokenId id, Instant now) override {
    return call<void>([=](auto& tx) { return postgres::touch_token(tx, id, now); });
  }
  Task<Result<std::vector<AuditEvent>>> audit_events(AuditFilter filter) override {
    return call<std::vector<AuditEvent>>(
        [=](auto& tx) { return postgres::audit_events(tx, filter); });
  }
  Task<Result<std::vector<Instance>>> instances() override {
    return call<std::vector<Instance>>([](auto& tx) { return postgres::instances(tx); });
  }
  Task<Result<std::string>> setting_or_insert(std::string key, std::string value) override {
    return call<std::string>([=](auto& tx) { return postgres::setting_or_insert(tx, key, value); });
  }

  Task<Result<Workspace>> publish(Publication publication, Instant now) override {
    return call<Workspace>([publication = std::move(publication), now](auto& tx) {
      return postgres::publish(tx, publication, now);
    });
  }
  Task<Status> detach(WorkspaceName workspace, InstanceId instance, std::string by,
                      Instant now) override {
    return call<void>([=](auto& tx) { return postgres::detach(tx, workspace, instance, by, now); });
  }
  Task<Status> put_bundle(BundleHash hash, std::string content) override {
    return call<void>([hash, content = std::move(content)](auto& tx) {
      return postgres::put_bundle(tx, hash, content);
    });
  }
  Task<Result<std::string>> bundle(BundleHash hash) override {
    return call<std::string>([=](auto& tx) { return postgres::bundle(tx, hash); });
  }
  Task<Result<std::vector<ConfigChange>>> config_changes(WorkspaceName workspace,
                                                         int limit) override {
    return call<std::vector<ConfigChange>>(
        [=](auto& tx) { return postgres::config_changes(tx, workspace, limit); });
  }

  Task<Result<std::vector<Template>>> templates() override {
    return call<std::vector<Template>>([](auto& tx) { return postgres::templates(tx); });
  }
  Task<Result<Template>> template_named(TemplateName name) override {
    return call<Template>([=](auto& tx) { return postgres::template_named(tx, name); });
  }
  Task<Result<Template>> put_template(Template row) override {
    return call<Template>(
        [row = std::move(row)](auto& tx) { return postgres::put_template(tx, row); });
  }
  Task<Status> remove_template(TemplateName name) override {
    return call<void>([=](auto& tx) { return postgres::remove_template(tx, name); });
  }

  Task<Result<std::vector<Workspace>>> workspaces() override {
    return call<std::vector<Workspace>>([](auto& tx) { return postgres::workspaces(tx); });
  }
  Task<Result<Workspace>> workspace(WorkspaceName name) override {
    return call<Workspace>([=](auto& tx) { return postgres::workspace(tx, name); });
  }
  Task<Result<Workspace>> update_workspace(Workspace row, Instant now) override {
    return call<Workspace>(
        [row = std::move(row), now](auto& tx) { return postgres::update_workspace(tx, row, now); });
  }
  Task<Status> remove_workspace(WorkspaceName name, std::string by, Instant now) override {
    return call<void>([=](auto& tx) { return postgres::remove_workspace(tx, name, by, now); });
  }

  Task<Result<std::vector<ScheduleCursor>>> cursors() override {
    return call<std::vector<ScheduleCursor>>([](auto& tx) { return postgres::cursors(tx); });
  }
  Task<Result<WorkspaceView>> view(ViewRequest request) override {
    return call<WorkspaceView>(
        [request = std::move(request)](auto& tx) { return postgres::view(tx, request); });
  }
  Task<Status> commit_plan(LeaderFence fence, PlanCommit plan, Instant now) override {
    return call<void>([fence, plan = std::move(plan), now](auto& tx) {
      return postgres::commit_plan(tx, fence, plan, now);
    });
  }
  Task<Result<std::vector<Job>>> jobs(std::optional<WorkspaceName> of) override {
    return call<std::vector<Job>>([=](auto& tx) { return postgres::jobs(tx, of); });
  }
  Task<Result<std::vector<JobEventRow>>> job_events() override {
    return call<std::vector<JobEventRow>>([](auto& tx) { return postgres::job_events(tx); });
  }
  Task<Result<JobsView>> jobs_view(WorkspaceName workspace, std::string event) override {
    return call<JobsView>([=](auto& tx) { return postgres::jobs_view(tx, workspace, event); });
  }
  Task<Status> commit_jobs(LeaderFence fence, JobsCommit jobs, Instant now) override {
    return call<void>([fence, jobs = std::move(jobs), now](auto& tx) {
      return postgres::commit_jobs(tx, fence, jobs, now);
    });
  }
  Task<Status> note_reboot(Instant now) override {
    return call<void>([=](auto& tx) { return postgres::note_reboot(tx, now); });
  }
  Task<Result<std::vector<Occurrence>>> occurrences(OccurrenceFilter filter) override {
    return call<std::vector<Occurrence>>(
        [=](auto& tx) { return postgres::occurrences(tx, filter); });
  }

  Task<Result<Run>> enqueue(NewRun run, WhenBusy when_busy) override {
    return call<Run>([run = std::move(run), when_busy](auto& tx) {
      return postgres::enqueue(tx, run, when_busy);
    });
  }
  Task<Result<std::optional<ClaimedRun>>> claim_next(ClaimRequest request) override {
    return call<std::optional<ClaimedRun>>(
        [=](auto& tx) { return postgres::claim_next(tx, request); });
  }
  Task<Result<std::optional<ClaimedRun>>> find_claim(ClaimId claim) override {
    return call<std::optional<ClaimedRun>>(
        [=](auto& tx) { return postgres::find_claim(tx, claim); });
  }
  Task<Status> set_waiting(LeaderFence fence, RunId run, std::string waiting_for) override {
    return call<void>([=](auto& tx) { return postgres::set_waiting(tx, fence, run, waiting_for); });
  }
  Task<Status> register_attempt(AttemptFence fence, ProcessIdentity process) override {
    return call<void>([=](auto& tx) { return postgres::register_attempt(tx, fence, process); });
  }
  Task<Result<HeartbeatAnswer>> heartbeat(AttemptFence fence, Instant lease_expires_at) override {
    return call<HeartbeatAnswer>(
        [=](auto& tx) { return postgres::heartbeat(tx, fence, lease_expires_at); });
  }
  Task<Status> append_log(AttemptFence fence, std::int64_t offset, std::string text) override {
    return call<void>([fence, offset, text = std::move(text)](auto& tx) {
      return postgres::append_log(tx, fence, offset, text);
    });
  }
  Task<Status> finish_attempt(AttemptFence fence, AttemptResult result, Instant now,
                              LogEnd log) override {
    return call<void>([fence, result = std::move(result), now, log = std::move(log)](auto& tx) {
      return postgres::finish_attempt(tx, fence, result, now, log);
    });
  }
  Task<Result<InterruptionOutcome>> interrupt_attempt(std::optional<LeaderFence> fence,
                                                      Interruption interruption,
                                                      Instant now) override {
    return call<InterruptionOutcome>(
        [fence, interruption = std::move(interruption), now](auto& tx) {
          return postgres::interrupt_attempt(tx, fence, interruption, now);
        });
  }
  Task<Result<std::vector<AttemptRow>>> running_attempts() override {
    return call<std::vector<AttemptRow>>([](auto& tx) { return postgres::running_attempts(tx); });
  }
  Task<Result<std::vector<AttemptRow>>> attempts(RunId run) override {
    return call<std::vector<AttemptRow>>([=](auto& tx) { return postgres::attempts(tx, run); });
  }
  Task<Result<Run>> request_cancel(RunId run, Instant now) override {
    return call<Run>([=](auto& tx) { return postgres::request_cancel(tx, run, now); });
  }
  Task<Result<Run>> run(RunId id) override {
    return call<Run>([=](auto& tx) { return postgres::run(tx, id); });
  }
  Task<Result<std::vector<Run>>> runs(RunFilter filter) override {
    return call<std::vector<Run>>([=](auto& tx) { return postgres::runs(tx, filter); });
  }
  Task<Result<std::vector<LogChunk>>> log(RunId run, Attempt attempt, std::int64_t offset,
                                          std::int64_t limit) override {
    return call<std::vector<LogChunk>>(
        [=](auto& tx) { return postgres::log(tx, run, attempt, offset, limit); });
  }

  Task<Result<std::optional<StateLock>>> lock_state(StateSlot slot, std::optional<AttemptFence> by,
                                                    StateLock lock) override {
    return call<std::optional<StateLock>>(
        [=](auto& tx) { return postgres::lock_state(tx, slot, by, lock); });
  }
  Task<Status> unlock_state(StateSlot slot, std::optional<AttemptFence> by,
                            std::string lock_id) override {
    return call<void>([=](auto& tx) { return postgres::unlock_state(tx, slot, by, lock_id); });
  }
  Task<Result<std::optional<StateLock>>> state_lock(StateSlot slot) override {
    return call<std::optional<StateLock>>([=](auto& tx) { return postgres::state_lock(tx, slot); });
  }
  Task<Result<std::optional<StateLock>>> force_unlock(StateSlot slot) override {
    return call<std::optional<StateLock>>(
        [=](auto& tx) { return postgres::force_unlock(tx, slot); });
  }
  Task<Result<StateVersion>> write_state(StateSlot slot, std::optional<AttemptFence> by,
                                         std::string lock_id, StateMeta meta, std::string body,
                                         std::string actor, Instant now) override {
    return call<StateVersion>([slot = std::move(slot), by = std::move(by),
                               lock_id = std::move(lock_id), meta = std::move(meta),
                               body = std::move(body), actor = std::move(actor), now](auto& tx) {
      return postgres::write_state(tx, slot, by, lock_id, meta, body, actor, now);
    });
  }
  Task<Result<StateVersion>> push_state(StateSlot slot, StateMeta meta, std::string body,
                                        std::string actor, Instant now) override {
    return call<StateVersion>([slot = std::move(slot), meta = std::move(meta),
                               body = std::move(body), actor = std::move(actor), now](auto& tx) {
      return postgres::push_state(tx, slot, meta, body, actor, now);
    });
  }
  Task<Result<std::optional<StateVersion>>> current_state(StateSlot slot) override {
    return call<std::optional<StateVersion>>(
        [=](auto& tx) { return postgres::current_state(tx, slot); });
  }
  Task<Result<std::vector<StateVersion>>> state_versions(StateSlot slot) override {
    return call<std::vector<StateVersion>>(
        [=](auto& tx) { return postgres::state_versions(tx, slot); });
  }
  Task<Result<std::string>> state_body(StateSlot slot, std::int64_t number) override {
    return call<std::string>([=](auto& tx) { return postgres::state_body(tx, slot, number); });
  }

  Task<Result<std::string>> lock_file(WorkspaceName workspace) override {
    return call<std::string>([=](auto& tx) { return postgres::lock_file(tx, workspace); });
  }

  Task<Result<std::vector<ImportOutcome>>> import_installation(ImportRequest request,
                                                               Instant now) override {
    using Outcomes = std::vector<ImportOutcome>;
    const auto outcomes = std::make_shared<Outcomes>();
    const bool dry_run = request.dry_run;
    const auto wanted = std::make_shared<const ImportRequest>(std::move(request));
    auto done = co_await patient_call<Outcomes>(
        [wanted, now, outcomes](auto& tx) -> Task<Result<Outcomes>> {
          auto imported = co_await postgres::import_installation(tx, *wanted, now);
          if (!imported || !wanted->dry_run) co_return imported;
          *outcomes = std::move(*imported);
          co_return fail(ErrorKind::kCancelled, "nothing is kept of it");
        },
        {.call = kImportDeadline, .round_trip = kImportDeadline});
    if (dry_run && !done && done.error().kind == ErrorKind::kCancelled) co_return *outcomes;
    co_return done;
  }
  Task<Result<std::string>> imported_from() override {
    return call<std::string>([](auto& tx) { return postgres::imported_from(tx); });
  }

  Task<Status> audit(AuditEvent event) override {
    return call<void>([=](auto& tx) { return postgres::audit(tx, event); });
  }
  Task<Result<PruneReport>> prune(RetentionPolicy policy, Instant now) override {
    return patient_call<PruneReport>([=](auto& tx) { return postgres::prune(tx, policy, now); },
                                     {.call = kPruningDeadline, .round_trip = kPruningDeadline});
  }

 private:
  template <typename T>
  Task<Result<T>> call(postgres::Work<T> work) {
    const PostgresSettings& settings = calls_.pool->settings();
    return patient_call<T>(std::move(work), {.call = settings.call_deadline,
                                             .round_trip = settings.statement_deadline});
  }
  template <typename T>
  Task<Result<T>> patient_call(postgres::Work<T> work, postgres::Patience patience) {
    return postgres::call<T>(calls_, std::move(work), patience);
  }

  postgres::Calls calls_;
  postgres::Ping ping_;
  std::int64_t schema_;
  std::vector<std::string> warnings_;
};

// Several hosts are there to fail over.
Task<std::vector<std::string>> look_at_replication(postgres::Pool& pool, BootInstant deadline) {
  if (pool.settings().hosts.size() < 2) co_return std::vector<std::string>();
  auto lease = co_await pool.acquire(deadline);
  const postgres::Query query("SELECT current_setting('synchronous_standby_names')");
  const auto answers = co_await lease->round_trip({&query, 1}, deadline);
  if (!answers.at(0)[0].text().empty()) co_return std::vector<std::string>();
  co_return std::vector<std::string>{
      "database.host names several servers, but commits wait for none of the stand-bys "
      "(synchronous_standby_names is empty): a fail-over may lose runs and states that were "
      "acknowledged. Make replication synchronous"};
}

// Known to PostgreSQL by at most 63 bytes.
std::string session_name(const std::string& instance) {
  SystemRandom random;
  return fmt::format("provisioner {} {}", random.incarnation().value, instance).substr(0, 63);
}

}  // namespace

Task<Result<std::unique_ptr<Store>>> open_postgres_store(boost::asio::any_io_executor loop,
                                                         Clock& clock, PostgresSettings settings,
                                                         std::shared_ptr<PostgresCounters> counters,
                                                         std::shared_ptr<CircuitBreaker> breaker) {
  const auto pool =
      std::make_shared<postgres::Pool>(loop, clock, settings, session_name(settings.instance),
                                       std::move(counters), std::move(breaker));
  try {
    const std::int64_t schema =
        co_await postgres::migrate(*pool, clock.boot_now() + kMigrationDeadline);
    auto warnings = co_await look_at_replication(*pool, clock.boot_now() + settings.call_deadline);
    co_return std::make_unique<PostgresStore>(pool, schema, std::move(warnings));
  } catch (const postgres::SqlError& error) {
    co_return fail("opening the store", error.error());
  }
}

}  // namespace provisioner
