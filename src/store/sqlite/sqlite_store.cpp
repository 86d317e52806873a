#include "store/sqlite/sqlite_store.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <optional>
#include <system_error>
#include <utility>

#include "runtime/directory_lock.hpp"
#include "store/copy/copy_mark.hpp"
#include "store/sqlite/attempts.hpp"
#include "store/sqlite/imports.hpp"
#include "store/sqlite/jobs.hpp"
#include "store/sqlite/leadership.hpp"
#include "store/sqlite/owner_thread.hpp"
#include "store/sqlite/plans.hpp"
#include "store/sqlite/records.hpp"
#include "store/sqlite/retention.hpp"
#include "store/sqlite/runs.hpp"
#include "store/sqlite/schema.hpp"
#include "store/sqlite/states.hpp"
#include "store/sqlite/templates.hpp"
#include "store/sqlite/tokens.hpp"
#include "store/sqlite/workspaces.hpp"
#include "store/subscribers.hpp"

namespace provisioner {
namespace {

using sqlite::Transaction;

class SqliteStore final : public Store {
 public:
  SqliteStore(const boost::asio::any_io_executor& loop, std::optional<DirectoryLock> lock,
              std::unique_ptr<sqlite::Connection> connection, std::int64_t schema,
              sqlite::Work work)
      : loop_(loop),
        lock_(std::move(lock)),
        schema_(schema),
        owner_(
            std::move(connection),
            [loop, subscribers = subscribers_](auto changes) {
              boost::asio::post(loop, [subscribers, changes = each_once(std::move(changes))] {
                subscribers->tell(changes);
              });
            },
            work) {}

  Subscription subscribe(std::function<void(const Change&)> on_change) override {
    return subscribers_->add(std::move(on_change));
  }

  std::string describe() const override {
    return fmt::format("sqlite {}, schema {}", sqlite3_libversion(), schema_);
  }
  std::vector<std::string> warnings() const override { return {}; }

  Task<Result<Leadership>> leadership() override {
    return call<Leadership>([](auto& tx) { return sqlite::leadership(tx); });
  }
  Task<Result<Leadership>> claim_term(LeaderFence seen, ClaimId fresh, InstanceId me,
                                      Instant now) override {
    return call<Leadership>([=](auto& tx) { return sqlite::claim_term(tx, seen, fresh, me, now); });
  }
  Task<Status> resign(LeaderFence fence, Instant now) override {
    return call<void>([=](auto& tx) { return sqlite::resign(tx, fence, now); });
  }

  Task<Result<Leadership>> request_transfer(std::string id, InstanceId to, Instant now) override {
    return call<Leadership>([=](auto& tx) { return sqlite::request_transfer(tx, id, to, now); });
  }

  Task<Result<Instance>> enter_instance(Instance instance) override {
    return call<Instance>([=](auto& tx) { return sqlite::enter_instance(tx, instance); });
  }
  Task<Result<Instance>> beat_instance(Instance instance) override {
    return call<Instance>([=](auto& tx) { return sqlite::beat_instance(tx, instance); });
  }
  Task<Result<Instance>> set_draining(InstanceId id, bool draining) override {
    return call<Instance>([=](auto& tx) { return sqlite::set_draining(tx, id, draining); });
  }
  Task<Result<std::vector<Instance>>> instances() override {
    return call<std::vector<Instance>>([](auto& tx) { return sqlite::instances(tx); });
  }
  Task<Result<std::string>> setting_or_insert(std::string key, std::string value) override {
    return call<std::string>([=](auto& tx) { return sqlite::setting_or_insert(tx, key, value); });
  }

  Task<Status> ping() override {
    const auto answered = co_await call<Instant>([](auto& tx) { return sqlite::clock(tx); });
    if (!answered) co_return std::unexpected(answered.error());
    co_return Status();
  }
  Task<Result<Instant>> clock() override {
    return call<Instant>([](auto& tx) { return sqlite::clock(tx); });
  }

  Task<Result<Workspace>> publish(Publication publication, Instant now) override {
    return call<Workspace>([publication = std::move(publication), now](auto& tx) {
      return sqlite::publish(tx, publication, now);
    });
  }
  Task<Status> detach(WorkspaceName workspace, InstanceId instance, std::string by,
                      Instant now) override {
    return call<void>([=](auto& tx) { return sqlite::detach(tx, workspace, instance, by, now); });
  }
  Task<Result<std::vector<Report>>> reports() override {
    return call<std::vector<Report>>([](auto& tx) { return sqlite::reports(tx); });
  }
  Task<Status> put_bundle(BundleHash hash, std::string content) override {
    return call<void>([hash, content = std::move(content)](auto& tx) {
      return sqlite::put_bundle(tx, hash, content);
    });
  }
  Task<Result<std::string>> bundle(BundleHash hash) override {
    return call<std::string>([=](auto& tx) { return sqlite::bundle(tx, hash); });
  }
  Task<Result<std::vector<ConfigChange>>> config_changes(WorkspaceName workspace,
                                                         int limit) override {
    return call<std::vector<ConfigChange>>(
        [=](auto& tx) { return sqlite::config_changes(tx, workspace, limit); });
  }

  Task<Result<std::vector<Template>>> templates() override {
    return call<std::vector<Template>>([](auto& tx) { return sqlite::templates(tx); });
  }
  Task<Result<Template>> template_named(TemplateName name) override {
    return call<Template>([=](auto& tx) { return sqlite::template_named(tx, name); });
  }
  Task<Result<Template>> put_template(Template row) override {
    return call<Template>(
        [row = std::move(row)](auto& tx) { return sqlite::put_template(tx, row); });
  }
  Task<Status> remove_template(TemplateName name) override {
    return call<void>([=](auto& tx) { return sqlite::remove_template(tx, name); });
  }

  Task<Result<std::vector<Workspace>>> workspaces() override {
    return call<std::vector<Workspace>>([](auto& tx) { return sqlite::workspaces(tx); });
  }
  Task<Result<Workspace>> workspace(WorkspaceName name) override {
    return call<Workspace>([=](auto& tx) { return sqlite::workspace(tx, name); });
  }
  Task<Result<Workspace>> update_workspace(Workspace row, Instant now) override {
    return call<Workspace>(
        [row = std::move(row), now](auto& tx) { return sqlite::update_workspace(tx, row, now); });
  }
  Task<Status> remove_workspace(WorkspaceName name, std::string by, Instant now) override {
    return call<void>([=](auto& tx) { return sqlite::remove_workspace(tx, name, by, now); });
  }

  Task<Result<std::vector<ScheduleCursor>>> cursors() override {
    return call<std::vector<ScheduleCursor>>([](auto& tx) { return sqlite::cursors(tx); });
  }
  Task<Result<WorkspaceView>> view(ViewRequest request) override {
    return call<WorkspaceView>(
        [request = std::move(request)](auto& tx) { return sqlite::view(tx, request); });
  }
  Task<Status> commit_plan(LeaderFence fence, PlanCommit plan, Instant now) override {
    return call<void>([fence, plan = std::move(plan), now](auto& tx) {
      return sqlite::commit_plan(tx, fence, plan, now);
    });
  }
  Task<Result<std::vector<Job>>> jobs(std::optional<WorkspaceName> of) override {
    return call<std::vector<Job>>([=](auto& tx) { return sqlite::jobs(tx, of); });
  }
  Task<Result<std::vector<JobEventRow>>> job_events() override {
    return call<std::vector<JobEventRow>>([](auto& tx) { return sqlite::job_events(tx); });
  }
  Task<Result<JobsView>> jobs_view(WorkspaceName workspace, std::string event) override {
    return call<JobsView>([=](auto& tx) { return sqlite::jobs_view(tx, workspace, event); });
  }
  Task<Status> commit_jobs(LeaderFence fence, JobsCommit jobs, Instant now) override {
    return call<void>([fence, jobs = std::move(jobs), now](auto& tx) {
      return sqlite::commit_jobs(tx, fence, jobs, now);
    });
  }
  Task<Status> note_reboot(Instant now) override {
    return call<void>([=](auto& tx) { return sqlite::note_reboot(tx, now); });
  }
  Task<Result<std::vector<Occurrence>>> occurrences(OccurrenceFilter filter) override {
    return call<std::vector<Occurrence>>([=](auto& tx) { return sqlite::occurrences(tx, filter); });
  }

  Task<Result<Run>> enqueue(NewRun run, WhenBusy when_busy) override {
    return call<Run>([run = std::move(run), when_busy](auto& tx) {
      return sqlite::enqueue(tx, run, when_busy);
    });
  }
  Task<Result<std::optional<ClaimedRun>>> claim_next(ClaimRequest request) override {
    return call<std::optional<ClaimedRun>>(
        [=](auto& tx) { return sqlite::claim_next(tx, request); });
  }
  Task<Result<std::optional<ClaimedRun>>> find_claim(ClaimId claim) override {
    return call<std::optional<ClaimedRun>>([=](auto& tx) { return sqlite::find_claim(tx, claim); });
  }
  Task<Status> set_waiting(LeaderFence fence, RunId run, std::string waiting_for) override {
    return call<void>([=](auto& tx) { return sqlite::set_waiting(tx, fence, run, waiting_for); });
  }
  Task<Status> register_attempt(AttemptFence fence, ProcessIdentity process) override {
    return call<void>([=](auto& tx) { return sqlite::register_attempt(tx, fence, process); });
  }
  Task<Result<HeartbeatAnswer>> heartbeat(AttemptFence fence, Instant lease_expires_at) override {
    return call<HeartbeatAnswer>(
        [=](auto& tx) { return sqlite::heartbeat(tx, fence, lease_expires_at); });
  }
  Task<Status> append_log(AttemptFence fence, std::int64_t offset, std::string text) override {
    return call<void>([fence, offset, text = std::move(text)](auto& tx) {
      return sqlite::append_log(tx, fence, offset, text);
    });
  }
  Task<Status> finish_attempt(AttemptFence fence, AttemptResult result, Instant now,
                              LogEnd log) override {
    return call<void>([fence, result = std::move(result), now, log = std::move(log)](auto& tx) {
      return sqlite::finish_attempt(tx, fence, result, now, log);
    });
  }
  Task<Result<InterruptionOutcome>> interrupt_attempt(std::optional<LeaderFence> fence,
                                                      Interruption interruption,
                                                      Instant now) override {
    return call<InterruptionOutcome>(
        [fence, interruption = std::move(interruption), now](auto& tx) {
          return sqlite::interrupt_attempt(tx, fence, interruption, now);
        });
  }
  Task<Result<std::vector<AttemptRow>>> running_attempts() override {
    return call<std::vector<AttemptRow>>([](auto& tx) { return sqlite::running_attempts(tx); });
  }
  Task<Result<std::vector<AttemptRow>>> attempts(RunId run) override {
    return call<std::vector<AttemptRow>>([=](auto& tx) { return sqlite::attempts(tx, run); });
  }
  Task<Result<Run>> request_cancel(RunId run, Instant now) override {
    return call<Run>([=](auto& tx) { return sqlite::request_cancel(tx, run, now); });
  }
  Task<Result<Run>> run(RunId id) override {
    return call<Run>([=](auto& tx) { return sqlite::run(tx, id); });
  }
  Task<Result<std::vector<Run>>> runs(RunFilter filter) override {
    return call<std::vector<Run>>([=](auto& tx) { return sqlite::runs(tx, filter); });
  }
  Task<Result<std::vector<LogChunk>>> log(RunId run, Attempt attempt, std::int64_t offset,
                                          std::int64_t limit) override {
    return call<std::vector<LogChunk>>(
        [=](auto& tx) { return sqlite::log(tx, run, attempt, offset, limit); });
  }

  Task<Result<std::optional<StateLock>>> lock_state(StateSlot slot, std::optional<AttemptFence> by,
                                                    StateLock lock) override {
    return call<std::optional<StateLock>>(
        [=](auto& tx) { return sqlite::lock_state(tx, slot, by, lock); });
  }
  Task<Status> unlock_state(StateSlot slot, std::optional<AttemptFence> by,
                            std::string lock_id) override {
    return call<void>([=](auto& tx) { return sqlite::unlock_state(tx, slot, by, lock_id); });
  }
  Task<Result<std::optional<StateLock>>> state_lock(StateSlot slot) override {
    return call<std::optional<StateLock>>([=](auto& tx) { return sqlite::state_lock(tx, slot); });
  }
  Task<Result<std::optional<StateLock>>> force_unlock(StateSlot slot) override {
    return call<std::optional<StateLock>>([=](auto& tx) { return sqlite::force_unlock(tx, slot); });
  }
  Task<Result<StateVersion>> write_state(StateSlot slot, std::optional<AttemptFence> by,
                                         std::string lock_id, StateMeta meta, std::string body,
                                         std::string actor, Instant now) override {
    return call<StateVersion>([slot = std::move(slot), by = std::move(by),
                               lock_id = std::move(lock_id), meta = std::move(meta),
                               body = std::move(body), actor = std::move(actor), now](auto& tx) {
      return sqlite::write_state(tx, slot, by, lock_id, meta, body, actor, now);
    });
  }
  Task<Result<StateVersion>> push_state(StateSlot slot, StateMeta meta, std::string body,
                                        std::string actor, Instant now) override {
    return call<StateVersion>([slot = std::move(slot), meta = std::move(meta),
                               body = std::move(body), actor = std::move(actor), now](auto& tx) {
      return sqlite::push_state(tx, slot, meta, body, actor, now);
    });
  }
  Task<Result<std::optional<StateVersion>>> current_state(StateSlot slot) override {
    return call<std::optional<StateVersion>>(
        [=](auto& tx) { return sqlite::current_state(tx, slot); });
  }
  Task<Result<std::vector<StateVersion>>> state_versions(StateSlot slot) override {
    return call<std::vector<StateVersion>>(
        [=](auto& tx) { return sqlite::state_versions(tx, slot); });
  }
  Task<Result<std::string>> state_body(StateSlot slot, std::int64_t number) override {
    return call<std::string>([=](auto& tx) { return sqlite::state_body(tx, slot, number); });
  }

  Task<Result<std::string>> lock_file(WorkspaceName workspace) override {
    return call<std::string>(
        [=](auto& tx) -> Result<std::string> { return sqlite::lock_file(tx, workspace); });
  }

  Task<Status> insert_token(ApiToken token) override {
    return call<void>(
        [token = std::move(token)](auto& tx) { return sqlite::insert_token(tx, token); });
  }
  Task<Result<std::vector<ApiToken>>> tokens() override {
    return call<std::vector<ApiToken>>([](auto& tx) { return sqlite::tokens(tx); });
  }
  Task<Result<ApiToken>> token_by_hash(std::string hash) override {
    return call<ApiToken>([=](auto& tx) { return sqlite::token_by_hash(tx, hash); });
  }
  Task<Result<ApiToken>> revoke_token(TokenId id, std::string by, Instant now) override {
    return call<ApiToken>([=](auto& tx) { return sqlite::revoke_token(tx, id, by, now); });
  }
  Task<Status> touch_token(TokenId id, Instant now) override {
    return call<void>([=](auto& tx) { return sqlite::touch_token(tx, id, now); });
  }

  Task<Result<std::vector<ImportOutcome>>> import_installation(ImportRequest request,
                                                               Instant now) override {
    using Outcomes = std::vector<ImportOutcome>;
    const auto outcomes = std::make_shared<Outcomes>();
    const bool dry_run = request.dry_run;
    auto done = co_await call<Outcomes>(
        [request = std::move(request), now, outcomes](auto& tx) -> Result<Outcomes> {
          auto imported = sqlite::import_installation(tx, request, now);
          if (!imported || !request.dry_run) return imported;
          *outcomes = std::move(*imported);
          return fail(ErrorKind::kCancelled, "nothing is kept of it");
        });
    if (dry_run && !done && done.error().kind == ErrorKind::kCancelled) co_return *outcomes;
    co_return done;
  }
  Task<Result<std::string>> imported_from() override {
    return call<std::string>([](auto& tx) { return sqlite::imported_from(tx); });
  }

  Task<Status> audit(AuditEvent event) override {
    return call<void>([=](auto& tx) { return sqlite::audit(tx, event); });
  }
  Task<Result<std::vector<AuditEvent>>> audit_events(AuditFilter filter) override {
    return call<std::vector<AuditEvent>>(
        [filter = std::move(filter)](auto& tx) { return sqlite::audit_events(tx, filter); });
  }
  Task<Result<PruneReport>> prune(RetentionPolicy policy, Instant now) override {
    return call<PruneReport>([=](auto& tx) { return sqlite::prune(tx, policy, now); });
  }

 private:
  // Posts `work` to the owner thread and resumes the caller on its loop after the commit. The loop
  // has work until then. A cancelled caller resumes after the commit, too: what was asked happens.
  template <typename T>
  Task<Result<T>> call(std::function<Result<T>(Transaction&)> work) {
    return boost::asio::async_initiate<const boost::asio::use_awaitable_t<>, void(Result<T>)>(
        [this](auto handler, std::function<Result<T>(Transaction&)> wanted) {
          auto answer = std::make_shared<Result<T>>();
          auto busy =
              boost::asio::make_work_guard(boost::asio::get_associated_executor(handler, loop_));
          owner_.post({
              .work = [answer, wanted = std::move(wanted)](Transaction& tx) -> Status {
                try {
                  *answer = wanted(tx);
                } catch (const sqlite::SqlError& error) {
                  *answer = std::unexpected(error.error());
                  throw;
                } catch (const std::exception& error) {
                  *answer =
                      fail(ErrorKind::kInternal, fmt::format("in the store: {}", error.what()));
                }
                if (!*answer) return std::unexpected(answer->error());
                return {};
              },
              .done =
                  [answer, busy = std::move(busy),
                   handler = std::move(handler)](Status committed) mutable {
                    if (!committed) *answer = std::unexpected(committed.error());
                    boost::asio::post(busy.get_executor(),
                                      [answer, handler = std::move(handler)]() mutable {
                                        std::move(handler)(std::move(*answer));
                                      });
                  },
          });
        },
        boost::asio::use_awaitable, std::move(work));
  }

  boost::asio::any_io_executor loop_;
  std::shared_ptr<Subscribers> subscribers_ = std::make_shared<Subscribers>();
  std::optional<DirectoryLock> lock_;  // none in memory
  std::int64_t schema_;
  sqlite::OwnerThread owner_;  // last: ends first
};

// A file up to this size is read whole when it is opened (well under a second); damage in a larger
// one shows when its page is read.
constexpr std::uintmax_t kCheckedWhole = 64 << 20;

// SQLite creates files with the umask's mode; state may hold secrets.
Status create_private(const std::filesystem::path& file) {
  const int descriptor = open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (descriptor < 0) {
    return fail(ErrorKind::kIo, fmt::format("opening {}: {}", file.native(),
                                            std::generic_category().message(errno)));
  }
  close(descriptor);
  return {};
}

}  // namespace

Result<std::unique_ptr<Store>> open_sqlite_store(const boost::asio::any_io_executor& loop,
                                                 const std::filesystem::path& file) {
  const auto directory = file.has_parent_path() ? file.parent_path() : ".";
  auto lock = DirectoryLock::take(directory);
  if (!lock) return std::unexpected(lock.error());
  if (auto its_own = refuse_copied(directory); !its_own) return std::unexpected(its_own.error());
  if (auto created = create_private(file); !created) return std::unexpected(created.error());
  try {
    auto connection = std::make_unique<sqlite::Connection>(file);
    if (std::filesystem::file_size(file) <= kCheckedWhole) sqlite::check_integrity(*connection);
    const std::int64_t schema = sqlite::migrate(*connection);
    return std::make_unique<SqliteStore>(loop, *std::move(lock), std::move(connection), schema,
                                         sqlite::Work::kOnAThread);
  } catch (const sqlite::SqlError& error) {
    return fail(fmt::format("opening {}", file.native()), error.error());
  } catch (const std::exception& error) {
    return fail(ErrorKind::kInternal, fmt::format("opening {}: {}", file.native(), error.what()));
  }
}

Result<std::unique_ptr<Store>> open_sqlite_store_in_memory(
    const boost::asio::any_io_executor& loop) {
  try {
    auto connection = std::make_unique<sqlite::Connection>(":memory:");
    const std::int64_t schema = sqlite::migrate(*connection);
    return std::make_unique<SqliteStore>(loop, std::nullopt, std::move(connection), schema,
                                         sqlite::Work::kAtOnce);
  } catch (const sqlite::SqlError& error) {
    return fail("opening a store in memory", error.error());
  }
}

}  // namespace provisioner
