// Several instances, each with its own copy of a folder: whose copy counts.
#include "tests/contract/store/store_contract.hpp"

namespace provisioner {
namespace {

TEST_P(StoreContract, Reports_TheNewestReportWins) {
  report("host-1", "v1");
  report("host-2", "v2");
  EXPECT_EQ(shop().current.bundle.value, "bundle-v2");
}

TEST_P(StoreContract, Reports_AnInstanceThatSaysTheSameAgainIsNotHeard) {
  report("host-1", "v1");
  report("host-2", "v2");
  // host-1 restarts, or leads now: its copy is the older one.
  EXPECT_EQ(report("host-1", "v1").current.bundle.value, "bundle-v2");
  EXPECT_EQ(shop().current.bundle.value, "bundle-v2");
}

TEST_P(StoreContract, Reports_AnInstanceThatSaysSomethingNewIsHeard) {
  report("host-1", "v1");
  report("host-2", "v2");
  report("host-1", "v3");
  EXPECT_EQ(shop().current.bundle.value, "bundle-v3");
}

TEST_P(StoreContract, Reports_AFolderVanishesOnlyWhereItWas) {
  report("host-1", "v1");
  vanish("host-2");
  EXPECT_FALSE(shop().detached) << "host-2 never had it";
  vanish("host-1");
  EXPECT_TRUE(shop().detached);
}

TEST_P(StoreContract, Reports_AVanishedFolderComesBackWithTheSameContent) {
  report("host-1", "v1");
  vanish("host-1");
  EXPECT_FALSE(report("host-1", "v1").detached);
}

TEST_P(StoreContract, Reports_WhoSaidTheSameBeforeTheFolderVanishedElsewhereDoesNotBringItBack) {
  report("host-1", "v1");
  report("host-2", "v1");
  vanish("host-1");
  EXPECT_TRUE(report("host-2", "v1").detached);
}

TEST_P(StoreContract, Reports_ARemovedWorkspaceIsReportedAnew) {
  report("host-1", "v1");
  must(await(store().remove_workspace(WorkspaceName(kShop), "uid:0", now_)));
  report("host-1", "v1");
  EXPECT_EQ(shop().current.bundle.value, "bundle-v1");
}

TEST_P(StoreContract, Reports_AreListedSoThatDisagreementCanBeShown) {
  report("host-1", "v1");
  report("host-2", "v2");
  vanish("host-1");
  const auto all = must(await(store().reports()));
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[0].content, "");
  EXPECT_EQ(all[1].content, content_of(shop().current));
  EXPECT_EQ(all[1].instance, InstanceId("host-2"));
  EXPECT_EQ(all[1].reported_at, now_);
}

}  // namespace
}  // namespace provisioner
