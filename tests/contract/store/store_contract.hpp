// The fixture that holds every implementation of Store to src/store/store.hpp.
#pragma once

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "runtime/random.hpp"
#include "store/store.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/run_task.hpp"

namespace provisioner {

// Opens one store, again and again: what was acknowledged is there the next time.
using StoreOpener = std::function<Result<std::unique_ptr<Store>>(boost::asio::io_context&)>;

// An implementation under test. `fresh` prepares an empty store of its own for one test.
struct StoreMaker {
  std::string name;
  std::function<StoreOpener()> fresh;
};

inline void PrintTo(const StoreMaker& maker, std::ostream* out) { *out << maker.name; }

// "ok", or the kind of the error: "fenced".
template <typename T>
std::string outcome(const Result<T>& result) {
  return result ? "ok" : std::string(to_string(result.error().kind));
}

// The value; an error fails the test with its sentence.
template <typename T>
T must(Result<T> result) {
  if (!result) throw std::runtime_error("unexpected error: " + result.error().message);
  if constexpr (!std::is_void_v<T>) return *std::move(result);
}

class StoreContract : public ::testing::TestWithParam<StoreMaker> {
 protected:
  using Run = provisioner::Run;  // not ::testing::Test::Run
  static constexpr const char* kShop = "shop";

  StoreContract() : open_(GetParam().fresh()) { reopen(); }

  void reopen() {
    store_.reset();
    store_ = must(open_(loop_));
  }

  template <typename T>
  T await(Task<T> task) {
    return testing::run_task(loop_, std::move(task));
  }
  // Afterwards all that was committed has been announced: what is committed is told before the next
  // call is answered. (The loop of a store may never run out of work.)
  void settle() {
    must(await(store().leadership()));
    loop_.restart();
    loop_.poll();
  }
  // Turns the loop until `done`; false when that takes too long.
  bool turn_until(const std::function<bool()>& done) {
    return testing::eventually(std::chrono::seconds(60), [&] {
      loop_.restart();
      loop_.poll();
      return done();
    });
  }
  Store& store() { return *store_; }
  ClaimId claim_id() { return random_.claim_id(); }

  // --- given
  // ---------------------------------------------------------------------------------------

  static Definition definition(const std::string& content) {
    return {.config = "{\"description\":\"" + content + "\"}",
            .bundle = BundleHash("bundle-" + content),
            .inputs_hash = "inputs-" + content};
  }

  Publication publication(const std::string& name, const std::string& content = "v1") const {
    return {.workspace = WorkspaceName(name),
            .definition = definition(content),
            .description = "the " + name,
            .changed_by = "instance host-1",
            .first_cursor = now_,
            .schedule_hash = "nightly"};
  }

  Workspace given_workspace(const std::string& name = kShop, const std::string& content = "v1") {
    must(await(store().put_bundle(definition(content).bundle, "content of " + content)));
    return must(await(store().publish(publication(name, content), now_)));
  }

  // What `instance` says about the folder of the shop.
  Workspace report(const std::string& instance, const std::string& content) {
    Publication p = publication(kShop, content);
    p.instance = InstanceId(instance);
    must(await(store().put_bundle(p.definition.bundle, "content of " + content)));
    return must(await(store().publish(p, now_)));
  }
  void vanish(const std::string& instance) {
    must(await(store().detach(WorkspaceName(kShop), InstanceId(instance), instance, now_)));
  }

  Template given_template(const std::string& name, const std::string& content) {
    const BundleHash bundle("bundle-" + content);
    must(await(store().put_bundle(bundle, "files of " + content)));
    return must(await(store().put_template(
        {.name = TemplateName(name),
         .source = {.url = "https://example.org/" + name, .path = "web", .ref = "v1"},
         .description = "the " + name,
         .commit = "commit-" + content,
         .bundle = bundle,
         .created_at = now_,
         .updated_at = now_})));
  }
  Template updated_template(Template row, const std::string& content) {
    row.bundle = BundleHash("bundle-" + content);
    row.commit = "commit-" + content;
    row.updated_at = now_ + std::chrono::hours(1);
    must(await(store().put_bundle(row.bundle, "files of " + content)));
    return must(await(store().put_template(row)));
  }

  // What `instance` says of the shop: a folder of `folder`, made from the template `t`.
  Publication made_from_template(const Template& t, const std::string& folder,
                                 const std::string& instance = "host-1") {
    Publication p = publication(kShop, folder + "-on-" + t.bundle.value);
    p.definition.inputs_hash = "inputs";
    p.template_name = t.name.value;
    p.template_bundle = t.bundle;
    p.folder_content = "folder-" + folder;
    p.instance = InstanceId(instance);
    must(await(store().put_bundle(p.definition.bundle, "files")));
    return p;
  }
  static std::string made_bundle(const std::string& folder, const std::string& content) {
    return "bundle-" + folder + "-on-bundle-" + content;
  }
  std::string publishing(const Publication& p) { return outcome(await(store().publish(p, now_))); }

  LeaderFence given_leader(const std::string& instance = "host-1") {
    const Leadership seen = must(await(store().leadership()));
    return must(await(store().claim_term(seen.fence, claim_id(), InstanceId(instance), now_)))
        .fence;
  }

  NewRun new_run(const std::string& name = kShop, Operation operation = Operation::kDeploy) {
    return {.id = random_.run_id(now_),
            .workspace = WorkspaceName(name),
            .operation = operation,
            .requested_by = "uid:0",
            .definition = definition("v1"),
            .created_at = now_};
  }

  Run given_queued(const std::string& name = kShop, Operation operation = Operation::kDeploy) {
    return must(await(store().enqueue(new_run(name, operation), WhenBusy::kSupersede)));
  }

  ClaimRequest claim_request() {
    return {.instance = InstanceId("host-1"),
            .incarnation = Incarnation("first"),
            .claim = claim_id(),
            .now = now_};
  }

  std::optional<ClaimedRun> claim() { return must(await(store().claim_next(claim_request()))); }

  // A run of `name` whose first attempt has been claimed.
  ClaimedRun given_running(const std::string& name = kShop,
                           Operation operation = Operation::kDeploy) {
    given_queued(name, operation);
    return claim().value();
  }

  InterruptionOutcome interrupt(const AttemptFence& fence, std::int64_t heartbeat_seq = 0) {
    return must(
        await(store().interrupt_attempt(std::nullopt, interruption(fence, heartbeat_seq), now_)));
  }
  static Interruption interruption(const AttemptFence& fence, std::int64_t heartbeat_seq = 0) {
    return {.run = fence.run,
            .attempt = fence.attempt,
            .heartbeat_seq = heartbeat_seq,
            .reason = "its guard is dead"};
  }

  // A failure that offers another attempt.
  AttemptResult passing_failure(Duration delay = std::chrono::seconds(2)) const {
    return {.status = RunStatus::kFailed,
            .exit_code = 1,
            .error = "plan: connection refused",
            .retry = RetryOffer{.at = now_ + delay, .announcement = "trying again in 2s\n"}};
  }

  // A run whose first attempt has failed, and that waits for the next.
  Run given_waiting(Operation operation = Operation::kDeploy, Trigger trigger = Trigger::kManual) {
    given_workspace();
    NewRun wanted = new_run(kShop, operation);
    wanted.trigger = trigger;
    must(await(store().enqueue(wanted, WhenBusy::kSupersede)));
    const ClaimedRun running = claim().value();
    must(await(store().finish_attempt(running.fence, passing_failure(), now_)));
    return run(running.run.id);
  }

  std::optional<ClaimedRun> claim_at(Instant at, std::vector<RunId> passed_over = {}) {
    ClaimRequest request = claim_request();
    request.now = at;
    request.passed_over = std::move(passed_over);
    return must(await(store().claim_next(request)));
  }

  static StateSlot slot(const std::string& name = kShop) {
    return {.workspace = WorkspaceName(name), .job = ""};
  }
  StateLock lock(const std::string& id) const {
    return {.id = id, .info_json = "{\"ID\":\"" + id + "\"}", .created_at = now_};
  }
  static StateMeta meta(std::int64_t serial, const std::string& lineage = "lineage-1") {
    return {.lineage = lineage,
            .serial = serial,
            .sha256 = "hash-" + lineage + "-" + std::to_string(serial),
            .resources = serial};
  }
  static std::string body(std::int64_t serial) {
    return "{\"serial\":" + std::to_string(serial) + "}";
  }

  // Locks as the attempt and writes state `serial`.
  StateVersion given_state(const AttemptFence& fence, std::int64_t serial) {
    EXPECT_FALSE(must(await(store().lock_state(slot(), fence, lock("lock-1")))));
    return must(
        await(store().write_state(slot(), fence, "lock-1", meta(serial), body(serial), "", now_)));
  }

  // A workspace of the file-based version; a deployed one brings state 3.
  ImportRequest::Item import_item(const std::string& name, WorkspaceStatus status) const {
    ImportRequest::Item item{.publication = publication(name),
                             .workspace = {.bundle = "content of v1", .status = status}};
    if (status == WorkspaceStatus::kDeployed) {
      item.workspace.last_deployed = now_ - std::chrono::hours(24);
      item.workspace.state = ImportedState{meta(3), body(3)};
    }
    return item;
  }
  std::vector<ImportOutcome> imported(std::vector<ImportRequest::Item> items,
                                      bool dry_run = false) {
    return must(await(store().import_installation(
        {.items = std::move(items), .source = "/old at noon", .dry_run = dry_run}, now_)));
  }
  std::string imported_from() { return must(await(store().imported_from())); }

  Workspace shop() { return must(await(store().workspace(WorkspaceName(kShop)))); }
  Run run(const RunId& id) { return must(await(store().run(id))); }

  WorkspaceView shop_view(std::vector<WorkspaceName> neighbours = {}) {
    return must(await(
        store().view({.workspace = WorkspaceName(kShop), .neighbours = std::move(neighbours)})));
  }
  ScheduleCursor shop_cursor() { return shop_view().cursor; }

  // A plan that moves the cursor by `minutes` and records a deploy at that instant.
  PlanCommit plan(int minutes, Outcome what = Outcome::kNoChange) {
    const ScheduleCursor present = shop_cursor();
    const Instant at = present.cursor + std::chrono::minutes(minutes);
    return {.workspace = present.workspace,
            .config_version = present.config_version,
            .new_cursor = at,
            .occurrences = {occurrence(at, what)}};
  }
  static Occurrence occurrence(Instant at, Outcome what = Outcome::kNoChange) {
    return {.workspace = WorkspaceName(kShop),
            .schedule = "deploy_schedule",
            .at = at,
            .until = at,
            .local_time = format_rfc3339(at),
            .outcome = what,
            .reason = "because"};
  }
  PlanCommit firing_plan(int minutes) {
    PlanCommit fires = plan(minutes, Outcome::kFired);
    fires.run = new_run();
    fires.run->trigger = Trigger::kSchedule;
    fires.run->scheduled_for = fires.new_cursor;
    return fires;
  }
  // Late enough for every plan of a test.
  Instant later() const { return now_ + std::chrono::hours(24 * 365); }

  Instant now_ = *parse_rfc3339("2026-11-23T08:00:00.123456Z");
  boost::asio::io_context loop_;
  SystemRandom random_;
  StoreOpener open_;
  std::unique_ptr<Store> store_;
};

}  // namespace provisioner
