// etcd and PostgreSQL lose servers, sessions and time.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/chaos/failover/failover.hpp"
#include "tests/support/eventually.hpp"

namespace provisioner::testing {
namespace {

using namespace std::chrono_literals;

TEST_F(Failover, EtcdsLeaderIsKilled) {
  for (int i = 0; i < rounds(); ++i) {
    const int member = cluster_->etcd().leader();
    cluster_->etcd().kill(member);
    std::this_thread::sleep_for(kTtl);
    cluster_->etcd().start(member);
    somebody_leads();
    work_goes_on();
  }
}

// etcd's revisions go back, and it knows nothing of the present leader's session.
TEST_F(Failover, EtcdIsRestoredFromASnapshot) {
  const auto revision = [] {
    return Json::parse(cluster_->etcd().etcdctl({"get", "/", "-w", "json"}))["header"]["revision"]
        .get<std::int64_t>();
  };
  for (int i = 0; i < rounds(); ++i) {
    const auto snapshot = cluster_->etcd().take_snapshot();
    for (int k = 0; k < Cluster::kSize; ++k) {
      changes_leader([&](int leader) { cluster_->kill_daemon(leader); });
    }
    for (int k = 0; k < 20; ++k) cluster_->etcd().etcdctl({"put", "/elsewhere", "more"});
    const std::int64_t before = revision();
    leads_anew_after([&](int) { cluster_->etcd().restore(snapshot); });
    EXPECT_LT(revision(), before) << "it must go back for this to prove anything";
  }
}

TEST_F(Failover, PostgresIsRestarted) {
  for (int i = 0; i < rounds(); ++i) {
    cluster_->postgres().stop();
    cluster_->postgres().start();
    somebody_leads();
    work_goes_on();
  }
}

TEST_F(Failover, SessionsInPostgresAreTerminated) {
  for (int i = 0; i < 10 * rounds(); ++i) {
    cluster_->sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
        "AND pid <> pg_backend_pid() AND random() < 0.5");
    std::this_thread::sleep_for(100ms);
  }
  somebody_leads();
  work_goes_on();
}

}  // namespace
}  // namespace provisioner::testing
