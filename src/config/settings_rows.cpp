#include "config/settings_rows.hpp"

#include <fmt/format.h>
#include <sys/un.h>

#include <algorithm>
#include <charconv>

#include "base/text.hpp"
#include "config/environment.hpp"
#include "schedule/zone.hpp"

namespace provisioner {
namespace {

namespace fs = std::filesystem;
using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

template <auto Member>
Status set_path(Settings& settings, std::string_view text) {
  std::error_code error;
  const auto path = fs::absolute(fs::path(text), error).lexically_normal();
  if (text.empty() || error) return fail(ErrorKind::kInvalid, "expected a path");
  settings.*Member = path.filename().empty() ? path.parent_path() : path;
  return {};
}

Status set_listen(std::optional<ListenAddress>& value, std::string_view text) {
  auto address = parse_listen_address(text);
  if (!address) return std::unexpected(address.error());
  value = std::move(*address);
  return {};
}

Status set_choice(std::string& value, std::string_view text,
                  std::initializer_list<std::string_view> choices) {
  if (std::ranges::find(choices, text) == choices.end()) {
    std::string names;
    for (const auto choice : choices)
      names += fmt::format("{}{}", names.empty() ? "" : ", ", choice);
    return fail(ErrorKind::kInvalid, fmt::format("\"{}\" is not one of {}", text, names));
  }
  value = text;
  return {};
}

Status set_duration(Duration& value, std::string_view text, Duration least, Duration most) {
  const auto duration = parse_duration(text);
  if (!duration) return std::unexpected(duration.error());
  if (*duration < least || *duration > most) {
    return fail(ErrorKind::kInvalid, fmt::format("{} is outside {} to {}", text,
                                                 format_duration(least), format_duration(most)));
  }
  value = *duration;
  return {};
}

Status set_number(std::int64_t& value, std::string_view text, std::int64_t least,
                  std::int64_t most) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) {
    return fail(ErrorKind::kInvalid, fmt::format("\"{}\" is not a whole number", text));
  }
  if (number < least || number > most) {
    return fail(ErrorKind::kInvalid, fmt::format("{} is outside {} to {}", number, least, most));
  }
  value = number;
  return {};
}

std::vector<std::string> read_list(std::string_view text) {
  std::vector<std::string> items;
  for (const auto part : split(text, ',')) {
    if (const auto item = trim(part); !item.empty()) items.emplace_back(item);
  }
  return items;
}

// etcd's own tools also take an address without a scheme.
Status set_endpoints(Settings& settings, std::string_view text) {
  settings.etcd.endpoints.clear();
  for (auto& url : read_list(text)) {
    const bool has_scheme = url.find("://") != std::string::npos;
    settings.etcd.endpoints.push_back(has_scheme ? std::move(url) : "http://" + url);
  }
  return {};
}

Status set_file(std::filesystem::path& value, std::string_view text) {
  if (text.empty()) return value.clear(), Status();
  std::error_code error;
  value = fs::absolute(fs::path(text), error).lexically_normal();
  if (error) return fail(ErrorKind::kInvalid, "expected a path");
  return {};
}

Status set_patterns(std::vector<std::string>& value, std::string_view text) {
  value.clear();
  for (const auto part : split(text, ',')) {
    const auto pattern = trim(part);
    if (pattern.empty()) continue;
    if (pattern.find_first_of("= \t") != std::string_view::npos) {
      return fail(ErrorKind::kInvalid,
                  fmt::format("\"{}\" is not a variable's name or pattern such as AWS_*", pattern));
    }
    value.emplace_back(pattern);
  }
  return {};
}

Status set_text(std::string& value, std::string_view text) {
  value = text;
  return {};
}

Status set_instance(Settings& settings, std::string_view text) {
  const bool good = !text.empty() && text.size() <= 253 && std::ranges::all_of(text, [](char c) {
    return c > ' ' && c < 127 && c != '/' && c != '"';
  });
  if (!good) {
    return fail(ErrorKind::kInvalid,
                fmt::format("\"{}\" cannot name an instance: 1 to 253 visible ASCII characters "
                            "without / and \"",
                            text));
  }
  settings.instance_id = InstanceId(std::string(text));
  return {};
}

Status set_zone(Settings& settings, std::string_view text) {
  if (!text.empty()) {
    if (const auto zone = Zone::find(text); !zone) return std::unexpected(zone.error());
  }
  settings.scheduler.timezone = text;
  return {};
}

Status set_first_seen(Settings& settings, std::string_view text) {
  std::string choice;
  if (auto set = set_choice(choice, text, {"look_back", "wait"}); !set) return set;
  settings.scheduler.first_seen = choice == "wait" ? FirstSeen::kWait : FirstSeen::kLookBack;
  return {};
}

Status set_on_interrupt(Settings& settings, std::string_view text) {
  std::string choice;
  if (auto set = set_choice(choice, text, {"hold", "resume"}); !set) return set;
  settings.runs.on_interrupt = choice == "resume" ? OnInterrupt::kResume : OnInterrupt::kHold;
  return {};
}

// A fallback that depends on nothing.
template <std::size_t N>
struct Text {
  char text[N];
  constexpr Text(const char (&from)[N]) { std::copy_n(from, N, text); }
};
template <Text T>
std::string always(const Settings&, const SettingSources&) {
  return T.text;
}

const SettingRow kRows[] = {
    {{"", "config-dir", "PROVISIONER_CONFIG_DIR", "/etc/provisioner",
      "where provisioner.toml and workspaces/ are"},
     set_path<&Settings::config_dir>,
     always<"/etc/provisioner">,
     true},
    {{"state_dir", "state-dir", "PROVISIONER_STATE_DIR", "/var/lib/provisioner",
      "the embedded store, working directories, the daemon's socket"},
     set_path<&Settings::state_dir>,
     always<"/var/lib/provisioner">,
     true},
    {{"log_dir", "log-dir", "PROVISIONER_LOG_DIR", "/var/log/provisioner",
      "a log file for each workspace, for people"},
     set_path<&Settings::log_dir>,
     always<"/var/log/provisioner">,
     true},
    {{"workspaces_dir", "workspaces-dir", "PROVISIONER_WORKSPACES_DIR",
      "workspaces in the config directory", "the workspaces' folders"},
     set_path<&Settings::workspaces_dir>,
     [](const Settings& s, const SettingSources&) {
       return (s.config_dir / "workspaces").string();
     },
     true},
    {{"instance_id", "instance-id", "INSTANCE_ID", "the host's name",
      "names this daemon among others"},
     set_instance,
     [](const Settings&, const SettingSources& sources) {
       return sources.host_name.empty() ? "localhost" : sources.host_name;
     }},
    {{"listen", "listen", "PROVISIONER_LISTEN", "127.0.0.1:8080",
      "the API: HOST:PORT, port 0 picks a free one, off leaves the unix socket alone"},
     [](Settings& s, std::string_view text) { return set_listen(s.listen, text); },
     always<"127.0.0.1:8080">},
    {{"tls.cert", "tls-cert", "PROVISIONER_TLS_CERT", "none: plain HTTP",
      "the certificate of listen with its chain, a PEM file; read again on SIGHUP"},
     [](Settings& s, std::string_view text) { return set_file(s.tls.cert, text); },
     always<"">,
     true},
    {{"tls.key", "tls-key", "PROVISIONER_TLS_KEY", "none", "the key of tls.cert, a PEM file"},
     [](Settings& s, std::string_view text) { return set_file(s.tls.key, text); },
     always<"">,
     true},
    {{"tls.client_ca", "tls-client-ca", "PROVISIONER_TLS_CLIENT_CA", "none",
      "whoever connects to listen needs a certificate of this authority, beside a token; a PEM "
      "file"},
     [](Settings& s, std::string_view text) { return set_file(s.tls.client_ca, text); },
     always<"">,
     true},
    {{"api.caller_rate", "api-caller-rate", "PROVISIONER_API_CALLER_RATE", "50",
      "requests a second of one token, or of one address without one; twice as many at once"},
     [](Settings& s, std::string_view text) {
       return set_number(s.api.caller_rate, text, 1, 1'000'000);
     },
     always<"50">},
    {{"api.total_rate", "api-total-rate", "PROVISIONER_API_TOTAL_RATE", "500",
      "requests a second of all who come over TCP; twice as many at once"},
     [](Settings& s, std::string_view text) {
       return set_number(s.api.total_rate, text, 1, 1'000'000);
     },
     always<"500">},
    {{"change_settle", "change-settle", "PROVISIONER_CHANGE_SETTLE", "5s",
      "how long a folder must be quiet before a change counts"},
     [](Settings& s, std::string_view text) {
       return set_duration(s.change_settle, text, Duration::zero(), minutes(10));
     },
     always<"5s">},
    {{"log.format", "log-format", "PROVISIONER_LOG_FORMAT", "auto",
      "auto (text on a terminal, else JSON or the journal), text or json"},
     [](Settings& s, std::string_view text) {
       return set_choice(s.log.format, text, {"auto", "text", "json"});
     },
     always<"auto">},
    {{"log.level", "log-level", "PROVISIONER_LOG_LEVEL", "info", "debug, info, warning or error"},
     [](Settings& s, std::string_view text) {
       return set_choice(s.log.level, text, {"debug", "info", "warning", "error"});
     },
     always<"info">},
    {{"scheduler.timezone", "scheduler-timezone", "PROVISIONER_SCHEDULER_TIMEZONE",
      "the system's at the first start",
      "the IANA zone of schedules whose workspace names none; all instances share it"},
     set_zone,
     always<"">},
    {{"tofu.binary", "tofu-binary", "PROVISIONER_TOFU_BINARY",
      "tofu on PATH, else terraform on PATH", "the program that deploys"},
     [](Settings& s, std::string_view text) -> Status {
       s.tofu.binary = text;
       return {};
     },
     always<"">},
    {{"tofu.user", "tofu-user", "PROVISIONER_TOFU_USER", "the daemon's own",
      "the user that tofu and commands run as"},
     // Ignoring it would run what it was to confine as the daemon's user.
     [](Settings& s, std::string_view text) -> Status {
       if (!text.empty()) {
         return fail(ErrorKind::kInvalid,
                     "this version runs tofu as the daemon's own user only: remove it, and run the "
                     "daemon as a user that may do no more than its workspaces need");
       }
       s.tofu.user = text;
       return {};
     },
     always<"">},
    {{"tofu.plugin_cache", "tofu-plugin-cache", "PROVISIONER_TOFU_PLUGIN_CACHE",
      "plugin-cache in the state directory", "providers that all workspaces share"},
     [](Settings& s, std::string_view text) {
       Settings at;
       auto set = set_path<&Settings::state_dir>(at, text);
       if (set) s.tofu.plugin_cache = at.state_dir;
       return set;
     },
     [](const Settings& s, const SettingSources&) {
       return (s.state_dir / "plugin-cache").string();
     },
     true},
    {{"execution.mode", "execution-mode", "PROVISIONER_EXECUTION_MODE", "leader",
      "who starts runs: leader (the one that leads) or cluster (every instance, up to its "
      "capacity)"},
     [](Settings& s, std::string_view text) {
       return set_choice(s.execution.mode, text, {"leader", "cluster"});
     },
     always<"leader">},
    {{"execution.capacity", "execution-capacity", "PROVISIONER_EXECUTION_CAPACITY",
      "twice the cores, at least 4", "runs at a time on this instance"},
     [](Settings& s, std::string_view text) {
       return set_number(s.execution.capacity, text, 1, 1000);
     },
     [](const Settings&, const SettingSources& sources) {
       return std::to_string(std::clamp(2 * sources.cores, 4u, 1000u));
     }},
    {{"database.host", "database-host", "DATABASE_HOST", "none: the embedded store",
      "PostgreSQL as the store of several instances: names, addresses or a socket's directory, "
      "tried "
      "in turn"},
     [](Settings& s, std::string_view text) -> Status {
       s.database.host = read_list(text);
       return {};
     },
     always<"">},
    {{"database.port", "database-port", "DATABASE_PORT", "5432", "its port"},
     [](Settings& s, std::string_view text) { return set_number(s.database.port, text, 1, 65535); },
     always<"5432">},
    {{"database.name", "database-name", "DATABASE_NAME", "provisioner", "its database"},
     [](Settings& s, std::string_view text) { return set_text(s.database.name, text); },
     always<"provisioner">},
    {{"database.user", "database-user", "DATABASE_USER", "provisioner", "who owns the tables"},
     [](Settings& s, std::string_view text) { return set_text(s.database.user, text); },
     always<"provisioner">},
    {{"database.password", "", "DATABASE_PASSWORD", "none", "that user's password"},
     [](Settings& s, std::string_view text) { return set_text(s.database.password, text); },
     always<"">,
     false,
     true},
    {{"database.sslmode", "database-sslmode", "DATABASE_SSLMODE", "prefer",
      "disable, allow, prefer, require, verify-ca or verify-full, as libpq has them"},
     [](Settings& s, std::string_view text) {
       return set_choice(s.database.sslmode, text,
                         {"disable", "allow", "prefer", "require", "verify-ca", "verify-full"});
     },
     always<"prefer">},
    {{"database.sslrootcert", "database-sslrootcert", "DATABASE_SSLROOTCERT", "libpq's",
      "whose certificates are trusted"},
     [](Settings& s, std::string_view text) { return set_file(s.database.sslrootcert, text); },
     always<"">,
     true},
    {{"database.sslcert", "database-sslcert", "DATABASE_SSLCERT", "libpq's",
      "the certificate shown to the server"},
     [](Settings& s, std::string_view text) { return set_file(s.database.sslcert, text); },
     always<"">,
     true},
    {{"database.sslkey", "database-sslkey", "DATABASE_SSLKEY", "libpq's", "its key"},
     [](Settings& s, std::string_view text) { return set_file(s.database.sslkey, text); },
     always<"">,
     true},
    {{"database.max_connections", "database-max-connections", "DATABASE_MAX_CONNECTIONS", "10",
      "connections of this instance at a time"},
     [](Settings& s, std::string_view text) {
       return set_number(s.database.max_connections, text, 2, 1000);
     },
     always<"10">},
    {{"database.max_idle_conns", "database-max-idle-conns", "DATABASE_MAX_IDLE_CONNS", "4",
      "of them kept open without work (after a burst more, for half a minute)"},
     [](Settings& s, std::string_view text) {
       return set_number(s.database.max_idle_conns, text, 0, 1000);
     },
     always<"4">},
    {{"database.conn_max_lifetime", "database-conn-max-lifetime", "DATABASE_CONN_MAX_LIFETIME",
      "30m", "how long a connection is used before another takes its place"},
     [](Settings& s, std::string_view text) {
       return set_duration(s.database.conn_max_lifetime, text, seconds(10), hours(24));
     },
     always<"30m">},
    {{"database.connect_timeout", "database-connect-timeout", "DATABASE_CONNECT_TIMEOUT", "5s",
      "how long a host may take to let this instance in, before the next one is tried"},
     [](Settings& s, std::string_view text) {
       return set_duration(s.database.connect_timeout, text, seconds(1), minutes(5));
     },
     always<"5s">},
    {{"database.statement_timeout", "database-statement-timeout", "DATABASE_STATEMENT_TIMEOUT",
      "10s", "how long an answer is waited for before its connection is given up"},
     [](Settings& s, std::string_view text) {
       return set_duration(s.database.statement_timeout, text, seconds(1), minutes(5));
     },
     always<"10s">},
    {{"database.call_timeout", "database-call-timeout", "DATABASE_CALL_TIMEOUT", "15s",
      "how long a piece of work is repeated on other connections before it is reported as failed"},
     [](Settings& s, std::string_view text) {
       return set_duration(s.database.call_timeout, text, seconds(1), minutes(10));
     },
     always<"15s">},
    {{"scheduler.first_seen", "scheduler-first-seen", "PROVISIONER_SCHEDULER_FIRST_SEEN",
      "look_back; wait with database.host",
      "a workspace never seen before: look_back acts on the last occurrence of up to 7 days ago, "
      "wait on the next one"},
     set_first_seen,
     [](const Settings& s, const SettingSources&) -> std::string {
       return s.database.host.empty() ? "look_back" : "wait";
     }},
    {{"metrics.listen", "metrics-listen", "PROVISIONER_METRICS_LISTEN",
      "off; :9090 with database.host",
      "numbers for Prometheus at /metrics, without TLS and tokens: HOST:PORT, port 0 picks a free "
      "one"},
     [](Settings& s, std::string_view text) { return set_listen(s.metrics.listen, text); },
     [](const Settings& s, const SettingSources&) -> std::string {
       return s.database.host.empty() ? "off" : ":9090";
     }},
    {{"etcd.endpoints", "etcd-endpoints", "ETCD_ENDPOINTS", "none",
      "etcd as the election: http://host:port or https://host:port of each member"},
     set_endpoints,
     always<"">},
    {{"etcd.prefix", "etcd-prefix", "ETCD_PREFIX", "/provisioner/election",
      "below which keys; another one for each cluster that shares an etcd"},
     [](Settings& s, std::string_view text) -> Status {
       if (!text.starts_with('/') || text.find(' ') != std::string_view::npos) {
         return fail(ErrorKind::kInvalid, "expected a path such as /provisioner/election");
       }
       return set_text(s.etcd.prefix, text);
     },
     always<"/provisioner/election">},
    {{"etcd.user", "etcd-user", "ETCD_USER", "none", "who may read and write below the prefix"},
     [](Settings& s, std::string_view text) { return set_text(s.etcd.user, text); },
     always<"">},
    {{"etcd.password", "", "ETCD_PASSWORD", "none", "that user's password"},
     [](Settings& s, std::string_view text) { return set_text(s.etcd.password, text); },
     always<"">,
     false,
     true},
    {{"etcd.ca", "etcd-ca", "ETCD_CA", "the system's", "whose certificates are trusted"},
     [](Settings& s, std::string_view text) { return set_file(s.etcd.ca, text); },
     always<"">,
     true},
    {{"etcd.cert", "etcd-cert", "ETCD_CERT", "none", "the certificate shown to etcd"},
     [](Settings& s, std::string_view text) { return set_file(s.etcd.cert, text); },
     always<"">,
     true},
    {{"etcd.key", "etcd-key", "ETCD_KEY", "none", "its key"},
     [](Settings& s, std::string_view text) { return set_file(s.etcd.key, text); },
     always<"">,
     true},
    {{"election.backend", "election-backend", "PROVISIONER_ELECTION",
      "etcd with etcd.endpoints, else postgres with database.host, else single",
      "how instances agree on who leads: etcd, postgres or single"},
     [](Settings& s, std::string_view text) {
       return set_choice(s.election.backend, text, {"single", "postgres", "etcd"});
     },
     [](const Settings& s, const SettingSources&) -> std::string {
       if (!s.etcd.endpoints.empty()) return "etcd";
       return s.database.host.empty() ? "single" : "postgres";
     }},
    {{"election.ttl", "election-ttl", "PROVISIONER_ELECTION_TTL", "5s",
      "how long a silent leader is waited for; etcd rounds it up to whole seconds"},
     [](Settings& s, std::string_view text) {
       return set_duration(s.election.ttl, text, seconds(1), minutes(10));
     },
     always<"5s">},
    {{"election.renew", "election-renew", "PROVISIONER_ELECTION_RENEW", "1s",
      "how often the leader says that it lives; three of them fit into the ttl"},
     [](Settings& s, std::string_view text) {
       return set_duration(s.election.renew, text, std::chrono::milliseconds(50), minutes(3));
     },
     always<"1s">},
    {{"election.margin", "election-margin", "PROVISIONER_ELECTION_MARGIN", "500ms",
      "how long before its ttl a leader stops by itself"},
     [](Settings& s, std::string_view text) {
       return set_duration(s.election.margin, text, std::chrono::milliseconds(10), minutes(3));
     },
     always<"500ms">},
    {{"election.request_timeout", "election-request-timeout",
      "PROVISIONER_ELECTION_REQUEST_TIMEOUT", "election.renew",
      "how long an answer is waited for, from whichever server gives one"},
     [](Settings& s, std::string_view text) {
       return set_duration(s.election.request_timeout, text, std::chrono::milliseconds(50),
                           minutes(3));
     },
     [](const Settings& s, const SettingSources&) { return format_duration(s.election.renew); }},
    {{"supervise", "supervise", "PROVISIONER_SUPERVISE",
      "on, but off where systemd waits for READY",
      "a small parent process frees the leadership of a daemon that was killed, and starts it "
      "again: on or off"},
     [](Settings& s, std::string_view text) {
       std::string choice;
       auto set = set_choice(choice, text, {"on", "off"});
       s.supervise = choice == "on";
       return set;
     },
     [](const Settings&, const SettingSources& sources) -> std::string {
       return sources.environment.contains("NOTIFY_SOCKET") ? "off" : "on";
     }},
    {{"runs.lease", "runs-lease", "PROVISIONER_RUNS_LEASE", "150s",
      "how long a run may be silent before it is given up and started again"},
     [](Settings& s, std::string_view text) {
       return set_duration(s.runs.lease, text, seconds(1), hours(24));
     },
     always<"150s">},
    {{"runs.heartbeat", "runs-heartbeat", "PROVISIONER_RUNS_HEARTBEAT", "10s",
      "how often a run says that it lives"},
     [](Settings& s, std::string_view text) {
       return set_duration(s.runs.heartbeat, text, std::chrono::milliseconds(100), hours(1));
     },
     always<"10s">},
    {{"runs.stop_allowance", "runs-stop-allowance", "PROVISIONER_RUNS_STOP_ALLOWANCE", "40s",
      "what a run gets to end in good order before its lease does"},
     [](Settings& s, std::string_view text) {
       return set_duration(s.runs.stop_allowance, text, std::chrono::milliseconds(100), hours(1));
     },
     always<"40s">},
    {{"runs.on_interrupt", "runs-on-interrupt", "PROVISIONER_RUNS_ON_INTERRUPT", "hold",
      "a run whose attempt was lost with its directory: hold keeps its workspace for a person, "
      "resume tries again although resources may exist that the state does not know"},
     set_on_interrupt,
     always<"hold">},
    {{"retry.max_retries", "retry-max-retries", "PROVISIONER_RETRY_MAX_RETRIES", "3",
      "how often a run is tried again that failed for a passing reason; a workspace may say "
      "otherwise"},
     [](Settings& s, std::string_view text) {
       return set_number(s.retry.max_retries, text, 0, 100);
     },
     always<"3">},
    {{"retry.base_delay", "retry-base-delay", "PROVISIONER_RETRY_BASE_DELAY", "1s",
      "how long the first retry waits, a quarter more or less; each one after it twice as long"},
     [](Settings& s, std::string_view text) {
       return set_duration(s.retry.base_delay, text, std::chrono::milliseconds(10), hours(1));
     },
     always<"1s">},
    {{"retry.max_delay", "retry-max-delay", "PROVISIONER_RETRY_MAX_DELAY", "30s",
      "the longest of these waits"},
     [](Settings& s, std::string_view text) {
       return set_duration(s.retry.max_delay, text, std::chrono::milliseconds(10), hours(24));
     },
     always<"30s">},
    {{"breaker.max_failures", "breaker-max-failures", "PROVISIONER_BREAKER_MAX_FAILURES", "5",
      "so many passing failures in a row at one host of a cloud, registry or backend, and the "
      "retries of all runs that failed there wait"},
     [](Settings& s, std::string_view text) {
       return set_number(s.breaker.max_failures, text, 1, 1000);
     },
     always<"5">},
    {{"breaker.timeout", "breaker-timeout", "PROVISIONER_BREAKER_TIMEOUT", "30s",
      "how long they wait before some try that host again"},
     [](Settings& s, std::string_view text) {
       return set_duration(s.breaker.timeout, text, std::chrono::milliseconds(100), hours(24));
     },
     always<"30s">},
    {{"breaker.max_requests", "breaker-max-requests", "PROVISIONER_BREAKER_MAX_REQUESTS", "3",
      "how many of them; when as many succeeded, all go on"},
     [](Settings& s, std::string_view text) {
       return set_number(s.breaker.max_requests, text, 1, 1000);
     },
     always<"3">},
    {{"breaker.interval", "breaker-interval", "PROVISIONER_BREAKER_INTERVAL", "60s",
      "after which failures are counted anew"},
     [](Settings& s, std::string_view text) {
       return set_duration(s.breaker.interval, text, seconds(1), hours(24));
     },
     always<"60s">},
    {{"templates.fetch_timeout", "templates-fetch-timeout", "PROVISIONER_TEMPLATES_FETCH_TIMEOUT",
      "2m", "how long the fetch of a template from its Git source may take"},
     [](Settings& s, std::string_view text) {
       return set_duration(s.templates.fetch_timeout, text, seconds(1), hours(1));
     },
     always<"2m">},
    {{"environment.pass", "environment-pass", "PROVISIONER_ENVIRONMENT_PASS",
      "variables of the usual clouds: AWS_*, ARM_*, AZURE_*, GOOGLE_*, KUBE*, VAULT_*, TF_* and "
      "more",
      "the daemon's variables that tofu and custom commands see, as names and patterns"},
     [](Settings& s, std::string_view text) { return set_patterns(s.environment.pass, text); },
     [](const Settings&, const SettingSources&) { return join(default_pass_patterns(), ", "); }},
    {{"retention.runs", "retention-runs", "PROVISIONER_RETENTION_RUNS", "90d",
      "how long runs, their logs and the ledger of occurrences are kept"},
     [](Settings& s, std::string_view text) {
       return set_duration(s.retention.runs, text, hours(1), hours(24 * 3650));
     },
     always<"90d">},
    {{"retention.state_versions", "retention-state-versions",
      "PROVISIONER_RETENTION_STATE_VERSIONS", "30d", "how long versions of tofu states are kept"},
     [](Settings& s, std::string_view text) {
       return set_duration(s.retention.state_versions, text, hours(1), hours(24 * 3650));
     },
     always<"30d">},
    {{"retention.least_state_versions", "retention-least-state-versions",
      "PROVISIONER_RETENTION_LEAST_STATE_VERSIONS", "50",
      "versions of a tofu state that are kept however old they are"},
     [](Settings& s, std::string_view text) {
       return set_number(s.retention.least_state_versions, text, 1, 1'000'000);
     },
     always<"50">},
    {{"shutdown.timeout", "shutdown-timeout", "PROVISIONER_SHUTDOWN_TIMEOUT", "30s",
      "how long a stopping daemon takes at most; runs go on without it"},
     [](Settings& s, std::string_view text) {
       return set_duration(s.shutdown.timeout, text, Duration::zero(), hours(24));
     },
     always<"30s">},
    {{"shutdown.pause", "shutdown-pause", "PROVISIONER_SHUTDOWN_PAUSE", "0s",
      "how long a stopping daemon, not ready any more, goes on answering until load balancers have "
      "noticed"},
     [](Settings& s, std::string_view text) {
       return set_duration(s.shutdown.pause, text, Duration::zero(), hours(1));
     },
     always<"0s">},
    {{"shutdown.drain", "shutdown-drain", "PROVISIONER_SHUTDOWN_DRAIN", "off",
      "a stopping daemon waits for its runs, and interrupts them once when its time is nearly "
      "over, "
      "to be resumed elsewhere; for containers, where nothing outlives the daemon: on or off"},
     [](Settings& s, std::string_view text) {
       std::string choice;
       auto set = set_choice(choice, text, {"on", "off"});
       if (set) s.shutdown.drain = choice == "on";
       return set;
     },
     always<"off">},
};

}  // namespace

std::span<const SettingRow> setting_rows() { return kRows; }

std::vector<std::string> broken_relations(const Settings& settings) {
  std::vector<std::string> broken;
  const auto& runs = settings.runs;
  const auto needed = 3 * runs.heartbeat + runs.stop_allowance;
  if (needed >= runs.lease) {
    broken.push_back(
        fmt::format("runs.lease ({}) must be longer than three times runs.heartbeat plus "
                    "runs.stop_allowance (3 "
                    "x {} + {} = {}): raise runs.lease, or lower one of the others",
                    format_duration(runs.lease), format_duration(runs.heartbeat),
                    format_duration(runs.stop_allowance), format_duration(needed)));
  }
  if (settings.retry.base_delay > settings.retry.max_delay) {
    broken.push_back(fmt::format(
        "retry.base_delay ({}) is longer than retry.max_delay ({}): lower it, or raise the other",
        format_duration(settings.retry.base_delay), format_duration(settings.retry.max_delay)));
  }
  if (settings.tls.cert.empty() != settings.tls.key.empty()) {
    const bool has_cert = !settings.tls.cert.empty();
    broken.push_back(fmt::format("{} is set and {} is not: TLS needs both",
                                 has_cert ? "tls.cert" : "tls.key",
                                 has_cert ? "tls.key" : "tls.cert"));
  }
  if (!settings.tls.client_ca.empty() && settings.tls.cert.empty()) {
    broken.push_back("tls.client_ca is set, but listen speaks no TLS: set tls.cert and tls.key");
  }
  const auto& database = settings.database;
  if (database.call_timeout < database.statement_timeout) {
    broken.push_back(fmt::format(
        "database.call_timeout ({}) is shorter than database.statement_timeout ({}), which it "
        "contains: raise it",
        format_duration(database.call_timeout), format_duration(database.statement_timeout)));
  }
  const bool is_shared = !database.host.empty();
  if (settings.election.backend == "single" && is_shared) {
    broken.push_back(
        "election.backend is single, but database.host names a store for several instances: remove "
        "election.backend");
  } else if (settings.election.backend == "postgres" && !is_shared) {
    broken.push_back("election.backend is postgres, but database.host is not set: set it");
  } else if (settings.election.backend == "etcd" && settings.etcd.endpoints.empty()) {
    broken.push_back("election.backend is etcd, but etcd.endpoints is not set: set it");
  } else if (settings.election.backend == "etcd" && !is_shared) {
    broken.push_back(
        "etcd elects one leader among several instances, but with the embedded store each would "
        "lead "
        "alone: set database.host, or remove etcd.endpoints");
  }
  const auto socket = settings.state_dir / "provisioner.sock";
  if (socket.string().size() >= sizeof(sockaddr_un::sun_path)) {
    broken.push_back(
        fmt::format("state_dir: the socket {} would have {} bytes, the system allows "
                    "{}: choose a shorter directory",
                    socket.string(), socket.string().size(), sizeof(sockaddr_un::sun_path) - 1));
  }
  return broken;
}

std::vector<std::string> doubtful_values(const Settings& settings) {
  // tofu repeats a refused hand-over for about that long before it saves its state itself.
  constexpr auto kHandOver = seconds(10);
  std::vector<std::string> doubts;
  if (settings.runs.stop_allowance < kHandOver) {
    doubts.push_back(
        fmt::format("runs.stop_allowance ({}) is shorter than {}: a run that loses its daemon or "
                    "its lease may be killed before tofu has saved its last state, and what it "
                    "made since is then unknown to the next attempt",
                    format_duration(settings.runs.stop_allowance), format_duration(kHandOver)));
  }
  return doubts;
}

}  // namespace provisioner
