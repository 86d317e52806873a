#include "app/serve.hpp"

#include <fmt/format.h>

#include <boost/asio/io_context.hpp>
#include <filesystem>
#include <memory>

#include "app/daemon.hpp"
#include "app/process.hpp"
#include "cli/exit_code.hpp"
#include "config/settings.hpp"
#include "runtime/clock.hpp"
#include "schedule/zone.hpp"

namespace provisioner {
namespace {

LogFormat format_of(const Settings& settings) {
  if (settings.log.format == "text") return LogFormat::kText;
  return settings.log.format == "json" ? LogFormat::kJson : LogFormat::kAuto;
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

}  // namespace

int serve(std::map<std::string, std::string> flags) {
  const Environment environment = process_environment();
  auto loaded = load_settings(process_setting_sources(std::move(flags)));
  if (!loaded) return cli::report(loaded.error());
  remove_own_credentials();
  harden_process();
  if (auto zones = check_zone_data(); !zones) return cli::report(zones.error());
  if (auto made = make_directories(loaded->settings); !made) {
    cli::report(made.error());
    return cli::kFailed;
  }

  const auto level = parse_log_level(loaded->settings.log.level).value_or(LogLevel::kInfo);
  std::shared_ptr<LogSink> sink = standard_error_sink(format_of(loaded->settings), level);
  boost::asio::io_context unused_loop;
  const SystemClock clock(unused_loop.get_executor());
  for (const auto& warning : loaded->warnings) Logger(sink, clock, "config").warning(warning);
  auto daemon = Daemon::open(loaded->settings, environment, sink);
  if (!daemon) return cli::report(daemon.error());
  if (auto served = (*daemon)->run(); !served) return cli::report(served.error());
  return cli::kDone;
}

}  // namespace provisioner
