// The one who leads is killed, stopped, paused or cut off; its lease or key is taken away.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/chaos/failover/failover.hpp"
#include "tests/support/eventually.hpp"

namespace provisioner::testing {
namespace {

using namespace std::chrono_literals;

TEST_F(Failover, TheLeadersDaemonIsKilled) {
  for (int i = 0; i < often(); ++i) {
    leads_anew_after([&](int leader) { cluster_->kill_daemon(leader); });
  }
}

TEST_F(Failover, TheLeaderIsKilledWithItsParent) {
  for (int i = 0; i < often(); ++i) {
    int old = -1;
    leads_anew_after([&](int leader) { cluster_->kill_with_parent(old = leader); });
    cluster_->start(old);
  }
}

TEST_F(Failover, TheLeaderIsStoppedInGoodOrder) {
  for (int i = 0; i < often(); ++i) {
    int old = -1;
    leads_anew_after([&](int leader) { EXPECT_EQ(cluster_->stop(old = leader), 0); });
    cluster_->start(old);
  }
}

// That it writes nothing when it wakes up, the recorder judges.
TEST_F(Failover, TheLeaderIsPausedForThreeLeases) {
  for (int i = 0; i < rounds(); ++i) {
    int old = -1;
    const auto end = std::chrono::steady_clock::now() + 3 * kTtl;
    leads_anew_after([&](int leader) { cluster_->pause(old = leader); });
    EXPECT_NE(leader_, old);
    std::this_thread::sleep_until(end);
    const std::size_t said = cluster_->log(old).size();
    cluster_->resume(old);
    EXPECT_TRUE(eventually(kPatience, [&] {
      return cluster_->log(old).find("not leading: ", said) != std::string::npos;
    }));
    work_goes_on();
  }
}

TEST_F(Failover, TheLeaderIsCutOffEtcd) {
  for (int i = 0; i < rounds(); ++i) {
    int old = -1;
    leads_anew_after([&](int leader) { cluster_->cut_etcd(old = leader); });
    EXPECT_NE(leader_, old);
    cluster_->heal(old);
  }
}

TEST_F(Failover, TheLeaderIsCutOffPostgres) {
  for (int i = 0; i < rounds(); ++i) {
    int old = -1;
    leads_anew_after([&](int leader) { cluster_->cut_postgres(old = leader); });
    EXPECT_NE(leader_, old);
    cluster_->heal(old);
  }
}

TEST_F(Failover, TheLeaseIsRevokedByHand) {
  for (int i = 0; i < rounds(); ++i) {
    leads_anew_after([&](int) {
      const Json key = Json::parse(
          cluster_->etcd().etcdctl({"get", "--prefix", "/provisioner/election/", "--sort-by",
                                    "CREATE", "--order", "ASCEND", "--limit", "1", "-w", "json"}));
      cluster_->etcd().etcdctl(
          {"lease", "revoke", fmt::format("{:x}", key["kvs"][0]["lease"].get<std::int64_t>())});
    });
  }
}

TEST_F(Failover, TheElectionsKeyIsDeletedByHand) {
  for (int i = 0; i < rounds(); ++i) {
    leads_anew_after([&](int) {
      const std::string out =
          cluster_->etcd().etcdctl({"get", "--prefix", "/provisioner/election/", "--keys-only",
                                    "--sort-by", "CREATE", "--order", "ASCEND", "--limit", "1"});
      cluster_->etcd().etcdctl({"del", out.substr(0, out.find('\n'))});
    });
  }
}

}  // namespace
}  // namespace provisioner::testing
