#include "app/daemon.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/ip/host_name.hpp>
#include <boost/asio/signal_set.hpp>
#include <csignal>
#include <exception>
#include <filesystem>
#include <utility>

#include "app/elections.hpp"
#include "app/process.hpp"
#include "app/reporter.hpp"
#include "cli/command_line.hpp"
#include "config/workspace_file.hpp"
#include "execution/content_scan.hpp"
#include "execution/process_proof.hpp"
#include "runtime/backoff.hpp"
#include "runtime/first_of.hpp"
#include "scheduler/plan.hpp"
#include "store/postgres/postgres_store.hpp"
#include "store/sqlite/sqlite_store.hpp"

namespace provisioner {
namespace {

constexpr std::size_t kOffloadThreads = 4;
constexpr Duration kFirstRetry = std::chrono::milliseconds(200);  // of a store out of reach
constexpr Duration kLastRetry = std::chrono::seconds(5);
constexpr Duration kExpiryNotice = std::chrono::hours(24 * 14);

Result<WorkspaceSpec> read_spec(const WorkspaceName& name, std::string_view config) {
  auto parsed = parse_workspace(name, config,
                                is_standalone(name)
                                    ? fmt::format("jobs/{}.json", standalone_job_of(name).value)
                                    : fmt::format("workspaces/{}/config.json", name.value));
  if (!parsed) return std::unexpected(parsed.error());
  return std::move(parsed->spec);
}

// An installation of the file-based predecessor, whose live infrastructure an empty store must not
// deploy again.
std::string find_predecessor(const std::filesystem::path& state_dir) {
  for (const char* name : {"scheduler.json", "deployments"}) {
    std::error_code ignored;
    if (!std::filesystem::exists(state_dir / name, ignored)) continue;
    return fmt::format(
        "{} belongs to an installation of the file-based version, and no import is recorded: "
        "nothing is scheduled. Stop this daemon and run 'provisioner migrate import --from {}'",
        (state_dir / name).string(), state_dir.string());
  }
  return "";
}

bool is_loopback(const std::string& host) {
  return host == "localhost" || host == "::1" || host.starts_with("127.");
}

// Tells two instances with one id apart. Containers have no machine id, but names of their own.
std::string home_of(const Settings& settings) {
  std::string machine = execution::this_habitat().machine_id;
  boost::system::error_code nameless;
  if (machine.empty()) machine = boost::asio::ip::host_name(nameless);
  return fmt::format("{}:{}", machine, settings.state_dir.string());
}

}  // namespace

RetentionPolicy retention_of(const Settings& settings) {
  return {.runs = settings.retention.runs,
          .state_versions = settings.retention.state_versions,
          .least_state_versions = settings.retention.least_state_versions};
}

server::AccessLimits access_limits(const Settings& settings) {
  return {.caller_per_second = static_cast<double>(settings.api.caller_rate),
          .total_per_second = static_cast<double>(settings.api.total_rate)};
}

Daemon::Daemon(Start start)
    : settings_(std::move(start.loaded.settings)),
      origins_(std::move(start.loaded.origins)),
      read_settings_(std::move(start.read_settings)),
      environment_(std::move(start.environment)),
      log_threshold_(std::move(start.log_threshold)),
      clock_(loop_.get_executor()),
      log_(Logger(std::move(start.sink), clock_, "daemon")
               .with({{"instance", settings_.instance_id.value}})),
      offload_(kOffloadThreads),
      incarnation_(random_.incarnation()),
      started_at_(clock_.now()),
      metrics_(clock_, settings_, started_at_),
      release_token_(std::move(start.release_token)),
      health_(clock_),
      deciding_(loop_.get_executor(), log_),
      background_(loop_.get_executor(), log_),
      stop_(loop_.get_executor()),
      rescan_(loop_.get_executor()) {}

Result<std::unique_ptr<Daemon>> Daemon::open(Start start) {
  std::unique_ptr<Daemon> daemon(new Daemon(std::move(start)));
  daemon->make_breakers();
  if (auto made = daemon->open_election(); !made) return std::unexpected(made.error());
  const bool is_embedded = daemon->settings_.database.host.empty();
  if (auto opened = is_embedded ? daemon->open_embedded() : daemon->open_shared(); !opened) {
    return std::unexpected(opened.error());
  }
  return daemon;
}

Status Daemon::open_embedded() {
  auto store = open_sqlite_store(loop_.get_executor(), settings_.state_dir / "provisioner.db");
  if (!store) return std::unexpected(store.error());
  store_ = std::move(*store);
  return {};
}

Status Daemon::open_shared() {
  auto lock = DirectoryLock::take(settings_.state_dir);
  if (!lock) return std::unexpected(lock.error());
  directory_lock_.emplace(std::move(*lock));
  auto postgres = postgres_settings(settings_);
  if (!postgres) return std::unexpected(postgres.error());
  postgres_ = std::move(*postgres);
  metrics_.ask_pool(store_counters_);
  return {};
}

Status Daemon::open_election() {
  auto election = make_election(loop_.get_executor(), clock_, random_, settings_, incarnation_);
  if (!election) return std::unexpected(election.error());
  election_ = std::move(*election);
  election_->on_release_token([this](const std::string& token) {
    if (const Status told = release_token_.set(token); !told) {
      log_.warning(fmt::format("should this daemon be killed, others wait for its ttl: {}",
                               told.error().message));
    }
  });
  return {};
}

Task<Status> Daemon::connect() {
  auto store = co_await open_postgres_store(loop_.get_executor(), clock_, *postgres_,
                                            store_counters_, store_breaker_);
  if (!store) co_return std::unexpected(store.error());
  store_ = std::move(*store);
  for (const std::string& warning : store_->warnings()) log_.warning(warning);
  co_return Status();
}

// Tries until it succeeds, fails for good, or the daemon is told to stop (kCancelled).
Task<Status> Daemon::once_available(std::string what, std::function<Task<Status>()> attempt) {
  Backoff backoff(kFirstRetry, kLastRetry);
  std::string said;
  while (true) {
    Status done = fail(ErrorKind::kCancelled, "stopped before it was ready");
    const auto attempted = [](Status& outcome, Task<Status> task) -> Task<> {
      outcome = co_await std::move(task);
    };
    co_await first_of(attempted(done, attempt()), stop_.wait());
    if (stop_requests_ > 0) co_return fail(ErrorKind::kCancelled, "stopped before it was ready");
    // Each attempt may be repeated, also one that was perhaps carried out.
    if (done ||
        (done.error().kind != ErrorKind::kUnavailable &&
         done.error().kind != ErrorKind::kAmbiguous && done.error().kind != ErrorKind::kTimeout)) {
      co_return done;
    }
    waiting_for_ = fmt::format("{}: {}", what, done.error().message);
    if (std::exchange(said, done.error().message) != said) {
      log_.warning(fmt::format("not ready, trying again: {}", waiting_for_));
    }
    co_await stop_.wait_until(clock_, clock_.boot_now() + backoff.next(random_));
    if (stop_requests_ > 0) co_return fail(ErrorKind::kCancelled, "stopped before it was ready");
  }
}

Task<Status> Daemon::prepare() {
  if (!store_) {
    auto connected = co_await once_available("opening the store", [this] { return connect(); });
    if (!connected) co_return connected;
  }
  auto looked = co_await once_available("looking for an import", [this] { return look_back(); });
  if (!looked) co_return looked;
  auto settled =
      co_await once_available("settling the time zone", [this] { return settle_time_zone(); });
  if (!settled) co_return settled;
  build();
  auto entered =
      co_await once_available("entering the cluster", [this] { return membership_->enter(); });
  if (!entered) co_return entered;
  waiting_for_.clear();
  co_return Status();
}

Task<Status> Daemon::look_back() {
  refusal_ = find_predecessor(settings_.state_dir);
  if (refusal_.empty()) co_return Status();
  const auto source = co_await store_->imported_from();
  if (!source) co_return std::unexpected(source.error());
  if (!source->empty()) refusal_.clear();
  co_return Status();
}

// The cluster has one time zone, the first one that was resolved.
Task<Status> Daemon::settle_time_zone() {
  std::string name = settings_.scheduler.timezone;
  if (name.empty()) {
    auto system = system_zone_name();
    if (!system) co_return fail("scheduler.timezone is not set", system.error());
    name = *system;
  }
  const auto stored = co_await store_->setting_or_insert("timezone", name);
  if (!stored) co_return fail("reading the time zone from the store", stored.error());
  if (!settings_.scheduler.timezone.empty() && *stored != name) {
    co_return fail(ErrorKind::kInvalid,
                   fmt::format("scheduler.timezone is {}, but the store's time zone is {}: "
                               "schedules would move. Set it to {}",
                               name, *stored, *stored));
  }
  auto zone = Zone::find(*stored);
  if (!zone) co_return fail("scheduler.timezone", zone.error());
  zone_ = *zone;
  co_return Status();
}

void Daemon::build() {
  const auto loop = loop_.get_executor();
  const auto fence = [this] { return leadership_->fence(); };
  membership_ = std::make_unique<Membership>(
      Membership::Parts{.loop = loop,
                        .store = *store_,
                        .clock = clock_,
                        .log = log_.named("cluster"),
                        .ready = [this] { return not_ready().empty(); },
                        .changed = [this] { heed_membership(); }},
      Instance{.id = settings_.instance_id,
               .incarnation = incarnation_,
               .version = cli::version(),
               .home = home_of(settings_),
               .started_at = started_at_});
  leadership_ = std::make_unique<LeadershipLoop>(loop, *election_, *store_, clock_, random_,
                                                 settings_.instance_id, log_.named("election"));
  scheduler_ = std::make_unique<Scheduler>(
      loop, clock_, random_, *store_,
      [this] { return membership_->clock_agrees() ? leadership_->fence() : std::nullopt; },
      read_spec, log_.named("scheduler"),
      SchedulerSettings{.default_zone = *zone_, .retention = retention_of(settings_)});
  leadership_->on_change([this] { scheduler_->wake(); });

  workspace_log_ =
      std::make_unique<execution::WorkspaceLog>(settings_.log_dir, log_.named("workspace_log"));
  assignments_ = std::make_unique<execution::AssignmentSource>(settings_, environment_, offload_);
  if (postgres_) {
    recent_ends_ = std::make_unique<execution::RecentEnds>(
        execution::RecentEnds::Parts{.store = *store_,
                                     .clock = clock_,
                                     .log = log_.named("execution"),
                                     .me = settings_.instance_id,
                                     .on_interrupt = settings_.runs.on_interrupt});
  }
  retries_ = std::make_unique<execution::Retries>(
      clock_, random_, log_.named("execution"),
      execution::RetrySettings{.policy = {.max_retries = settings_.retry.max_retries,
                                          .base_delay = settings_.retry.base_delay,
                                          .max_delay = settings_.retry.max_delay},
                               .breaker = {.max_failures = settings_.breaker.max_failures,
                                           .max_requests = settings_.breaker.max_requests,
                                           .timeout = settings_.breaker.timeout,
                                           .report_within = settings_.breaker.timeout,
                                           .interval = settings_.breaker.interval}});
  runner_api_ = std::make_unique<execution::RunnerApi>(execution::RunnerApi::Parts{
      .store = *store_,
      .clock = clock_,
      .workspace_log = *workspace_log_,
      .log = log_.named("runner_api"),
      .assign =
          [this](Run run, std::string directory) {
            return assignments_->assign(std::move(run), std::move(directory));
          },
      .lease = settings_.runs.lease,
      .acknowledged =
          [this](const Run& run, const AttemptResult& result) {
            if (recent_ends_) recent_ends_->acknowledged(run, result);
          },
      .retries = retries_.get()});
  launcher_ = std::make_unique<execution::SystemLauncher>(
      loop, offload_,
      execution::SystemLauncherSettings{.state_dir = settings_.state_dir,
                                        .socket = settings_.state_dir / "provisioner.sock",
                                        .programs = own_directory()});
  dispatcher_ = std::make_unique<execution::Dispatcher>(
      execution::Dispatcher::Parts{.loop = loop,
                                   .store = *store_,
                                   .clock = clock_,
                                   .random = random_,
                                   .launcher = *launcher_,
                                   .workspace_log = *workspace_log_,
                                   .runner_api = *runner_api_,
                                   .log = log_.named("execution"),
                                   .current_fence = fence,
                                   .retries = retries_.get()},
      execution::DispatcherSettings{.instance = settings_.instance_id,
                                    .incarnation = incarnation_,
                                    .state_dir = settings_.state_dir,
                                    .capacity = settings_.execution.capacity,
                                    .every_instance_claims = settings_.execution.mode == "cluster",
                                    .lease = settings_.runs.lease,
                                    .stop_allowance = settings_.runs.stop_allowance,
                                    .on_interrupt = settings_.runs.on_interrupt});
  const FolderPublisherOptions publishing{
      .settle = settings_.change_settle,
      .reporter = reporter_of(settings_),
      .first_cursor = [this](const WorkspaceSpec& spec, Instant now) {
        const auto zone = spec.timezone ? Zone::find(*spec.timezone) : Result<Zone>(*zone_);
        const Timeline timeline(spec.rules, zone.value_or(*zone_), spec.dst);
        return first_cursor(timeline, settings_.scheduler.first_seen, now);
      }};
  workspaces_ = std::make_unique<FolderPublisher>(
      loop, clock_, offload_, *store_, log_.named("config"),
      workspace_folders(settings_.workspaces_dir, tofu_content_scan()), publishing);
  standalone_jobs_ =
      std::make_unique<FolderPublisher>(loop, clock_, offload_, *store_, log_.named("config"),
                                        standalone_jobs(settings_.jobs_dir()), publishing);
  fetcher_ = std::make_unique<Fetcher>(
      clock_, log_.named("templates"), environment_,
      FetcherSettings{.scratch = settings_.state_dir / "fetches",
                      .patience = settings_.templates.fetch_timeout,
                      .breaker = {.max_failures = settings_.breaker.max_failures,
                                  .max_requests = settings_.breaker.max_requests,
                                  .timeout = settings_.breaker.timeout,
                                  .interval = settings_.breaker.interval}});
  templates_ =
      std::make_unique<TemplateRegistry>(*store_, clock_, log_.named("templates"), *fetcher_);
  metrics_.ask({.scheduler = *scheduler_,
                .leadership = *leadership_,
                .dispatcher = *dispatcher_,
                .runner_api = *runner_api_});
  build_api();
}

void Daemon::build_api() {
  api_ = std::make_unique<server::Api>(server::Api::Parts{
      .store = *store_,
      .clock = clock_,
      .random = random_,
      .log = log_.named("api"),
      .version = cli::version(),
      .instance = settings_.instance_id,
      .access = server::system_access_policy((settings_.state_dir / "provisioner.sock").string()),
      .limits = access_limits(settings_),
      .read_spec = read_spec,
      .default_zone = *zone_,
      .templates = *templates_,
      .leader =
          [this] {
            server::LeaderView view;
            if (const auto deadline = leadership_->deadline()) {
              view.leads = true;
              view.lease_expires_at = clock_.now() + (*deadline - clock_.boot_now());
            }
            return view;
          },
      .election = election_->describe(),
      .election_problem = [this] { return election_problem_; },
      .readiness =
          [this] {
            const std::string reason = not_ready();
            return server::Readiness{.ready = reason.empty(), .reason = reason};
          },
      .health = [this] { return checks(); },
      .config_problems = [this] { return config_problems(); },
      .reload = [this] { return read_configuration_again(); },
      .masking =
          [this](Workspace workspace) { return assignments_->masking(std::move(workspace)); },
      .runner_api =
          [this](http::Request request) { return runner_api_->handle(std::move(request)); }});
}

Status Daemon::listen() {
  const http::Handler count = [this, answer = http::Handler([this](http::Request request) {
                                       return this->answer(std::move(request));
                                     })](http::Request request) {
    return metrics_.count(std::move(request), answer);
  };
  const auto serve = [&] {
    return std::make_unique<http::Server>(
        loop_.get_executor(), count, http::ServerLimits{}, [this](const std::string& what) {
          log_.error("internal error in a request", {{"error", what}});
        });
  };
  local_ = serve();
  network_ = serve();
  // Everybody may connect: the API knows its peer, and refuses.
  const auto socket = settings_.state_dir / "provisioner.sock";
  if (auto bound = local_->listen_unix(socket, 0666); !bound) return bound;
  if (!settings_.listen) {
    log_.info("listening", {{"socket", socket.string()}});
    return {};
  }
  auto tls = read_certificate();
  if (!tls) return std::unexpected(tls.error());
  auto port = network_->listen_tcp(settings_.listen->host, settings_.listen->port, *tls);
  if (!port) return std::unexpected(port.error());
  const std::string& host = settings_.listen->host;
  log_.info("listening",
            {{"address", fmt::format("{}://{}:{}", *tls ? "https" : "http",
                                     host.contains(':') ? "[" + host + "]" : host, *port)},
             {"socket", socket.string()}});
  if (!*tls && !is_loopback(host)) {
    log_.warning(
        "other machines reach the API without TLS, so tokens travel in the clear: set tls.cert and "
        "tls.key, or let nothing but a proxy that speaks TLS reach it",
        {{"listen", host}});
  }
  return {};
}

Status Daemon::listen_for_metrics() {
  metrics_.ask([this] { return waiting_for_.empty() && not_ready().empty(); },
               [this] { return election_problem_; }, [this] { return health_.checks(); });
  metrics_.ask_breakers([this] { return breakers(); });
  metrics_.ask_fetches([this] { return fetcher_ ? fetcher_->counts() : FetchCounts(); });
  if (!settings_.metrics.listen) return {};
  const auto& [host, wanted_port] = *settings_.metrics.listen;
  metrics_server_ = std::make_unique<http::Server>(
      loop_.get_executor(),
      [this](http::Request request) -> Task<http::Response> { co_return metrics_.answer(request); },
      http::ServerLimits{.header_bytes = 16 * 1024, .body_bytes = 16 * 1024, .connections = 64},
      [this](const std::string& what) {
        log_.error("internal error in a request for metrics", {{"error", what}});
      });
  auto port = metrics_server_->listen_tcp(host, wanted_port);
  if (!port) return fail("metrics.listen", port.error());
  log_.info("metrics",
            {{"address", fmt::format("http://{}:{}/metrics",
                                     host.contains(':') ? "[" + host + "]" : host, *port)}});
  return {};
}

Task<http::Response> Daemon::answer(http::Request request) {
  if (waiting_for_.empty()) co_return co_await api_->handle(std::move(request));
  co_return server::answer_not_ready(request,
                                     {.version = cli::version(),
                                      .instance = settings_.instance_id,
                                      .now = clock_.now(),
                                      .readiness = {.ready = false, .reason = waiting_for_}});
}

// Nothing when the API speaks plain HTTP. A certificate that has expired is served: its clients
// refuse it, while schedules and the unix socket do not need it.
Result<std::shared_ptr<const http::TlsContext>> Daemon::read_certificate() {
  if (settings_.tls.cert.empty()) return nullptr;
  auto tls = http::TlsContext::make(
      http::TlsRole::kServer,
      {.ca = settings_.tls.client_ca, .cert = settings_.tls.cert, .key = settings_.tls.key});
  if (!tls) return std::unexpected(tls.error());
  const std::optional<Instant> end = (*tls)->expires_at();
  if (end && *end <= clock_.now()) {
    log_.error(
        fmt::format("the certificate {} expired at {}: clients refuse it. Renew it and send "
                    "SIGHUP",
                    settings_.tls.cert.string(), format_rfc3339(*end)));
  } else if (end && *end <= clock_.now() + kExpiryNotice) {
    log_.warning(fmt::format("the certificate {} expires at {}", settings_.tls.cert.string(),
                             format_rfc3339(*end)));
  }
  return tls;
}

void Daemon::renew_certificate() {
  if (!settings_.listen || settings_.tls.cert.empty()) return;
  auto tls = read_certificate();
  if (!tls) {
    log_.error("the certificate in use stays: " + tls.error().message);
    return;
  }
  network_->renew_tls(std::move(*tls));
  log_.info("certificate read again", {{"file", settings_.tls.cert.string()}});
}

Status Daemon::run() {
  if (auto listening = listen(); !listening) return listening;
  if (auto listening = listen_for_metrics(); !listening) return listening;
  std::exception_ptr bug;
  boost::asio::co_spawn(loop_, live(), [&](std::exception_ptr thrown) {
    bug = thrown;
    loop_.stop();
  });
  loop_.run();
  if (bug) std::rethrow_exception(bug);
  return outcome_;
}

Task<> Daemon::live() {
  boost::asio::signal_set signals(loop_, SIGTERM, SIGINT, SIGHUP);
  const std::function<void()> await_signal = [&] {
    signals.async_wait([&](boost::system::error_code error, int number) {
      if (error) return;
      if (number == SIGHUP) {
        reload();
      } else {
        ++stop_requests_;
        stop_.notify();
      }
      await_signal();
    });
  };
  await_signal();

  if (const auto interval = systemd_watchdog()) {
    background_.start("watchdog", feed_watchdog(*interval / 3));
  }
  if (settings_.metrics.listen) background_.start("watch of the loop", metrics_.watch_loop());
  log_.info("starting", {{"version", cli::version()}, {"election", election_->describe()}});
  if (const Status prepared = co_await prepare(); !prepared) {
    if (prepared.error().kind != ErrorKind::kCancelled) outcome_ = prepared;
    signals.cancel();
    co_return;
  }
  co_await begin();
  co_await stop_.wait();
  co_await end();
  signals.cancel();
}

// A loop that stands still for the whole interval is killed, and the daemon started again; runs go
// on.
Task<> Daemon::feed_watchdog(Duration interval) {
  while (true) {
    notify_systemd("WATCHDOG=1");
    co_await clock_.sleep_for(interval);
  }
}

// A person drains this instance, or its clock or its id is not what it should be.
void Daemon::heed_membership() {
  const bool id_lost = !membership_->id_lost().empty();
  // A daemon that stops must not begin anew because a drain was undone meanwhile.
  const bool aside = membership_->draining() || id_lost || stop_requests_ > 0;
  leadership_->stand_aside(aside);
  dispatcher_->set_claiming(!aside);
  scheduler_->wake();
  if (!id_lost || stop_requests_ > 0) return;
  outcome_ = fail(ErrorKind::kConflict, membership_->id_lost());
  log_.error("stopping: " + membership_->id_lost());
  ++stop_requests_;
  stop_.notify();
}

Task<> Daemon::begin() {
  log_.info("prepared", {{"store", store_->describe()}, {"timezone", std::string(zone_->name())}});
  background_.start("membership", membership_->run());
  watch_health();
  if (settings_.metrics.listen) {
    background_.start("watch of the leadership", metrics_.watch_store(*store_));
  }
  heed_membership();
  if (!refusal_.empty()) {
    log_.error(refusal_);
    notify_systemd("READY=1\nSTATUS=" + refusal_);
    co_return;
  }
  deciding_.start("leadership loop", leadership_->run());
  deciding_.start("scheduler", scheduler_->run());
  background_.start("dispatcher", dispatcher_->run());
  if (recent_ends_) background_.start("memory of ends", recent_ends_->run());
  background_.start("folder publisher", publish_folders(*workspaces_, settings_.workspaces_dir));
  background_.start("publisher of standalone jobs",
                    publish_folders(*standalone_jobs_, settings_.jobs_dir()));
  const auto rescan = [](Signal& wanted, Daemon& daemon) -> Task<> {
    while (true) {
      co_await wanted.wait();
      if ((co_await boost::asio::this_coro::cancellation_state).cancelled() !=
          boost::asio::cancellation_type::none) {
        co_return;
      }
      daemon.log_.info("reading all workspaces and jobs again");
      if (auto done = co_await daemon.read_configuration_again(); !done) {
        daemon.log_.error(done.error().message);
      }
    }
  };
  background_.start("rescan", rescan(rescan_, *this));
  notify_systemd("READY=1\nSTATUS=serving");
}

}  // namespace provisioner
