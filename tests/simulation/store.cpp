#include "tests/simulation/store.hpp"

#include <fmt/format.h>

#include <stdexcept>

#include "store/sqlite/sqlite_store.hpp"
#include "tests/simulation/mutation.hpp"

namespace provisioner::simulation {

using namespace std::chrono_literals;

namespace {

constexpr Duration kPatience = 3s;  // of a client

}  // namespace

StoreServer::StoreServer(World& world) {
  auto opened = open_sqlite_store_in_memory(loop_.get_executor());
  if (!opened) throw std::runtime_error(opened.error().message);
  store_ = *std::move(opened);
  subscription_ = store_->subscribe([this, &world](const Change& change) {
    world.note(change.key);
    for (const auto& listener : listeners_) listener(change);
  });
}

std::shared_ptr<void> StoreServer::listen(Listener listener) {
  const auto place = listeners_.insert(listeners_.end(), std::move(listener));
  return {nullptr, [this, place](void*) { listeners_.erase(place); }};
}

SimulatedStore::SimulatedStore(Parts parts) : parts_(std::move(parts)) {}

Store::Subscription SimulatedStore::subscribe(std::function<void(const Change&)> on_change) {
  // Notifications are hints: they come late, or not at all.
  const auto listener = std::make_shared<std::function<void(const Change&)>>(std::move(on_change));
  auto listening =
      parts_.server.listen([&world = parts_.world, &link = parts_.link, daemon = parts_.daemon,
                            weak = std::weak_ptr(listener)](const Change& change) {
        if (link.cut || link.deaf || world.chance(0.1)) return;
        world.after(world.between(link.least, link.most), daemon, [weak, change] {
          if (const auto alive = weak.lock()) (*alive)(change);
        });
      });
  return {nullptr, [listener, listening](void*) {}};
}

template <typename T>
Task<Result<T>> SimulatedStore::ask(std::string_view name, ErrorKind when_lost, Call<T> call,
                                    Seen<T> seen) {
  co_return co_await ask_server<T>(
      parts_.world, parts_.link, parts_.daemon, kPatience, when_lost,
      [&world = parts_.world, &server = parts_.server, me = parts_.me, name, call = std::move(call),
       seen = std::move(seen)]() -> Result<T> {
        if (server.away) return fail(ErrorKind::kUnavailable, "the database is away");
        Result<T> done = server.now(call(server.store()));
        if (seen) {
          world.note(fmt::format("{} {}: {}", me.value, name,
                                 done ? "ok" : std::string_view(done.error().message)));
          seen(done);
        }
        return done;
      });
}

// I6 is about asking, too: nobody asks for a decision after his deadline.
void SimulatedStore::decides(const LeaderFence&) {
  parts_.observer.believes(parts_.me, parts_.host.boot_now());
}

// --- leadership ----------------------------------------------------------------------------------

Task<Result<Leadership>> SimulatedStore::leadership() {
  return read<Leadership>("leadership", [](Store& s) { return s.leadership(); });
}

Task<Result<Leadership>> SimulatedStore::claim_term(LeaderFence seen, ClaimId fresh, InstanceId me,
                                                    Instant now) {
  return write<Leadership>(
      "claim_term",
      [=, &election = parts_.election](Store& s) -> Task<Result<Leadership>> {
        if (mutated(Mutation::kRevisionAsFence)) {
          // The highest revision that ever led is the fence; a lower one is stale.
          if (election.revision_of_key() <= election.highest_that_led) {
            co_return fail(ErrorKind::kConflict, "a later revision has led");
          }
          election.highest_that_led = election.revision_of_key();
        }
        co_return co_await s.claim_term(seen, fresh, me, now);
      },
      [&observer = parts_.observer, me](const Result<Leadership>& done) {
        if (done) observer.claimed_term(me, *done);
      });
}

Task<Status> SimulatedStore::resign(LeaderFence fence, Instant now) {
  return write<void>(
      "resign", [=](Store& s) { return s.resign(fence, now); },
      [&observer = parts_.observer, fence](const Status& done) {
        if (done) observer.resigned(fence);
      });
}

namespace {

// The fence that a decision is committed with; a store without fences takes it for the present one.
Task<LeaderFence> fence_for(Store& store, LeaderFence fence) {
  if (!mutated(Mutation::kNoTermFence)) co_return fence;
  const auto row = co_await store.leadership();
  co_return row ? row->fence : fence;
}

}  // namespace

Task<Status> SimulatedStore::commit_plan(LeaderFence fence, PlanCommit plan, Instant now) {
  decides(fence);
  return write<void>(
      "commit_plan",
      [=](Store& s) -> Task<Status> {
        co_return co_await s.commit_plan(co_await fence_for(s, fence), plan, now);
      },
      [&observer = parts_.observer, me = parts_.me, fence, plan](const Status& done) {
        if (!done) return;
        observer.decided(me, fence, "a plan");
        observer.planned(plan);
      });
}

Task<Status> SimulatedStore::commit_jobs(LeaderFence fence, JobsCommit jobs, Instant now) {
  decides(fence);
  return write<void>(
      "commit_jobs",
      [=](Store& s) -> Task<Status> {
        co_return co_await s.commit_jobs(co_await fence_for(s, fence), jobs, now);
      },
      [&observer = parts_.observer, me = parts_.me, fence](const Status& done) {
        if (done) observer.decided(me, fence, "a plan of jobs");
      });
}

Task<Status> SimulatedStore::set_waiting(LeaderFence fence, RunId run, std::string waiting_for) {
  decides(fence);
  return write<void>(
      "set_waiting",
      [=](Store& s) -> Task<Status> {
        co_return co_await s.set_waiting(co_await fence_for(s, fence), run, waiting_for);
      },
      [&observer = parts_.observer, me = parts_.me, fence](const Status& done) {
        if (done) observer.decided(me, fence, "a change of what a run waits for");
      });
}

// --- runs and attempts ---------------------------------------------------------------------------

Task<Result<Run>> SimulatedStore::enqueue(NewRun run, WhenBusy when_busy) {
  return write<Run>(
      "enqueue", [=](Store& s) { return s.enqueue(run, when_busy); },
      [&observer = parts_.observer](const Result<Run>& done) {
        if (done) observer.enqueued(done->id);
      });
}

Task<Result<std::optional<ClaimedRun>>> SimulatedStore::claim_next(ClaimRequest request) {
  if (request.fence) decides(*request.fence);
  return write<std::optional<ClaimedRun>>(
      "claim_next",
      [=](Store& s) -> Task<Result<std::optional<ClaimedRun>>> {
        ClaimRequest asked = request;
        if (asked.fence) asked.fence = co_await fence_for(s, *asked.fence);
        co_return co_await s.claim_next(std::move(asked));
      },
      [&observer = parts_.observer, me = parts_.me,
       request](const Result<std::optional<ClaimedRun>>& done) {
        if (!done || !*done) return;
        if (request.fence) observer.decided(me, *request.fence, "a claim");
        observer.claimed(me, **done);
      });
}

Task<Result<std::optional<ClaimedRun>>> SimulatedStore::find_claim(ClaimId claim) {
  return read<std::optional<ClaimedRun>>("find_claim",
                                         [=](Store& s) { return s.find_claim(claim); });
}

Task<Status> SimulatedStore::register_attempt(AttemptFence fence, ProcessIdentity process) {
  return write<void>(
      "register_attempt", [=](Store& s) { return s.register_attempt(fence, process); },
      [&observer = parts_.observer, fence](const Status& done) {
        if (done) observer.registered(fence);
      });
}

Task<Result<HeartbeatAnswer>> SimulatedStore::heartbeat(AttemptFence fence,
                                                        Instant lease_expires_at) {
  return write<HeartbeatAnswer>(
      "heartbeat", [=](Store& s) { return s.heartbeat(fence, lease_expires_at); },
      [&observer = parts_.observer, fence](const Result<HeartbeatAnswer>& done) {
        if (done) observer.beat(fence);
      });
}

Task<Status> SimulatedStore::finish_attempt(AttemptFence fence, AttemptResult result, Instant now,
                                            LogEnd log) {
  return write<void>(
      "finish_attempt", [=](Store& s) { return s.finish_attempt(fence, result, now, log); },
      [&observer = parts_.observer, fence, status = result.status](const Status& done) {
        if (done) observer.finished(fence, status);
      });
}

Task<Result<InterruptionOutcome>> SimulatedStore::interrupt_attempt(
    std::optional<LeaderFence> fence, Interruption interruption, Instant now) {
  if (fence) decides(*fence);
  return write<InterruptionOutcome>(
      "interrupt_attempt",
      [=](Store& s) -> Task<Result<InterruptionOutcome>> {
        auto with = fence;
        if (with) with = co_await fence_for(s, *with);
        Interruption what = interruption;
        if (mutated(Mutation::kEndedWithoutComparison)) {
          const auto rows = co_await s.attempts(what.run);
          for (const auto& row : *rows) {
            if (row.attempt == what.attempt) what.heartbeat_seq = row.heartbeat_seq;
          }
        }
        co_return co_await s.interrupt_attempt(with, what, now);
      },
      [&observer = parts_.observer, &server = parts_.server, me = parts_.me, fence,
       interruption](const Result<InterruptionOutcome>& done) {
        if (!done) return;
        if (fence) observer.decided(me, *fence, "an interruption");
        std::optional<StateVersion> current;
        if (!interruption.recovered.empty()) {
          const auto run = server.now(server.store().run(interruption.run));
          if (run) current = *server.now(server.store().current_state({run->workspace, ""}));
        }
        observer.interrupted(me, fence.has_value(), interruption, current);
      });
}

Task<Result<StateVersion>> SimulatedStore::write_state(StateSlot slot,
                                                       std::optional<AttemptFence> by,
                                                       std::string lock_id, StateMeta meta,
                                                       std::string body, std::string actor,
                                                       Instant now) {
  return write<StateVersion>(
      "write_state",
      [=](Store& s) -> Task<Result<StateVersion>> {
        if (by && mutated(Mutation::kNoAttemptFence)) {
          const auto lock = co_await s.state_lock(slot);
          if (!lock || !*lock) {
            co_return co_await s.push_state(slot, meta, body, actor, now);
          }
        }
        co_return co_await s.write_state(slot, by, lock_id, meta, body, actor, now);
      },
      [&observer = parts_.observer, slot, by](const Result<StateVersion>& done) {
        if (done) observer.wrote(slot, by, *done);
      });
}

// The database's machine has a clock of its own, and a right one.
Task<Status> SimulatedStore::ping() {
  const auto answered = co_await clock();
  if (!answered) co_return std::unexpected(answered.error());
  co_return Status();
}

Task<Result<Instant>> SimulatedStore::clock() {
  return ask<Instant>(
      "clock", ErrorKind::kUnavailable,
      [&world = parts_.world](Store&) -> Task<Result<Instant>> {
        co_return kBeginning + world.now();
      },
      nullptr);
}

// --- what is passed on as it is ------------------------------------------------------------------

Task<Result<Leadership>> SimulatedStore::request_transfer(std::string id, InstanceId to,
                                                          Instant now) {
  return write<Leadership>("request_transfer",
                           [=](Store& s) { return s.request_transfer(id, to, now); });
}
Task<Result<Instance>> SimulatedStore::enter_instance(Instance instance) {
  return write<Instance>("enter_instance", [=](Store& s) { return s.enter_instance(instance); });
}
Task<Result<Instance>> SimulatedStore::beat_instance(Instance instance) {
  return write<Instance>("beat_instance", [=](Store& s) { return s.beat_instance(instance); });
}
Task<Result<Instance>> SimulatedStore::set_draining(InstanceId id, bool draining) {
  return write<Instance>("set_draining", [=](Store& s) { return s.set_draining(id, draining); });
}
Task<Result<std::vector<Instance>>> SimulatedStore::instances() {
  return read<std::vector<Instance>>("instances", [](Store& s) { return s.instances(); });
}
Task<Result<std::string>> SimulatedStore::setting_or_insert(std::string key, std::string value) {
  return write<std::string>("setting_or_insert",
                            [=](Store& s) { return s.setting_or_insert(key, value); });
}
Task<Result<Workspace>> SimulatedStore::publish(Publication publication, Instant now) {
  return write<Workspace>("publish", [=](Store& s) { return s.publish(publication, now); });
}
Task<Status> SimulatedStore::detach(WorkspaceName workspace, InstanceId instance, std::string by,
                                    Instant now) {
  return write<void>("detach", [=](Store& s) { return s.detach(workspace, instance, by, now); });
}
Task<Result<std::vector<Report>>> SimulatedStore::reports() {
  return read<std::vector<Report>>("reports", [](Store& s) { return s.reports(); });
}
Task<Status> SimulatedStore::put_bundle(BundleHash hash, std::string content) {
  return write<void>("put_bundle", [=](Store& s) { return s.put_bundle(hash, content); });
}
Task<Result<std::string>> SimulatedStore::bundle(BundleHash hash) {
  return read<std::string>("bundle", [=](Store& s) { return s.bundle(hash); });
}
Task<Result<std::vector<ConfigChange>>> SimulatedStore::config_changes(WorkspaceName workspace,
                                                                       int limit) {
  return read<std::vector<ConfigChange>>(
      "config_changes", [=](Store& s) { return s.config_changes(workspace, limit); });
}
Task<Result<std::vector<Template>>> SimulatedStore::templates() {
  return read<std::vector<Template>>("templates", [](Store& s) { return s.templates(); });
}
Task<Result<Template>> SimulatedStore::template_named(TemplateName name) {
  return read<Template>("template_named", [=](Store& s) { return s.template_named(name); });
}
Task<Result<Template>> SimulatedStore::put_template(Template row) {
  return write<Template>("put_template", [=](Store& s) { return s.put_template(row); });
}
Task<Status> SimulatedStore::remove_template(TemplateName name) {
  return write<void>("remove_template", [=](Store& s) { return s.remove_template(name); });
}
Task<Result<std::vector<Workspace>>> SimulatedStore::workspaces() {
  return read<std::vector<Workspace>>("workspaces", [](Store& s) { return s.workspaces(); });
}
Task<Result<Workspace>> SimulatedStore::workspace(WorkspaceName name) {
  return read<Workspace>("workspace", [=](Store& s) { return s.workspace(name); });
}
Task<Result<Workspace>> SimulatedStore::update_workspace(Workspace row, Instant now) {
  return write<Workspace>("update_workspace",
                          [=](Store& s) { return s.update_workspace(row, now); });
}
Task<Status> SimulatedStore::remove_workspace(WorkspaceName name, std::string by, Instant now) {
  return write<void>("remove_workspace",
                     [=](Store& s) { return s.remove_workspace(name, by, now); });
}
Task<Result<std::vector<ScheduleCursor>>> SimulatedStore::cursors() {
  return read<std::vector<ScheduleCursor>>("cursors", [](Store& s) { return s.cursors(); });
}
Task<Result<WorkspaceView>> SimulatedStore::view(ViewRequest request) {
  return read<WorkspaceView>("view", [=](Store& s) { return s.view(request); });
}
Task<Result<std::vector<Job>>> SimulatedStore::jobs(std::optional<WorkspaceName> of) {
  return read<std::vector<Job>>("jobs", [=](Store& s) { return s.jobs(of); });
}
Task<Result<std::vector<JobEventRow>>> SimulatedStore::job_events() {
  return read<std::vector<JobEventRow>>("job_events", [](Store& s) { return s.job_events(); });
}
Task<Result<JobsView>> SimulatedStore::jobs_view(WorkspaceName workspace, std::string event) {
  return read<JobsView>("jobs_view", [=](Store& s) { return s.jobs_view(workspace, event); });
}
Task<Status> SimulatedStore::note_reboot(Instant now) {
  return write<void>("note_reboot", [=](Store& s) { return s.note_reboot(now); });
}
Task<Result<std::vector<Occurrence>>> SimulatedStore::occurrences(OccurrenceFilter filter) {
  return read<std::vector<Occurrence>>("occurrences",
                                       [=](Store& s) { return s.occurrences(filter); });
}
Task<Status> SimulatedStore::append_log(AttemptFence fence, std::int64_t offset, std::string text) {
  return write<void>("append_log", [=](Store& s) { return s.append_log(fence, offset, text); });
}
Task<Result<std::vector<AttemptRow>>> SimulatedStore::running_attempts() {
  return read<std::vector<AttemptRow>>("running_attempts",
                                       [](Store& s) { return s.running_attempts(); });
}
Task<Result<std::vector<AttemptRow>>> SimulatedStore::attempts(RunId run) {
  return read<std::vector<AttemptRow>>("attempts", [=](Store& s) { return s.attempts(run); });
}
Task<Result<Run>> SimulatedStore::request_cancel(RunId run, Instant now) {
  return write<Run>("request_cancel", [=](Store& s) { return s.request_cancel(run, now); });
}
Task<Result<Run>> SimulatedStore::run(RunId id) {
  return read<Run>("run", [=](Store& s) { return s.run(id); });
}
Task<Result<std::vector<Run>>> SimulatedStore::runs(RunFilter filter) {
  return read<std::vector<Run>>("runs", [=](Store& s) { return s.runs(filter); });
}
Task<Result<std::vector<LogChunk>>> SimulatedStore::log(RunId run, Attempt attempt,
                                                        std::int64_t offset, std::int64_t limit) {
  return read<std::vector<LogChunk>>("log",
                                     [=](Store& s) { return s.log(run, attempt, offset, limit); });
}
Task<Result<std::optional<StateLock>>> SimulatedStore::lock_state(StateSlot slot,
                                                                  std::optional<AttemptFence> by,
                                                                  StateLock lock) {
  return write<std::optional<StateLock>>("lock_state",
                                         [=](Store& s) { return s.lock_state(slot, by, lock); });
}
Task<Status> SimulatedStore::unlock_state(StateSlot slot, std::optional<AttemptFence> by,
                                          std::string lock_id) {
  return write<void>("unlock_state", [=](Store& s) { return s.unlock_state(slot, by, lock_id); });
}
Task<Result<std::optional<StateLock>>> SimulatedStore::state_lock(StateSlot slot) {
  return read<std::optional<StateLock>>("state_lock", [=](Store& s) { return s.state_lock(slot); });
}
Task<Result<std::optional<StateLock>>> SimulatedStore::force_unlock(StateSlot slot) {
  return write<std::optional<StateLock>>("force_unlock",
                                         [=](Store& s) { return s.force_unlock(slot); });
}
Task<Result<StateVersion>> SimulatedStore::push_state(StateSlot slot, StateMeta meta,
                                                      std::string body, std::string actor,
                                                      Instant now) {
  return write<StateVersion>("push_state",
                             [=](Store& s) { return s.push_state(slot, meta, body, actor, now); });
}
Task<Result<std::optional<StateVersion>>> SimulatedStore::current_state(StateSlot slot) {
  return read<std::optional<StateVersion>>("current_state",
                                           [=](Store& s) { return s.current_state(slot); });
}
Task<Result<std::vector<StateVersion>>> SimulatedStore::state_versions(StateSlot slot) {
  return read<std::vector<StateVersion>>("state_versions",
                                         [=](Store& s) { return s.state_versions(slot); });
}
Task<Result<std::string>> SimulatedStore::state_body(StateSlot slot, std::int64_t number) {
  return read<std::string>("state_body", [=](Store& s) { return s.state_body(slot, number); });
}
Task<Result<std::string>> SimulatedStore::lock_file(WorkspaceName workspace) {
  return read<std::string>("lock_file", [=](Store& s) { return s.lock_file(workspace); });
}
Task<Status> SimulatedStore::insert_token(ApiToken token) {
  return write<void>("insert_token", [=](Store& s) { return s.insert_token(token); });
}
Task<Result<std::vector<ApiToken>>> SimulatedStore::tokens() {
  return read<std::vector<ApiToken>>("tokens", [](Store& s) { return s.tokens(); });
}
Task<Result<ApiToken>> SimulatedStore::token_by_hash(std::string hash) {
  return read<ApiToken>("token_by_hash", [=](Store& s) { return s.token_by_hash(hash); });
}
Task<Result<ApiToken>> SimulatedStore::revoke_token(TokenId id, std::string by, Instant now) {
  return write<ApiToken>("revoke_token", [=](Store& s) { return s.revoke_token(id, by, now); });
}
Task<Status> SimulatedStore::touch_token(TokenId id, Instant now) {
  return write<void>("touch_token", [=](Store& s) { return s.touch_token(id, now); });
}
Task<Result<std::vector<AuditEvent>>> SimulatedStore::audit_events(AuditFilter filter) {
  return read<std::vector<AuditEvent>>("audit_events",
                                       [=](Store& s) { return s.audit_events(filter); });
}
Task<Result<std::vector<ImportOutcome>>> SimulatedStore::import_installation(ImportRequest request,
                                                                             Instant now) {
  return write<std::vector<ImportOutcome>>(
      "import_installation", [=](Store& s) { return s.import_installation(request, now); });
}
Task<Result<std::string>> SimulatedStore::imported_from() {
  return read<std::string>("imported_from", [](Store& s) { return s.imported_from(); });
}
Task<Status> SimulatedStore::audit(AuditEvent event) {
  return write<void>("audit", [=](Store& s) { return s.audit(event); });
}
Task<Result<PruneReport>> SimulatedStore::prune(RetentionPolicy policy, Instant now) {
  return write<PruneReport>("prune", [=](Store& s) { return s.prune(policy, now); });
}

}  // namespace provisioner::simulation
