// Real daemons with the variables that a pod would have, only the addresses adapted: they start,
// answer the probes as the manifests ask, and stop in the time they are given.
#include <gtest/gtest.h>
#include <signal.h>

#include "tests/e2e/deploy/manifests.hpp"
#include "tests/support/ask.hpp"
#include "tests/support/daemon.hpp"
#include "tests/support/etcd.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/postgres.hpp"

namespace provisioner::testing {
namespace {

using namespace std::chrono_literals;

class Pod {
 public:
  explicit Pod(const Manifests& manifests) : manifests_(manifests) {
    installation.environment = image_environment();
    for (const auto& [name, value] : manifests.environment()) {
      installation.environment[name] = value;
    }
    installation.environment.erase("HOME");
    installation.environment["PROVISIONER_LISTEN"] = "127.0.0.1:" + std::to_string(port_);
    installation.environment["PROVISIONER_METRICS_LISTEN"] =
        "127.0.0.1:" + std::to_string(metrics_port_);
  }

  // The status of what a kubelet would ask.
  std::string probe(const char* which) const {
    return get(port_, manifests_.container()[which]["httpGet"]["path"]);
  }
  // Green within 60 s, and stopped with code 0 in less than the grace period.
  void lives_and_ends() {
    installation.launch();
    EXPECT_TRUE(eventually(60s, [&] { return probe("readinessProbe") == "200"; }))
        << installation.log();
    EXPECT_EQ(probe("livenessProbe"), "200");
    EXPECT_EQ(get(metrics_port_, "/metrics"), "200");
    const Json status = installation.query({"cluster", "status"});
    EXPECT_TRUE(eventually(60s, [&] {
      return installation.query({"cluster", "status"})["leader"] == "provisioner-0";
    })) << status;
    installation.daemon().signal(SIGTERM);
    EXPECT_EQ(installation.daemon().wait(60s), 0) << installation.log();
  }

  Installation installation;

 private:
  static std::string get(int port, const std::string& path) {
    return run_program({"curl", "--silent", "--max-time", "5", "--output", "/dev/null",
                        "--write-out", "%{http_code}",
                        "http://127.0.0.1:" + std::to_string(port) + path})
        .out;
  }

  const Manifests& manifests_;
  int port_ = free_port(), metrics_port_ = free_port();
};

TEST(Pod, OfDevelopmentServesOnTheEmbeddedStore) {
  const Manifests manifests("overlays/development");
  Pod pod(manifests);
  pod.lives_and_ends();
}

TEST(Pod, ServesOnEtcdAndPostgres) {
  const Manifests manifests("base");
  const EtcdCluster etcd;
  auto& postgres = PostgresServer::shared();
  Pod pod(manifests);
  auto& environment = pod.installation.environment;
  ASSERT_TRUE(environment.contains("ETCD_ENDPOINTS"));
  ASSERT_TRUE(environment.contains("DATABASE_HOST"));
  std::string endpoints = etcd.urls();
  for (std::size_t at = 0; (at = endpoints.find("http://")) != std::string::npos;) {
    endpoints.erase(at, 7);  // as in the manifests
  }
  environment["ETCD_ENDPOINTS"] = endpoints;
  environment["DATABASE_HOST"] = PostgresServer::kHost;
  environment["DATABASE_PORT"] = std::to_string(postgres.port());
  environment["DATABASE_NAME"] = postgres.take_database();
  environment["DATABASE_PASSWORD"] = PostgresServer::kPassword;
  ASSERT_EQ(environment["DATABASE_USER"], PostgresServer::kUser);
  pod.installation.environment["PROVISIONER_SHUTDOWN_PAUSE"] = "100ms";
  pod.lives_and_ends();
}

}  // namespace
}  // namespace provisioner::testing
