#include "app/serve.hpp"

#include <fmt/format.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <exception>
#include <filesystem>
#include <memory>

#include "app/daemon.hpp"
#include "app/elections.hpp"
#include "app/process.hpp"
#include "app/release_token.hpp"
#include "app/supervision.hpp"
#include "cli/exit_code.hpp"
#include "config/settings.hpp"
#include "runtime/clock.hpp"
#include "runtime/directory_lock.hpp"
#include "schedule/zone.hpp"

namespace provisioner {
namespace {

LogFormat format_of(const Settings& settings) {
  if (settings.log.format == "text") return LogFormat::kText;
  return settings.log.format == "json" ? LogFormat::kJson : LogFormat::kAuto;
}

LogThreshold threshold_of(const Settings& settings) {
  return std::make_shared<std::atomic<LogLevel>>(
      parse_log_level(settings.log.level).value_or(LogLevel::kInfo));
}

Status make_directory(const std::filesystem::path& directory, std::filesystem::perms mode) {
  std::error_code error;
  if (std::filesystem::is_directory(directory, error)) return {};
  std::filesystem::create_directories(directory, error);
  if (error)
    return fail_errno(fmt::format("making the directory {}", directory.string()), error.value());
  std::filesystem::permissions(directory, mode, error);
  if (error)
    return fail_errno(fmt::format("protecting the directory {}", directory.string()),
                      error.value());
  return {};
}

Status make_directories(const Settings& settings) {
  using std::filesystem::perms;
  // States and secrets of live attempts are below it; the socket in it carries its own permissions.
  if (auto made = make_directory(settings.state_dir,
                                 perms::owner_all | perms::group_exec | perms::others_exec);
      !made) {
    return made;
  }
  return make_directory(settings.log_dir, perms::owner_all | perms::group_read | perms::group_exec);
}

int run_daemon(std::map<std::string, std::string> flags, int token_pipe) {
  const Environment environment = process_environment();
  const SettingSources sources = process_setting_sources(std::move(flags));
  auto loaded = load_settings(sources);
  if (!loaded) return cli::report(loaded.error());
  remove_own_credentials();
  harden_process();
  if (auto zones = check_zone_data(); !zones) return cli::report(zones.error());
  if (auto made = make_directories(loaded->settings); !made) {
    cli::report(made.error());
    return cli::kFailed;
  }

  const auto threshold = threshold_of(loaded->settings);
  std::shared_ptr<LogSink> sink = standard_error_sink(format_of(loaded->settings), threshold);
  boost::asio::io_context unused_loop;
  const SystemClock clock(unused_loop.get_executor());
  for (const auto& warning : loaded->warnings) Logger(sink, clock, "config").warning(warning);
  const auto state_dir = loaded->settings.state_dir;
  auto daemon = Daemon::open({.loaded = *std::move(loaded),
                              .read_settings = [sources] { return load_settings(sources); },
                              .environment = environment,
                              .sink = sink,
                              .log_threshold = threshold,
                              .release_token = ReleaseToken(state_dir, token_pipe)});
  if (!daemon) return cli::report(daemon.error());
  if (auto served = (*daemon)->run(); !served) return cli::report(served.error());
  return cli::kDone;
}

// On a loop of its own, which leaves nothing behind.
Status release(const Settings& settings, const std::string& token) {
  boost::asio::io_context loop;
  SystemClock clock(loop.get_executor());
  SystemRandom random;
  auto election = make_election(loop.get_executor(), clock, random, settings, random.incarnation());
  if (!election) return std::unexpected(election.error());
  Status released = fail(ErrorKind::kInternal, "not asked");
  std::exception_ptr bug;
  boost::asio::co_spawn(
      loop, [&]() -> Task<> { released = co_await (*election)->release(token); },
      [&](std::exception_ptr thrown) {
        bug = thrown;
        loop.stop();
      });
  loop.run();
  if (bug) std::rethrow_exception(bug);
  if (released) forget_release_token(settings.state_dir);
  return released;
}

}  // namespace

int serve(std::map<std::string, std::string> flags) {
  const auto loaded = load_settings(process_setting_sources(flags));
  if (!loaded) return cli::report(loaded.error());
  if (!loaded->settings.supervise) return run_daemon(std::move(flags), -1);

  const Settings& settings = loaded->settings;
  return supervise({.serve = [&](int token_pipe) { return run_daemon(flags, token_pipe); },
                    .release = [&](const std::string& token) { return release(settings, token); },
                    .report =
                        [&](const std::string& what) {
                          boost::asio::io_context loop;
                          const SystemClock clock(loop.get_executor());
                          Logger(standard_error_sink(format_of(settings), threshold_of(settings)),
                                 clock, "parent")
                              .with({{"instance", settings.instance_id.value}})
                              .warning(what);
                        }});
}

int release_leadership(std::map<std::string, std::string> flags) {
  const auto loaded = load_settings(process_setting_sources(std::move(flags)));
  if (!loaded) return cli::report(loaded.error());
  const auto& state_dir = loaded->settings.state_dir;
  const auto token = kept_release_token(state_dir);
  if (!token) return cli::report(token.error());
  if (token->empty()) return cli::kDone;
  // Whoever lives here holds the leadership rightly.
  const auto lock = DirectoryLock::take(state_dir);
  if (!lock) return cli::report(lock.error());
  if (const Status released = release(loaded->settings, *token); !released) {
    return cli::report(released.error());
  }
  return cli::kDone;
}

}  // namespace provisioner
