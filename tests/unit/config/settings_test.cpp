#include "config/settings.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/temp_directory.hpp"

namespace provisioner {
namespace {

using namespace std::chrono_literals;
using provisioner::testing::read_file;
using provisioner::testing::TempDirectory;
using provisioner::testing::write_file;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class SettingsTest : public ::testing::Test {
 protected:
  SettingsTest() {
    sources_.environment["PROVISIONER_CONFIG_DIR"] = directory_.path().string();
    sources_.host_name = "host-1";
    sources_.cores = 3;
  }
  std::string file() const { return (directory_.path() / "provisioner.toml").string(); }
  void write(std::string_view text) { write_file(file(), text); }
  Settings load() {
    auto loaded = load_settings(sources_);
    EXPECT_TRUE(loaded) << loaded.error().message;
    return loaded ? std::move(loaded->settings) : Settings{};
  }
  std::string error() {
    const auto loaded = load_settings(sources_);
    EXPECT_FALSE(loaded);
    return loaded ? "" : loaded.error().message;
  }
  SettingOrigin origin(const std::string& key) {
    for (const auto& each : load_settings(sources_)->origins) {
      if (each.key == key) return each;
    }
    return {};
  }

  TempDirectory directory_;
  SettingSources sources_;
};

TEST_F(SettingsTest, WithoutAFileTheDefaultsHold) {
  const auto settings = load();
  EXPECT_EQ(settings.config_dir, directory_.path());
  EXPECT_EQ(settings.state_dir, "/var/lib/provisioner");
  EXPECT_EQ(settings.workspaces_dir, directory_.path() / "workspaces");
  EXPECT_EQ(settings.listen, (ListenAddress{"127.0.0.1", 8080}));
  EXPECT_EQ(settings.instance_id.value, "host-1");
  EXPECT_EQ(settings.execution.capacity, 6);
  EXPECT_EQ(settings.change_settle, Duration(5s));
  EXPECT_EQ(settings.runs.lease, Duration(150s));
  EXPECT_EQ(settings.scheduler.first_seen, FirstSeen::kLookBack);
  EXPECT_EQ(settings.tofu.plugin_cache, "/var/lib/provisioner/plugin-cache");
  EXPECT_EQ(settings.retention.runs, Duration(24h * 90));
  EXPECT_THAT(settings.environment.pass, ::testing::Contains("AWS_*"));
  sources_.cores = 1;
  EXPECT_EQ(load().execution.capacity, 4);
}

TEST_F(SettingsTest, AFlagWinsOverTheEnvironmentThatOverTheFile) {
  write(
      "log.level = \"debug\"\nstate_dir = \"state\"\n[runs]\nlease = \"3m\"\n"
      "[environment]\npass = [\"A_*\", \"B\"]\n[execution]\ncapacity = 9\n");
  auto settings = load();
  EXPECT_EQ(settings.log.level, "debug");
  EXPECT_EQ(settings.state_dir, directory_.path() / "state");
  EXPECT_EQ(settings.runs.lease, Duration(3min));
  EXPECT_THAT(settings.environment.pass, ElementsAre("A_*", "B"));
  EXPECT_EQ(settings.execution.capacity, 9);
  EXPECT_EQ(origin("runs.lease").origin, file() + " line 4");
  EXPECT_EQ(origin("runs.lease").value, "3m");

  sources_.environment["PROVISIONER_LOG_LEVEL"] = "warning";
  EXPECT_EQ(load().log.level, "warning");
  EXPECT_EQ(origin("log.level").origin, "environment PROVISIONER_LOG_LEVEL");
  sources_.flags["log-level"] = "error";
  EXPECT_EQ(load().log.level, "error");
  EXPECT_EQ(origin("log.level").origin, "flag --log-level");
  EXPECT_EQ(origin("log.format").origin, "default");
  sources_.environment["PROVISIONER_LOG_FORMAT"] = "";
  EXPECT_EQ(load().log.format, "auto");
}

TEST_F(SettingsTest, WrongValuesSayWhereAndWhy) {
  const struct {
    const char* text;
    const char* message;
  } cases[] = {
      {"[runs]\nleese = \"3m\"\n", " line 2: unknown key runs.leese; did you mean runs.lease?"},
      {"completely = 1\n", " line 1: unknown key completely"},
      {"[consul]\naddress = \"c\"\n", " line 2: consul.address is not available in this version"},
      {"listen = 8080\n",
       " line 1: listen: \"8080\" is not HOST:PORT, such as 127.0.0.1:8080, [::1]:8080 or :8080 "
       "for "
       "all interfaces; off to disable"},
      {"change_settle = \"1h\"\n", " line 1: change_settle: 1h is outside 0s to 10m"},
      {"log.level = \"loud\"\n",
       " line 1: log.level: \"loud\" is not one of debug, info, warning, error"},
      {"runs.on_interrupt = \"panic\"\n",
       " line 1: runs.on_interrupt: \"panic\" is not one of hold, resume"},
      {"execution.capacity = 0\n", " line 1: execution.capacity: 0 is outside 1 to 1000"},
      {"execution.capacity = true\n",
       " line 1: execution.capacity: expected a string, a whole number or an array of strings"},
      {"instance_id = \"a b\"\n",
       " line 1: instance_id: \"a b\" cannot name an instance: 1 to 253 visible ASCII characters "
       "without / and \""},
  };
  for (const auto& c : cases) {
    write(c.text);
    EXPECT_EQ(error(), file() + c.message) << c.text;
  }
  write("listen = \n");
  EXPECT_THAT(error(), HasSubstr(file() + " line 1, column "));
}

TEST_F(SettingsTest, RelationsAreExplained) {
  write("runs.lease = \"60s\"\n");
  EXPECT_EQ(
      error(),
      "runs.lease (1m) must be longer than three times runs.heartbeat plus runs.stop_allowance "
      "(3 x 10s + 40s = 1m10s): raise runs.lease, or lower one of the others");
  write("database.call_timeout = \"5s\"\n");
  EXPECT_EQ(error(),
            "database.call_timeout (5s) is shorter than database.statement_timeout (10s), which it "
            "contains: raise it");
  write("");
  sources_.flags["state-dir"] = "/" + std::string(100, 'x');
  EXPECT_THAT(error(), HasSubstr("choose a shorter directory"));
}

TEST_F(SettingsTest, ABackendThatIsMissingIsRefusedNotIgnored) {
  sources_.environment["CONSUL_HTTP_ADDR"] = "127.0.0.1:8500";
  EXPECT_EQ(error(),
            "environment CONSUL_HTTP_ADDR: this version has no such backend; unset "
            "CONSUL_HTTP_ADDR");
}

TEST_F(SettingsTest, AHostOfADatabaseSelectsItAndItsElection) {
  EXPECT_EQ(load().election.backend, "single");
  sources_.environment["DATABASE_HOST"] = "db-1, db-2";
  sources_.environment["DATABASE_PASSWORD"] = "hunter2";
  EXPECT_EQ(load().database.host, (std::vector<std::string>{"db-1", "db-2"}));
  EXPECT_EQ(load().election.backend, "postgres");
  sources_.environment["ETCD_ENDPOINTS"] = "https://etcd-1:2379,etcd-2:2379";
  EXPECT_EQ(load().election.backend, "etcd");
  EXPECT_EQ(load().etcd.endpoints,
            (std::vector<std::string>{"https://etcd-1:2379", "http://etcd-2:2379"}));
  EXPECT_EQ(load().election.request_timeout, load().election.renew);
}

TEST_F(SettingsTest, SecretsAreNotShown) {
  sources_.environment["DATABASE_HOST"] = "db";
  sources_.environment["DATABASE_PASSWORD"] = "hunter2";
  const auto loaded = load_settings(sources_);
  EXPECT_EQ(loaded->settings.database.password, "hunter2");
  for (const auto& origin : loaded->origins) EXPECT_NE(origin.value, "hunter2") << origin.key;
}

// Three instances that each lead alone are the worst of all.
TEST_F(SettingsTest, AnElectionThatDoesNotFitTheStoreIsRefused) {
  sources_.environment["ETCD_ENDPOINTS"] = "http://127.0.0.1:2379";
  EXPECT_THAT(error(), HasSubstr("with the embedded store each would lead alone"));
  sources_.environment.erase("ETCD_ENDPOINTS");
  sources_.flags["election-backend"] = "postgres";
  EXPECT_THAT(error(), HasSubstr("database.host is not set"));
  sources_.flags["election-backend"] = "etcd";
  EXPECT_THAT(error(), HasSubstr("etcd.endpoints is not set"));
  sources_.flags["election-backend"] = "single";
  sources_.flags["database-host"] = "db";
  EXPECT_THAT(error(), HasSubstr("a store for several instances"));
}

TEST_F(SettingsTest, AParentWatchesExceptWhereSystemdDoes) {
  EXPECT_TRUE(load().supervise);
  sources_.environment["NOTIFY_SOCKET"] = "/run/systemd/notify";
  EXPECT_FALSE(load().supervise);
  sources_.flags["supervise"] = "on";
  EXPECT_TRUE(load().supervise);
}

TEST_F(SettingsTest, AUserForTofuIsRefusedNotIgnored) {
  sources_.flags["tofu-user"] = "nobody";
  EXPECT_THAT(error(), HasSubstr("this version runs tofu as the daemon's own user only"));
  sources_.flags["tofu-user"] = "";
  EXPECT_TRUE(load_settings(sources_));
}

TEST_F(SettingsTest, AMistypedVariableIsAWarning) {
  sources_.environment["PROVISIONER_LISTN"] = ":1";
  sources_.environment["PROVISIONER_TOKEN"] = "x";
  EXPECT_THAT(load_settings(sources_)->warnings,
              ElementsAre("environment PROVISIONER_LISTN is not a setting; did you mean "
                          "PROVISIONER_LISTEN?"));
}

TEST_F(SettingsTest, AStopAllowanceTooShortForTheLastStateIsAWarning) {
  sources_.flags["runs-stop-allowance"] = "10s";
  EXPECT_THAT(load_settings(sources_)->warnings, IsEmpty());
  sources_.flags["runs-stop-allowance"] = "9s";
  EXPECT_THAT(load_settings(sources_)->warnings,
              ElementsAre(HasSubstr("runs.stop_allowance (9s) is shorter than 10s: ")));
}

TEST_F(SettingsTest, AnUnknownFlagIsAnError) {
  sources_.flags["colour"] = "red";
  EXPECT_EQ(error(), "unknown flag --colour");
}

TEST(ListenAddressText, IsReadStrictly) {
  const struct {
    const char* text;
    ListenAddress address;
  } good[] = {{"127.0.0.1:0", {"127.0.0.1", 0}},
              {"localhost:8080", {"localhost", 8080}},
              {"[::1]:9090", {"::1", 9090}},
              {":80", {"::", 80}},
              {"*:80", {"::", 80}}};
  for (const auto& c : good) {
    const auto address = parse_listen_address(c.text);
    ASSERT_TRUE(address) << c.text;
    EXPECT_EQ(*address, c.address) << c.text;
  }
  EXPECT_EQ(parse_listen_address("off")->has_value(), false);
  for (const char* text :
       {"", "8080", "host", "host:", "host:x", "host:65536", "::1:80", "a b:1"}) {
    EXPECT_FALSE(parse_listen_address(text)) << text;
  }
}

TEST(SettingsDocumentation, IsWhatTheCodeSays) {
  EXPECT_EQ(read_file(PROVISIONER_SOURCE_DIR "/docs/settings.md"), settings_table_markdown())
      << "docs/settings.md is generated: write what stands on the right into it";
}

TEST(SettingsDocumentation, KeysFlagsAndVariablesAreUnique) {
  std::set<std::string_view> seen;
  for (const auto& info : setting_table()) {
    EXPECT_TRUE(info.key.empty() || seen.insert(info.key).second || info.key == info.flag);
    EXPECT_TRUE(info.flag.empty() || info.flag == info.key || seen.insert(info.flag).second)
        << info.flag;
    EXPECT_TRUE(seen.insert(info.variable).second) << info.variable;
  }
}

}  // namespace
}  // namespace provisioner
