// The manifests, as `kubectl kustomize` renders them: that their parts fit together, to the
// program, and to what was promised about them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "config/settings.hpp"
#include "tests/e2e/deploy/manifests.hpp"
#include "tests/support/daemon.hpp"

namespace provisioner::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// Whether whoever wears `labels` is selected.
bool selects(const Json& selector, const Json& labels) {
  return !selector.empty() && std::ranges::all_of(selector.items(), [&](const auto& wanted) {
    return labels.contains(wanted.key()) && labels[wanted.key()] == wanted.value();
  });
}

bool is_setting(const std::string& variable) {
  return std::ranges::find(setting_table(), std::string_view(variable), &SettingInfo::variable) !=
         setting_table().end();
}

// Those of a pod: the image's, then the manifests', then a secret's.
LoadedSettings settings_of(const Manifests& manifests) {
  Environment all = image_environment();
  for (const auto& [name, value] : manifests.environment()) all[name] = value;
  all["DATABASE_PASSWORD"] = "secret";
  auto loaded = load_settings({.flags = {}, .environment = all, .host_name = "", .cores = 2});
  if (!loaded) throw std::runtime_error(loaded.error().message);
  return *loaded;
}

class EveryOverlay : public ::testing::TestWithParam<const char*> {
 protected:
  Manifests manifests_{GetParam()};
};

INSTANTIATE_TEST_SUITE_P(Kubernetes, EveryOverlay,
                         ::testing::Values("base", "overlays/production", "overlays/monitored",
                                           "overlays/development"),
                         [](const auto& parameter) {
                           const std::string directory = parameter.param;
                           return directory.substr(directory.find('/') + 1);
                         });

TEST_P(EveryOverlay, SelectsItsPods) {
  const Json& labels = manifests_.labels();
  EXPECT_TRUE(selects(manifests_.the("StatefulSet")["spec"]["selector"]["matchLabels"], labels));
  const auto services = manifests_.of_kind("Service");
  EXPECT_EQ(services.size(), 2u);
  for (const auto& service : services) EXPECT_TRUE(selects(service["spec"]["selector"], labels));
  EXPECT_EQ(
      manifests_.the("Service",
                     manifests_.the("StatefulSet")["spec"]["serviceName"])["spec"]["clusterIP"],
      "None");
  for (const auto& budget : manifests_.of_kind("PodDisruptionBudget")) {
    EXPECT_TRUE(selects(budget["spec"]["selector"]["matchLabels"], labels));
  }
  for (const auto& policy : manifests_.of_kind("NetworkPolicy")) {
    EXPECT_TRUE(selects(policy["spec"]["podSelector"]["matchLabels"], labels));
  }
  for (const auto& monitor : manifests_.of_kind("ServiceMonitor")) {
    int watched = 0;
    for (const auto& service : services) {
      const Json& selector = monitor["spec"]["selector"]["matchLabels"];
      if (selects(selector, service["metadata"]["labels"])) ++watched;
    }
    EXPECT_EQ(watched, 1) << "each instance is scraped once";
  }
}

TEST_P(EveryOverlay, NamesPortsThatExist) {
  std::set<std::string> ports;
  for (const auto& port : manifests_.container()["ports"]) ports.insert(port["name"]);
  std::set<std::string> offered;
  for (const auto& service : manifests_.of_kind("Service")) {
    for (const auto& port : service["spec"]["ports"]) {
      EXPECT_TRUE(ports.contains(port["targetPort"])) << port;
      offered.insert(port["name"]);
    }
  }
  for (const char* probe : {"livenessProbe", "readinessProbe"}) {
    EXPECT_TRUE(ports.contains(manifests_.container()[probe]["httpGet"]["port"])) << probe;
  }
  for (const auto& monitor : manifests_.of_kind("ServiceMonitor")) {
    EXPECT_TRUE(offered.contains(monitor["spec"]["endpoints"][0]["port"]));
  }
}

TEST_P(EveryOverlay, SetsNothingButSettingsAndNothingWrong) {
  for (const auto& [name, value] : manifests_.environment()) {
    EXPECT_TRUE(is_setting(name)) << name << " is in no table of docs/settings.md";
  }
  const LoadedSettings loaded = settings_of(manifests_);
  EXPECT_EQ(loaded.warnings, std::vector<std::string>());
  EXPECT_EQ(loaded.settings.instance_id.value, "provisioner-0");
  EXPECT_TRUE(loaded.settings.shutdown.drain) << "runs end with the pod";
  // Each key of a secret that docs/kubernetes.md names is the program's, too.
  EXPECT_TRUE(is_setting("DATABASE_PASSWORD"));
  EXPECT_TRUE(is_setting("ETCD_PASSWORD"));
}

TEST_P(EveryOverlay, ListensOnThePortsOfThePod) {
  const Settings settings = settings_of(manifests_).settings;
  std::map<std::string, int> ports;
  for (const auto& port : manifests_.container()["ports"]) {
    ports[port["name"]] = port["containerPort"];
  }
  ASSERT_TRUE(settings.listen);
  EXPECT_EQ(settings.listen->host, "::");
  EXPECT_EQ(settings.listen->port, ports["http"]);
  const auto metrics = parse_listen_address(image_environment()["PROVISIONER_METRICS_LISTEN"]);
  ASSERT_TRUE(metrics && *metrics);
  EXPECT_EQ((*metrics)->port, ports["metrics"]);
  const bool probes_tls =
      manifests_.container()["readinessProbe"]["httpGet"].value("scheme", "HTTP") == "HTTPS";
  EXPECT_EQ(probes_tls, !settings.tls.cert.empty());
  EXPECT_EQ(manifests_.container()["livenessProbe"]["httpGet"].value("scheme", "HTTP") == "HTTPS",
            probes_tls);
}

TEST_P(EveryOverlay, GivesAPodTheTimeThatItTakesToStop) {
  const Settings settings = settings_of(manifests_).settings;
  const std::chrono::seconds grace(manifests_.pod()["terminationGracePeriodSeconds"].get<int>());
  EXPECT_GE(grace, settings.shutdown.timeout + std::chrono::seconds(30));
  EXPECT_GT(settings.shutdown.timeout, settings.shutdown.pause + 2 * settings.runs.stop_allowance);
}

TEST_P(EveryOverlay, ConfinesThePod) {
  const Json& pod = manifests_.pod();
  EXPECT_EQ(pod["automountServiceAccountToken"], false);
  EXPECT_EQ(manifests_.the("ServiceAccount")["automountServiceAccountToken"], false);
  EXPECT_EQ(pod["serviceAccountName"], manifests_.the("ServiceAccount")["metadata"]["name"]);
  EXPECT_EQ(pod["securityContext"]["runAsNonRoot"], true);
  EXPECT_EQ(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
  const Json& context = manifests_.container()["securityContext"];
  EXPECT_EQ(context["readOnlyRootFilesystem"], true);
  EXPECT_EQ(context["allowPrivilegeEscalation"], false);
  EXPECT_EQ(context["capabilities"]["drop"], Json::array({"ALL"}));

  std::set<std::string> writable;
  std::set<std::string> volumes = {"state"};
  for (const auto& volume : pod["volumes"]) volumes.insert(volume["name"]);
  for (const auto& mount : manifests_.container()["volumeMounts"]) {
    EXPECT_TRUE(volumes.contains(mount["name"])) << mount;
    if (!mount.value("readOnly", false)) writable.insert(mount["mountPath"]);
  }
  const Settings settings = settings_of(manifests_).settings;
  for (const auto& needed : {settings.state_dir, settings.log_dir, std::filesystem::path("/tmp")}) {
    EXPECT_TRUE(writable.contains(needed)) << needed << " would be read-only";
  }
  EXPECT_EQ(manifests_.the("StatefulSet")["spec"]["volumeClaimTemplates"][0]["metadata"]["name"],
            "state");
}

TEST_P(EveryOverlay, HoldsNoSecretAndNoImageThatMayChange) {
  EXPECT_TRUE(manifests_.of_kind("Secret").empty());
  for (const auto& [name, value] : manifests_.environment()) {
    EXPECT_THAT(name, Not(HasSubstr("PASSWORD")));
    EXPECT_THAT(name, Not(HasSubstr("TOKEN")));
  }
  const std::string version = run_program({built("provisioner"), "version"}).out;
  const std::string image = manifests_.container()["image"];
  const std::string tag = image.substr(image.rfind(':') + 1);
  EXPECT_THAT(version, HasSubstr(tag)) << image;
  EXPECT_NE(tag, "latest");
}

TEST(Kubernetes, RunsThreeInstancesOnThreeHostsAndEvictsOneAtATime) {
  for (const char* directory : {"base", "overlays/production", "overlays/monitored"}) {
    const Manifests manifests(directory);
    EXPECT_EQ(manifests.the("StatefulSet")["spec"]["replicas"], 3);
    EXPECT_EQ(manifests.the("PodDisruptionBudget")["spec"]["minAvailable"], 2);
    const Json& apart = manifests.pod()["affinity"]["podAntiAffinity"]
                                       ["requiredDuringSchedulingIgnoredDuringExecution"][0];
    EXPECT_EQ(apart["topologyKey"], "kubernetes.io/hostname");
    EXPECT_TRUE(selects(apart["labelSelector"]["matchLabels"], manifests.labels()));
    EXPECT_EQ(manifests.of_kind("NetworkPolicy").size(), 1u);
    const Settings settings = settings_of(manifests).settings;
    EXPECT_EQ(settings.election.backend, "etcd");
    EXPECT_EQ(settings.etcd.endpoints.size(), 3u);
    EXPECT_FALSE(settings.database.host.empty());
  }
}

TEST(Kubernetes, HasThePortsProbesAndResourcesThatWereAskedFor) {
  const Manifests manifests("base");
  const Json& container = manifests.container();
  EXPECT_EQ(container["ports"], Json::parse(R"([{"name": "http", "containerPort": 8080},
                                                {"name": "metrics", "containerPort": 9090}])"));
  EXPECT_EQ(container["livenessProbe"]["httpGet"]["path"], "/health");
  EXPECT_EQ(container["livenessProbe"]["initialDelaySeconds"], 30);
  EXPECT_EQ(container["livenessProbe"]["periodSeconds"], 10);
  EXPECT_EQ(container["readinessProbe"]["httpGet"]["path"], "/ready");
  EXPECT_EQ(container["readinessProbe"]["initialDelaySeconds"], 5);
  EXPECT_EQ(container["readinessProbe"]["periodSeconds"], 5);
  EXPECT_EQ(container["resources"], Json::parse(R"({"requests": {"memory": "256Mi", "cpu": "250m"},
                            "limits": {"memory": "512Mi", "cpu": "500m"}})"));
  const Json& service = manifests.the("Service", "provisioner")["spec"];
  EXPECT_EQ(service["type"], "LoadBalancer");
  EXPECT_EQ(service["ports"], Json::parse(R"([{"name": "http", "port": 80, "targetPort": "http"},
                                {"name": "metrics", "port": 9090, "targetPort": "metrics"}])"));
}

TEST(Kubernetes, NeedsNeitherServersNorSecretsForDevelopment) {
  const Manifests manifests("overlays/development");
  EXPECT_EQ(manifests.the("StatefulSet")["spec"]["replicas"], 1);
  EXPECT_EQ(manifests.the("PodDisruptionBudget")["spec"]["minAvailable"], 0);
  EXPECT_EQ(manifests.the("NetworkPolicy")["spec"]["egress"], Json::parse("[{}]"));
  for (const auto& from : manifests.container()["envFrom"]) {
    if (from.contains("secretRef")) {
      EXPECT_EQ(from["secretRef"]["optional"], true);
    }
  }
  const Settings settings = settings_of(manifests).settings;
  EXPECT_TRUE(settings.database.host.empty());
  EXPECT_EQ(settings.election.backend, "single");
}

}  // namespace
}  // namespace provisioner::testing
