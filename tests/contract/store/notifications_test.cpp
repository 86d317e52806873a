#include <map>
#include <set>

#include "tests/contract/store/store_contract.hpp"

namespace provisioner {
namespace {

using Topic = Change::Topic;

// What was announced so far; the loop may still hold the rest.
class Heard {
 public:
  explicit Heard(Store& store)
      : subscription_(store.subscribe([this](const Change& c) {
          all_.emplace(c.topic, c.key);
          if (!c.workspace.empty()) workspaces_[c.key] = c.workspace;
        })) {}

  bool of(Topic topic, const std::string& key) const { return all_.contains({topic, key}); }
  bool empty() const { return all_.empty(); }
  std::string workspace_of(const RunId& run) { return workspaces_[run.value]; }
  void forget() { all_.clear(); }
  void stop() { subscription_.reset(); }

 private:
  std::set<std::pair<Topic, std::string>> all_;
  std::map<std::string, std::string> workspaces_;
  Store::Subscription subscription_;
};

TEST_P(StoreContract, NotificationsTellOfWhatWasCommitted) {
  Heard heard(store());
  given_workspace();
  settle();
  EXPECT_TRUE(heard.of(Topic::kWorkspace, kShop));
  const Run queued = given_queued();
  settle();
  EXPECT_TRUE(heard.of(Topic::kRun, queued.id.value));
  EXPECT_EQ(heard.workspace_of(queued.id), kShop);
  heard.forget();
  const ClaimedRun running = claim().value();
  settle();
  EXPECT_TRUE(heard.of(Topic::kRun, queued.id.value));
  EXPECT_TRUE(heard.of(Topic::kWorkspace, kShop));
  must(await(store().append_log(running.fence, 0, "line\n")));
  settle();
  EXPECT_TRUE(heard.of(Topic::kLog, queued.id.value));
  must(await(store().request_cancel(queued.id, now_)));
  settle();
  EXPECT_TRUE(heard.of(Topic::kCancel, queued.id.value));
  given_leader("host-7");
  settle();
  EXPECT_TRUE(heard.of(Topic::kLeadership, "host-7"));
}

TEST_P(StoreContract, NotificationsTellOfTemplates) {
  Heard heard(store());
  must(await(store().put_bundle(BundleHash("b"), "content")));
  const Template web{.name = TemplateName("web"), .bundle = BundleHash("b")};
  must(await(store().put_template(web)));
  settle();
  EXPECT_TRUE(heard.of(Topic::kTemplate, "web"));
  heard.forget();
  must(await(store().remove_template(web.name)));
  settle();
  EXPECT_TRUE(heard.of(Topic::kTemplate, "web"));
}

TEST_P(StoreContract, NotificationsAreSilentAboutHeartbeatsReadsAndRefusals) {
  given_workspace();
  const ClaimedRun running = given_running();
  settle();
  Heard heard(store());
  must(await(store().heartbeat(running.fence, now_)));
  must(await(store().runs({})));
  must(await(store().put_bundle(definition("v1").bundle, "again")));
  must(await(store().publish(publication(kShop), now_)));
  EXPECT_EQ(outcome(await(store().enqueue(new_run(), WhenBusy::kRefuse))), "conflict");
  EXPECT_EQ(outcome(await(store().commit_plan({}, firing_plan(1), later()))), "fenced");
  // Superseding is undone when the plan that did it fails later.
  given_queued();
  settle();
  heard.forget();
  PlanCommit doomed = firing_plan(1);
  doomed.run->definition = definition("v9");
  EXPECT_EQ(outcome(await(store().commit_plan(given_leader(), doomed, later()))), "invalid");
  settle();
  EXPECT_FALSE(heard.of(Topic::kRun, doomed.run->id.value));
  EXPECT_FALSE(heard.of(Topic::kWorkspace, kShop));
}

TEST_P(StoreContract, NotificationsComeAfterTheCommit) {
  given_workspace();
  settle();
  // A listener that looks at once finds what it was told of.
  std::string status;
  RunId id = random_.run_id(now_);
  const auto subscription = store().subscribe([&](const Change& change) {
    if (change.topic != Topic::kRun) return;
    boost::asio::co_spawn(loop_, store().run(RunId(change.key)),
                          [&](std::exception_ptr, Result<Run> found) { status = outcome(found); });
  });
  NewRun wanted = new_run();
  wanted.id = id;
  must(await(store().enqueue(wanted, WhenBusy::kRefuse)));
  ASSERT_TRUE(turn_until([&] { return !status.empty(); }));
  EXPECT_EQ(status, "ok");
}

TEST_P(StoreContract, NotificationsEndWithTheSubscription) {
  Heard heard(store());
  heard.stop();
  given_workspace();
  settle();
  EXPECT_TRUE(heard.empty());
}

TEST_P(StoreContract, NotificationsMayEndInsideAListener) {
  int told = 0;
  Store::Subscription own;
  own = store().subscribe([&](const Change&) {
    ++told;
    own.reset();
  });
  given_workspace("a");
  given_workspace("b");
  settle();
  EXPECT_EQ(told, 1);
}

}  // namespace
}  // namespace provisioner
