// An installation of the file-based version, taken over whole, again, or not at all.
#include "tests/contract/store/store_contract.hpp"

namespace provisioner {
namespace {

TEST_P(StoreContract, ImportsBringWorkspacesWithStateStatusAndCursor) {
  EXPECT_EQ(imported_from(), "");
  ImportRequest::Item shop_item = import_item(kShop, WorkspaceStatus::kDeployed);
  shop_item.workspace.mode = "busy";
  shop_item.workspace.lock_file = "provider locks";
  const auto outcomes = imported({shop_item, import_item("web", WorkspaceStatus::kDestroyed)});
  ASSERT_EQ(outcomes.size(), 2u);
  EXPECT_EQ(outcomes[0].fate, ImportFate::kAdded);
  EXPECT_EQ(outcomes[1].workspace, WorkspaceName("web"));

  EXPECT_EQ(imported_from(), "/old at noon");
  const Workspace w = shop();
  EXPECT_EQ(w.status, WorkspaceStatus::kDeployed);
  EXPECT_EQ(w.mode, "busy");
  EXPECT_EQ(w.deployed_mode, "busy");
  EXPECT_EQ(w.deployed, w.current) << "so that a destroy knows what to do";
  EXPECT_EQ(w.last_deployed, now_ - std::chrono::hours(24));
  EXPECT_FALSE(w.held);
  EXPECT_EQ(shop_cursor().cursor, now_);
  EXPECT_EQ(must(await(store().lock_file(WorkspaceName(kShop)))), "provider locks");
  const auto state = must(await(store().current_state(slot())));
  ASSERT_TRUE(state);
  EXPECT_EQ(state->meta, meta(3));
  EXPECT_EQ(state->written_by, "import");
  EXPECT_EQ(must(await(store().state_body(slot(), state->number))), body(3));
  const Workspace web = must(await(store().workspace(WorkspaceName("web"))));
  EXPECT_EQ(web.status, WorkspaceStatus::kDestroyed);
  EXPECT_FALSE(web.deployed);
}

TEST_P(StoreContract, ImportsOfWhatIsThereAlreadyChangeNothing) {
  const ImportRequest::Item item = import_item(kShop, WorkspaceStatus::kDeployed);
  imported({item});
  const Workspace first = shop();
  now_ += std::chrono::hours(1);
  const auto again = imported({item});
  EXPECT_EQ(again.at(0).fate, ImportFate::kUnchanged);
  EXPECT_EQ(shop(), first);
  EXPECT_EQ(must(await(store().state_versions(slot()))).size(), 1u);
}

TEST_P(StoreContract, ImportsOfAWorkspaceWithoutAFolderDetachItOnce) {
  ImportRequest::Item item = import_item(kShop, WorkspaceStatus::kDeployed);
  item.workspace.has_content = false;
  item.workspace.detached = true;
  item.workspace.hold_reason = "it has no folder";
  imported({item});
  const Workspace first = shop();
  EXPECT_TRUE(first.detached);
  EXPECT_FALSE(first.deployed) << "nobody has what was deployed";
  EXPECT_EQ(imported({item}).at(0).fate, ImportFate::kUnchanged);
  EXPECT_EQ(shop(), first);
}

TEST_P(StoreContract, ImportsBringTemplatesAndHowJobsFared) {
  Job report{.workspace = WorkspaceName(kShop), .name = JobName("report"), .cursor = now_};
  report.status = JobStatus::kFailed;
  report.last_run = now_ - std::chrono::hours(1);
  report.last_error = "exit status 3";
  report.last_exit_code = 3;
  report.run_count = 7;
  report.success_count = 5;
  report.failure_count = 2;
  ImportRequest::Item item = import_item(kShop, WorkspaceStatus::kDeployed);
  item.workspace.jobs = {report};
  Template web{.name = TemplateName("web"), .bundle = BundleHash("bundle-web")};
  web.source.path = "web";
  web.created_at = web.updated_at = now_;
  const ImportRequest request{
      .templates = {{.row = web, .content = "content of web"}}, .items = {item}, .source = "/old"};
  must(await(store().import_installation(request, now_)));
  EXPECT_EQ(must(await(store().jobs(WorkspaceName(kShop)))), std::vector<Job>{report});
  const auto made = must(await(store().template_named(TemplateName("web"))));
  EXPECT_EQ(made.source.path, "web");
  EXPECT_EQ(must(await(store().bundle(made.bundle))), "content of web");
  const auto again = must(await(store().import_installation(request, now_)));
  EXPECT_EQ(again.at(0).fate, ImportFate::kUnchanged);
  EXPECT_EQ(must(await(store().template_named(TemplateName("web")))), made);
}

TEST_P(StoreContract, ImportsBringWhatChangedSinceTheLastOne) {
  imported({import_item(kShop, WorkspaceStatus::kPending)});
  now_ += std::chrono::hours(1);
  EXPECT_EQ(imported({import_item(kShop, WorkspaceStatus::kDeployed)}).at(0).fate,
            ImportFate::kChanged);
  EXPECT_EQ(shop().status, WorkspaceStatus::kDeployed);
  EXPECT_EQ(shop_cursor().cursor, now_);
  ImportRequest::Item newer = import_item(kShop, WorkspaceStatus::kDeployed);
  newer.workspace.state = ImportedState{meta(4), body(4)};
  EXPECT_EQ(imported({newer}).at(0).fate, ImportFate::kChanged);
  EXPECT_EQ(must(await(store().current_state(slot())))->meta.serial, 4);
  EXPECT_EQ(must(await(store().state_versions(slot()))).size(), 2u);
}

TEST_P(StoreContract, ImportsTriedOutSayTheSameAndKeepNothing) {
  const auto tried = imported({import_item(kShop, WorkspaceStatus::kDeployed)}, true);
  EXPECT_EQ(tried.at(0).fate, ImportFate::kAdded);
  EXPECT_EQ(imported_from(), "");
  EXPECT_EQ(outcome(await(store().workspace(WorkspaceName(kShop)))), "not_found");
  EXPECT_EQ(outcome(await(store().bundle(definition("v1").bundle))), "not_found");
}

TEST_P(StoreContract, ImportsLeaveAloneWhatRunsHaveWorkedOn) {
  imported({import_item(kShop, WorkspaceStatus::kDestroyed)});
  const ClaimedRun running = given_running();
  must(await(store().finish_attempt(running.fence, {.status = RunStatus::kSucceeded}, now_)));
  const Workspace worked_on = shop();
  const auto again = imported({import_item(kShop, WorkspaceStatus::kDestroyed)});
  EXPECT_EQ(again.at(0).fate, ImportFate::kKept);
  EXPECT_NE(again.at(0).reason, "");
  EXPECT_EQ(shop(), worked_on);
}

TEST_P(StoreContract, ImportsLeaveAloneAStateThatSomebodyElseWrote) {
  given_workspace();
  must(await(store().push_state(slot(), meta(9), body(9), "uid:0 (push)", now_)));
  const auto outcomes = imported({import_item(kShop, WorkspaceStatus::kDeployed)});
  EXPECT_EQ(outcomes.at(0).fate, ImportFate::kKept);
  EXPECT_EQ(must(await(store().current_state(slot())))->meta.serial, 9);
}

TEST_P(StoreContract, ImportsHoldUntilThatIsEndedByAPersonOrItsReasonIsGone) {
  ImportRequest::Item held = import_item(kShop, WorkspaceStatus::kDeployed);
  held.workspace.hold_reason = "enabled is absent";
  imported({held});
  EXPECT_TRUE(shop().held);
  EXPECT_EQ(shop().hold_reason, "import: enabled is absent");
  Workspace released = shop();
  released.held = false;
  released.hold_reason.clear();
  must(await(store().update_workspace(released, now_)));
  EXPECT_EQ(imported({held}).at(0).fate, ImportFate::kUnchanged);
  EXPECT_FALSE(shop().held);

  ImportRequest::Item web = held;
  web.publication.workspace = WorkspaceName("web");
  imported({web});
  web.workspace.hold_reason.clear();
  web.publication.definition = definition("v2");
  web.workspace.bundle = "content of v2";
  EXPECT_EQ(imported({web}).at(0).fate, ImportFate::kChanged);
  EXPECT_FALSE(must(await(store().workspace(WorkspaceName("web")))).held);
}

TEST_P(StoreContract, ImportsAreWholeOrNotAtAll) {
  given_workspace("web");
  must(await(store().lock_state(slot("web"), std::nullopt, lock("a person's"))));
  const Result<std::vector<ImportOutcome>> refused =
      await(store().import_installation({.items = {import_item(kShop, WorkspaceStatus::kDeployed),
                                                   import_item("web", WorkspaceStatus::kDeployed)},
                                         .source = "/old"},
                                        now_));
  EXPECT_EQ(outcome(refused), "conflict");
  EXPECT_EQ(outcome(await(store().workspace(WorkspaceName(kShop)))), "not_found");
  EXPECT_EQ(imported_from(), "");
}

}  // namespace
}  // namespace provisioner
