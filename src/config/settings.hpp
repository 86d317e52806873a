// The daemon's settings: flag > environment > provisioner.toml > default, checked as a whole.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "base/ids.hpp"
#include "base/time.hpp"
#include "model/first_seen.hpp"
#include "model/on_interrupt.hpp"

namespace provisioner {

// Where a server listens. Port 0 picks a free one.
struct ListenAddress {
  std::string host;  // a name or an address, IPv6 without brackets
  std::uint16_t port = 0;

  friend bool operator==(const ListenAddress&, const ListenAddress&) = default;
};

// "127.0.0.1:8080", "[::1]:8080", ":8080" (all interfaces) or "off".
Result<std::optional<ListenAddress>> parse_listen_address(std::string_view text);

// Plain values. Defaults, names and meanings: setting_table().
struct Settings {
  std::filesystem::path config_dir, state_dir, log_dir, workspaces_dir;
  std::filesystem::path jobs_dir() const { return config_dir / "jobs"; }  // of standalone jobs
  std::optional<ListenAddress> listen;  // absent: the unix socket only
  struct {
    std::optional<ListenAddress> listen;  // absent: no page
  } metrics;
  // Of `listen`; cert empty: it speaks plain HTTP.
  struct {
    std::filesystem::path cert, key, client_ca;
  } tls;
  InstanceId instance_id;
  Duration change_settle{};

  struct {
    std::string format;  // "auto", "text", "json"
    std::string level;   // "debug", "info", "warning", "error"
  } log;

  struct {
    std::string timezone;  // IANA name; "" = the system's at the first start
    FirstSeen first_seen = FirstSeen::kLookBack;
  } scheduler;

  struct {
    std::string binary;  // "" = found on PATH
    std::string user;    // "" = the daemon's own
    std::filesystem::path plugin_cache;
  } tofu;

  struct {
    std::string mode;           // "leader" or "cluster": who starts runs
    std::int64_t capacity = 0;  // runs at a time
  } execution;

  // Several hosts are tried in turn. No host: the embedded store.
  struct {
    std::vector<std::string> host;  // a name, an address, or the directory of a unix socket
    std::int64_t port = 0;
    std::string name, user;
    std::string password;  // "" = none
    std::string sslmode;
    std::filesystem::path sslrootcert, sslcert, sslkey;  // "" = libpq's defaults
    std::int64_t max_connections = 0, max_idle_conns = 0;
    Duration conn_max_lifetime{};
    Duration connect_timeout{}, statement_timeout{}, call_timeout{};
  } database;

  struct {
    std::string backend;  // "single", "postgres", "etcd"
    Duration ttl{}, renew{}, margin{}, request_timeout{};
  } election;

  struct {
    std::vector<std::string> endpoints;  // "http://host:port", "https://host:port"
    std::string prefix, user;
    std::string password;  // "" = none
    std::filesystem::path ca, cert, key;
  } etcd;

  bool supervise = true;  // a parent watches over the daemon

  struct {
    Duration lease{}, heartbeat{}, stop_allowance{};
    OnInterrupt on_interrupt = OnInterrupt::kHold;
  } runs;

  struct {
    std::vector<std::string> pass;  // patterns of variable names (config/environment.hpp)
  } environment;

  // Of runs that failed for a passing reason, and of the hosts that they named.
  struct {
    std::int64_t max_retries = 0;
    Duration base_delay{}, max_delay{};
  } retry;
  struct {
    std::int64_t max_failures = 0, max_requests = 0;
    Duration timeout{}, interval{};
  } breaker;

  struct {
    Duration fetch_timeout{};
  } templates;

  struct {
    Duration runs{}, state_versions{};
    std::int64_t least_state_versions = 0;
  } retention;

  struct {
    std::int64_t caller_rate = 0, total_rate = 0;  // requests a second over TCP
  } api;

  struct {
    Duration timeout{}, pause{};
    bool drain = false;  // waits for runs, and interrupts them at the end
  } shutdown;
};

// One row of the table that drives parsing, flags, `config show` and the documentation.
struct SettingInfo {
  std::string_view key;           // in provisioner.toml: "runs.lease"; "" = not there
  std::string_view flag;          // of `serve`, without dashes: "runs-lease"; "" = none
  std::string_view variable;      // "PROVISIONER_RUNS_LEASE"
  std::string_view default_text;  // for people: "150s", "the host's name"
  std::string_view description;   // a sentence without its full stop
};
std::span<const SettingInfo> setting_table();

// docs/settings.md, generated.
std::string settings_table_markdown();

// Where a value came from, for `config show`.
struct SettingOrigin {
  std::string key;     // the key, or the flag of a setting that has none
  std::string value;   // as it would be written in provisioner.toml, without quotes; secrets masked
  std::string origin;  // "default", "flag --runs-lease", "environment PROVISIONER_RUNS_LEASE",
                       // "/etc/provisioner/provisioner.toml line 3"
};

struct LoadedSettings {
  Settings settings;
  std::vector<SettingOrigin> origins;  // in the order of the table
  std::vector<std::string> warnings;   // e.g. an unknown PROVISIONER_ variable
};

// Everything outside that settings depend on, so that a test can say it.
struct SettingSources {
  std::map<std::string, std::string> flags;        // by SettingInfo::flag
  std::map<std::string, std::string> environment;  // the process's
  std::string host_name;
  unsigned cores = 1;
};

// This process's environment, host name and cores, with the given flags.
SettingSources process_setting_sources(std::map<std::string, std::string> flags);

// Reads provisioner.toml of the config directory, if it is there. kInvalid with a text that says
// what to mend: unknown keys name the nearest one, relations between values name both. Settings of
// backends that this build lacks (CONSUL_HTTP_ADDR, REDIS_NODES) are refused, never ignored.
Result<LoadedSettings> load_settings(const SettingSources& sources);

}  // namespace provisioner
