// One instance: its objects, wired together, from start to end.
#pragma once

#include <boost/asio/io_context.hpp>
#include <memory>
#include <optional>
#include <string>

#include "app/background.hpp"
#include "app/daemon_metrics.hpp"
#include "app/folder_publisher.hpp"
#include "app/membership.hpp"
#include "app/release_token.hpp"
#include "base/error.hpp"
#include "config/environment.hpp"
#include "config/settings.hpp"
#include "election/election.hpp"
#include "election/leadership_loop.hpp"
#include "execution/assignment_source.hpp"
#include "execution/dispatcher.hpp"
#include "execution/recent_ends.hpp"
#include "execution/runner_api.hpp"
#include "execution/system_launcher.hpp"
#include "execution/workspace_log.hpp"
#include "http/server.hpp"
#include "runtime/circuit_breaker.hpp"
#include "runtime/clock.hpp"
#include "runtime/directory_lock.hpp"
#include "runtime/offload.hpp"
#include "runtime/random.hpp"
#include "scheduler/loop.hpp"
#include "server/api.hpp"
#include "server/health.hpp"
#include "store/postgres_settings.hpp"
#include "store/store.hpp"
#include "telemetry/log.hpp"
#include "templates/registry.hpp"

namespace provisioner {

// What the settings mean for the rooms.
RetentionPolicy retention_of(const Settings& settings);
server::AccessLimits access_limits(const Settings& settings);

// The parts are members in the order in which they are built; they are destroyed in the opposite
// order, after the loop has stopped.
class Daemon {
 public:
  struct Start {
    LoadedSettings loaded;
    // Reads the settings again, from the same sources.
    std::function<Result<LoadedSettings>()> read_settings;
    Environment environment;  // the process's as it was started
    std::shared_ptr<LogSink> sink;
    LogThreshold log_threshold;
    ReleaseToken release_token;
  };
  // Takes the state directory, and opens the store in it when it is the embedded one (the errors of
  // open_sqlite_store).
  static Result<std::unique_ptr<Daemon>> open(Start start);

  // Serves until SIGTERM or SIGINT (shutdown.cpp); each further one shortens the end. A store that
  // cannot be reached is waited for: this instance answers, and is not ready. The error says why it
  // could not begin, or go on: kInvalid when the settings contradict the cluster's, kConflict when
  // another instance has the same id.
  Status run();

 private:
  explicit Daemon(Start start);

  Status open_election();
  Status open_embedded();
  Status open_shared();
  Task<Status> connect();
  Task<Status> prepare();
  Task<Status> look_back();  // whether an old installation stands in the way
  Task<Status> settle_time_zone();
  Task<Status> once_available(std::string what, std::function<Task<Status>()> attempt);
  void build();
  void build_api();
  Status listen();
  Status listen_for_metrics();
  Result<std::shared_ptr<const http::TlsContext>> read_certificate();
  void renew_certificate();
  void reload();
  void reload_settings();
  Task<> live();
  Task<> begin();
  Task<> end();
  Task<> pass(Task<> phase, BootInstant deadline);
  Task<> until_ended(Background& group, BootInstant deadline);
  Task<> end_runs(BootInstant deadline);
  Task<> until_no_run_is_active();
  void heed_membership();
  Task<http::Response> answer(http::Request request);
  Task<> publish_folders(FolderPublisher& publisher, std::filesystem::path directory);
  Task<> tell_of_start();
  Task<Status> read_configuration_again();
  // By workspace, and "jobs/backup.json" of a standalone job's file.
  std::map<std::string, std::string> config_problems() const;
  void watch_health();
  Task<Status> ask_election();
  Task<Status> look_at_disk();
  Task<Status> look_for_programs();
  void make_breakers();
  // Of the store's database, the election, and every host at which runs failed lately.
  std::vector<BreakerReport> breakers();
  // What is watched, and each breaker that is not closed.
  std::vector<server::HealthCheck> checks();
  Task<> feed_watchdog(Duration interval);
  std::string not_ready() const;

  Settings settings_;
  std::vector<SettingOrigin> origins_;  // of settings_
  std::function<Result<LoadedSettings>()> read_settings_;
  Environment environment_;
  LogThreshold log_threshold_;
  boost::asio::io_context loop_{1};
  SystemClock clock_;
  SystemRandom random_;
  Logger log_;
  Offload offload_;
  std::optional<DirectoryLock> directory_lock_;     // the embedded store has its own
  std::optional<PostgresSettings> postgres_;        // absent: the embedded store
  std::shared_ptr<CircuitBreaker> store_breaker_;   // absent: the embedded store
  std::optional<CircuitBreaker> election_breaker_;  // always there
  std::unique_ptr<Store> store_;                    // absent: not yet connected
  std::optional<Zone> zone_;                        // the cluster's
  Incarnation incarnation_;
  Instant started_at_;
  DaemonMetrics metrics_;
  std::shared_ptr<PostgresCounters> store_counters_ = std::make_shared<PostgresCounters>();
  std::string waiting_for_ = "the daemon is starting";  // "" = prepared
  std::string refusal_;  // why nothing is scheduled although the daemon serves; "" = it schedules

  std::unique_ptr<Membership> membership_;
  ReleaseToken release_token_;
  std::unique_ptr<Election> election_;
  server::HealthWatch health_;
  std::string election_problem_ = "it was not asked yet";  // "" = it answered when asked last
  bool election_answered_ = false;                         // once
  std::unique_ptr<LeadershipLoop> leadership_;
  std::unique_ptr<Scheduler> scheduler_;
  std::unique_ptr<execution::WorkspaceLog> workspace_log_;
  std::unique_ptr<execution::AssignmentSource> assignments_;
  std::unique_ptr<execution::RecentEnds> recent_ends_;  // of a store that may forget them
  std::unique_ptr<execution::Retries> retries_;
  std::unique_ptr<execution::RunnerApi> runner_api_;
  std::unique_ptr<execution::SystemLauncher> launcher_;
  std::unique_ptr<execution::Dispatcher> dispatcher_;
  std::unique_ptr<FolderPublisher> workspaces_;
  std::unique_ptr<FolderPublisher> standalone_jobs_;
  int published_ = 0;  // publishers that have read all of theirs once
  std::unique_ptr<Fetcher> fetcher_;
  std::unique_ptr<TemplateRegistry> templates_;
  std::unique_ptr<server::Api> api_;
  std::unique_ptr<http::Server> local_;           // on the unix socket: people here, and runners
  std::unique_ptr<http::Server> network_;         // over TCP, if wanted
  std::unique_ptr<http::Server> metrics_server_;  // answers to the very end
  Background deciding_;                           // end by themselves when told to stop
  Background background_;                         // are cancelled
  Signal stop_;
  Signal rescan_;
  int stop_requests_ = 0;
  Status outcome_;
};

}  // namespace provisioner
