#include "tests/contract/store/store_contract.hpp"

namespace provisioner {
namespace {

TEST_P(StoreContract, Templates_ATemplateIsKeptAsItWasPut) {
  const Template web = given_template("web", "v1");
  EXPECT_EQ(web.version, Version(1));
  given_template("api", "v1");
  reopen();
  EXPECT_EQ(must(await(store().template_named(web.name))), web);
  const auto all = must(await(store().templates()));
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[0].name.value, "api");
  EXPECT_EQ(all[1], web);
  const auto unknown = await(store().template_named(TemplateName("db")));
  ASSERT_EQ(outcome(unknown), "not_found");
  EXPECT_EQ(unknown.error().message, "there is no template db");
}

TEST_P(StoreContract, Templates_ANameIsTakenOnce) {
  Template again = given_template("web", "v1");
  again.version = Version(0);
  EXPECT_EQ(outcome(await(store().put_template(again))), "conflict");
}

TEST_P(StoreContract, Templates_OfTwoWhoUpdateAtOnceNoneLosesTheOthersWrite) {
  const Template seen = given_template("web", "v1");
  const Template updated = updated_template(seen, "v2");
  EXPECT_EQ(updated.version, Version(2));
  EXPECT_EQ(outcome(await(store().put_template(seen))), "version_conflict");
  EXPECT_EQ(must(await(store().template_named(seen.name))), updated);
}

TEST_P(StoreContract, Templates_AnUpdateOfARemovedTemplateDoesNotBringItBack) {
  const Template web = given_template("web", "v1");
  must(await(store().remove_template(web.name)));
  EXPECT_EQ(outcome(await(store().put_template(web))), "not_found");
  EXPECT_EQ(outcome(await(store().remove_template(web.name))), "not_found");
  EXPECT_TRUE(must(await(store().templates())).empty());
}

TEST_P(StoreContract, Templates_ContentIsStoredBeforeItIsNamed) {
  Template web{.name = TemplateName("web"), .bundle = BundleHash("nowhere")};
  EXPECT_EQ(outcome(await(store().put_template(web))), "invalid");
}

TEST_P(StoreContract, Templates_PruningKeepsTheContentOfATemplateUntilItIsAnotherOne) {
  const Template web = given_template("web", "v1");
  const auto has = [&](const char* content) {
    return outcome(await(store().bundle(BundleHash(std::string("bundle-") + content)))) == "ok";
  };
  const auto prune_at = [&](int day) {
    must(await(store().prune({}, now_ + std::chrono::hours(24 * day))));
  };
  prune_at(0);
  prune_at(1);
  EXPECT_TRUE(has("v1"));
  updated_template(web, "v2");
  prune_at(2);
  prune_at(3);
  EXPECT_FALSE(has("v1"));
  EXPECT_TRUE(has("v2"));
  must(await(store().remove_template(web.name)));
  prune_at(4);
  prune_at(5);
  EXPECT_FALSE(has("v2"));
}

TEST_P(StoreContract, Templates_AWorkspaceRemembersWhatItWasMadeFrom) {
  const Template web = given_template("web", "v1");
  EXPECT_EQ(publishing(made_from_template(web, "f1")), "ok");
  reopen();
  EXPECT_EQ(shop().template_name, "web");
  EXPECT_EQ(shop().template_bundle, web.bundle);
  EXPECT_EQ(reported_content(shop()), "folder-f1");
  EXPECT_EQ(shop().current.bundle.value, made_bundle("f1", "v1"));
}

TEST_P(StoreContract, Templates_AFolderThatSaysTheSameFollowsItsTemplate) {
  const Template web = given_template("web", "v1");
  EXPECT_EQ(publishing(made_from_template(web, "f1")), "ok");
  const auto before = shop_cursor().config_version;
  const Template updated = updated_template(web, "v2");
  EXPECT_EQ(publishing(made_from_template(updated, "f1")), "ok");
  EXPECT_EQ(shop().current.bundle.value, made_bundle("f1", "v2"));
  EXPECT_GT(shop_cursor().config_version, before);
  // Every instance says so.
  const Workspace row = shop();
  EXPECT_EQ(publishing(made_from_template(updated, "f1")), "ok");
  EXPECT_EQ(shop(), row);
}

TEST_P(StoreContract, Templates_WhoHasNotSeenAnUpdateDoesNotTakeItBack) {
  const Template web = given_template("web", "v1");
  EXPECT_EQ(publishing(made_from_template(web, "f1")), "ok");
  const Publication stale =
      made_from_template(web, "f2", "host-2");  // even with news of its folder
  const Template updated = updated_template(web, "v2");
  EXPECT_EQ(publishing(made_from_template(updated, "f1")), "ok");
  EXPECT_EQ(publishing(stale), "version_conflict");
  EXPECT_EQ(shop().current.bundle.value, made_bundle("f1", "v2"));
  EXPECT_EQ(publishing(made_from_template(updated, "f2", "host-2")), "ok")
      << "it was not counted as said";
  EXPECT_EQ(shop().current.bundle.value, made_bundle("f2", "v2"));
}

TEST_P(StoreContract, Templates_AnUpdateDoesNotBringAnOlderFolderBack) {
  const Template web = given_template("web", "v1");
  EXPECT_EQ(publishing(made_from_template(web, "old", "host-1")), "ok");
  EXPECT_EQ(publishing(made_from_template(web, "new", "host-2")), "ok");
  const Template updated = updated_template(web, "v2");
  EXPECT_EQ(publishing(made_from_template(updated, "old", "host-1")), "ok");
  EXPECT_EQ(shop().current.bundle.value, made_bundle("new", "v1")) << "host-2 comes to say it";
  EXPECT_EQ(publishing(made_from_template(updated, "new", "host-2")), "ok");
  EXPECT_EQ(shop().current.bundle.value, made_bundle("new", "v2"));
}

TEST_P(StoreContract, Templates_AVanishedFolderKeepsItsContentWhateverItsTemplateBecomes) {
  const Template web = given_template("web", "v1");
  EXPECT_EQ(publishing(made_from_template(web, "f1", "host-1")), "ok");
  EXPECT_EQ(publishing(made_from_template(web, "f1", "host-2")), "ok");
  vanish("host-1");
  const Template updated = updated_template(web, "v2");
  EXPECT_EQ(publishing(made_from_template(updated, "f1", "host-2")), "ok");
  EXPECT_TRUE(shop().detached);
  EXPECT_EQ(shop().current.bundle.value, made_bundle("f1", "v1"));
}

TEST_P(StoreContract, Templates_ARemovedTemplateMakesNoContent) {
  const Template web = given_template("web", "v1");
  const Publication made = made_from_template(web, "f1");
  must(await(store().remove_template(web.name)));
  EXPECT_EQ(publishing(made), "version_conflict");
  EXPECT_EQ(outcome(await(store().workspace(WorkspaceName(kShop)))), "not_found");
}

TEST_P(StoreContract, Templates_AFolderMayStopUsingItsTemplate) {
  const Template web = given_template("web", "v1");
  EXPECT_EQ(publishing(made_from_template(web, "f1")), "ok");
  report("host-1", "own");
  EXPECT_EQ(shop().template_bundle, BundleHash());
  EXPECT_EQ(shop().folder_content, "");
  EXPECT_EQ(shop().current.bundle.value, "bundle-own");
}

}  // namespace
}  // namespace provisioner
