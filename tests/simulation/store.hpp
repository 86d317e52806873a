// One database, the embedded store itself in memory, and the way of each daemon to it. Whatever the
// network does, a transaction happens whole and at one instant, as the store promises.
#pragma once

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <exception>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string_view>

#include "store/store.hpp"
#include "tests/simulation/election.hpp"
#include "tests/simulation/host.hpp"
#include "tests/simulation/link.hpp"
#include "tests/simulation/observer.hpp"

namespace provisioner::simulation {

class StoreServer {
 public:
  explicit StoreServer(World& world);

  // The database does it now.
  template <typename T>
  Result<T> now(Task<Result<T>> task) {
    std::optional<Result<T>> done;
    boost::asio::co_spawn(loop_, std::move(task),
                          [&](const std::exception_ptr& thrown, Result<T> result) {
                            if (thrown) std::rethrow_exception(thrown);
                            done.emplace(std::move(result));
                          });
    loop_.restart();
    loop_.poll();
    if (!done) throw std::logic_error("the store in memory did not answer at once");
    return *std::move(done);
  }
  Store& store() { return *store_; }

  bool away = false;

  // Told of every change right after its commit.
  using Listener = std::function<void(const Change&)>;
  std::shared_ptr<void> listen(Listener listener);

 private:
  boost::asio::io_context loop_{1};
  std::unique_ptr<Store> store_;
  Store::Subscription subscription_;
  std::list<Listener> listeners_;
};

class SimulatedStore final : public Store {
 public:
  struct Parts {
    World& world;
    StoreServer& server;
    ElectionServer& election;  // only for a wrong design
    const Link& link;
    Host& host;
    ProcessPtr daemon;
    Observer& observer;
    InstanceId me;
  };
  explicit SimulatedStore(Parts parts);

  Subscription subscribe(std::function<void(const Change&)> on_change) override;
  std::string describe() const override { return "simulated"; }
  std::vector<std::string> warnings() const override { return {}; }
  Task<Result<Leadership>> leadership() override;
  Task<Result<Leadership>> claim_term(LeaderFence seen, ClaimId fresh, InstanceId me,
                                      Instant now) override;
  Task<Status> resign(LeaderFence fence, Instant now) override;
  Task<Result<Leadership>> request_transfer(std::string id, InstanceId to, Instant now) override;
  Task<Result<provisioner::Instance>> enter_instance(provisioner::Instance instance) override;
  Task<Result<provisioner::Instance>> beat_instance(provisioner::Instance instance) override;
  Task<Result<provisioner::Instance>> set_draining(InstanceId id, bool draining) override;
  Task<Status> ping() override;
  Task<Result<Instant>> clock() override;
  Task<Result<std::vector<provisioner::Instance>>> instances() override;
  Task<Result<std::string>> setting_or_insert(std::string key, std::string value) override;
  Task<Result<Workspace>> publish(Publication publication, Instant now) override;
  Task<Status> detach(WorkspaceName workspace, InstanceId instance, std::string by,
                      Instant now) override;
  Task<Result<std::vector<provisioner::Report>>> reports() override;
  Task<Status> put_bundle(BundleHash hash, std::string content) override;
  Task<Result<std::string>> bundle(BundleHash hash) override;
  Task<Result<std::vector<ConfigChange>>> config_changes(WorkspaceName workspace,
                                                         int limit) override;
  Task<Result<std::vector<Template>>> templates() override;
  Task<Result<Template>> template_named(TemplateName name) override;
  Task<Result<Template>> put_template(Template row) override;
  Task<Status> remove_template(TemplateName name) override;
  Task<Result<std::vector<Workspace>>> workspaces() override;
  Task<Result<Workspace>> workspace(WorkspaceName name) override;
  Task<Result<Workspace>> update_workspace(Workspace row, Instant now) override;
  Task<Status> remove_workspace(WorkspaceName name, std::string by, Instant now) override;
  Task<Result<std::vector<ScheduleCursor>>> cursors() override;
  Task<Result<WorkspaceView>> view(ViewRequest request) override;
  Task<Status> commit_plan(LeaderFence fence, PlanCommit plan, Instant now) override;
  Task<Result<std::vector<Job>>> jobs(std::optional<WorkspaceName> of) override;
  Task<Result<std::vector<JobEventRow>>> job_events() override;
  Task<Result<JobsView>> jobs_view(WorkspaceName workspace, std::string event) override;
  Task<Status> commit_jobs(LeaderFence fence, JobsCommit jobs, Instant now) override;
  Task<Status> note_reboot(Instant now) override;
  Task<Result<std::vector<Occurrence>>> occurrences(OccurrenceFilter filter) override;
  Task<Result<Run>> enqueue(NewRun run, WhenBusy when_busy) override;
  Task<Result<std::optional<ClaimedRun>>> claim_next(ClaimRequest request) override;
  Task<Result<std::optional<ClaimedRun>>> find_claim(ClaimId claim) override;
  Task<Status> set_waiting(LeaderFence fence, RunId run, std::string waiting_for) override;
  Task<Status> register_attempt(AttemptFence fence, ProcessIdentity process) override;
  Task<Result<HeartbeatAnswer>> heartbeat(AttemptFence fence, Instant lease_expires_at) override;
  Task<Status> append_log(AttemptFence fence, std::int64_t offset, std::string text) override;
  Task<Status> finish_attempt(AttemptFence fence, AttemptResult result, Instant now,
                              LogEnd log) override;
  Task<Result<InterruptionOutcome>> interrupt_attempt(std::optional<LeaderFence> fence,
                                                      Interruption interruption,
                                                      Instant now) override;
  Task<Result<std::vector<AttemptRow>>> running_attempts() override;
  Task<Result<std::vector<AttemptRow>>> attempts(RunId run) override;
  Task<Result<Run>> request_cancel(RunId run, Instant now) override;
  Task<Result<Run>> run(RunId id) override;
  Task<Result<std::vector<Run>>> runs(RunFilter filter) override;
  Task<Result<std::vector<LogChunk>>> log(RunId run, Attempt attempt, std::int64_t offset,
                                          std::int64_t limit) override;
  Task<Result<std::optional<StateLock>>> lock_state(StateSlot slot, std::optional<AttemptFence> by,
                                                    StateLock lock) override;
  Task<Status> unlock_state(StateSlot slot, std::optional<AttemptFence> by,
                            std::string lock_id) override;
  Task<Result<std::optional<StateLock>>> state_lock(StateSlot slot) override;
  Task<Result<std::optional<StateLock>>> force_unlock(StateSlot slot) override;
  Task<Result<StateVersion>> write_state(StateSlot slot, std::optional<AttemptFence> by,
                                         std::string lock_id, StateMeta meta, std::string body,
                                         std::string actor, Instant now) override;
  Task<Result<StateVersion>> push_state(StateSlot slot, StateMeta meta, std::string body,
                                        std::string actor, Instant now) override;
  Task<Result<std::optional<StateVersion>>> current_state(StateSlot slot) override;
  Task<Result<std::vector<StateVersion>>> state_versions(StateSlot slot) override;
  Task<Result<std::string>> state_body(StateSlot slot, std::int64_t number) override;
  Task<Result<std::string>> lock_file(WorkspaceName workspace) override;
  Task<Status> insert_token(ApiToken token) override;
  Task<Result<std::vector<ApiToken>>> tokens() override;
  Task<Result<ApiToken>> token_by_hash(std::string hash) override;
  Task<Result<ApiToken>> revoke_token(TokenId id, std::string by, Instant now) override;
  Task<Status> touch_token(TokenId id, Instant now) override;
  Task<Result<std::vector<ImportOutcome>>> import_installation(ImportRequest request,
                                                               Instant now) override;
  Task<Result<std::string>> imported_from() override;
  Task<Status> audit(AuditEvent event) override;
  Task<Result<std::vector<AuditEvent>>> audit_events(AuditFilter filter) override;
  Task<Result<PruneReport>> prune(RetentionPolicy policy, Instant now) override;

 private:
  // `call` is made on the server's store, then `seen` is told of its result.
  template <typename T>
  using Call = std::function<Task<Result<T>>(Store&)>;
  template <typename T>
  using Seen = std::function<void(const Result<T>&)>;
  template <typename T>
  Task<Result<T>> ask(std::string_view name, ErrorKind when_lost, Call<T> call, Seen<T> seen);
  template <typename T>
  Task<Result<T>> read(std::string_view name, Call<T> call) {
    return ask<T>(name, ErrorKind::kUnavailable, std::move(call), nullptr);
  }
  template <typename T>
  Task<Result<T>> write(std::string_view name, Call<T> call, Seen<T> seen = nullptr) {
    return ask<T>(name, ErrorKind::kAmbiguous, std::move(call), std::move(seen));
  }
  void decides(const LeaderFence& fence);

  Parts parts_;
};

}  // namespace provisioner::simulation
