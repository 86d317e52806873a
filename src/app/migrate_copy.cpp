#include "app/migrate_copy.hpp"

#include <fmt/format.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <exception>
#include <nlohmann/json.hpp>

#include "app/elections.hpp"
#include "config/settings.hpp"
#include "runtime/clock.hpp"
#include "store/copy/copy_store.hpp"

namespace provisioner {
namespace {

// The database that the command names, else the daemon's.
Result<PostgresSettings> target_of(const Settings& settings, const std::string& url) {
  if (!url.empty()) {
    auto named = parse_postgres_url(url);
    if (!named) return fail("--to", named.error());
    // libpq looks for PGPASSWORD itself.
    named->password = settings.database.password;
    return named;
  }
  if (settings.database.host.empty()) {
    return fail(ErrorKind::kInvalid,
                "say where to: --to postgres://USER@HOST:PORT/DATABASE, or set database.host");
  }
  return postgres_settings(settings);
}

std::string to_json(const CopyReport& report, const std::string& from, const std::string& to,
                    bool dry_run) {
  nlohmann::json tables = nlohmann::json::array();
  for (const auto& table : report.tables) {
    nlohmann::json row = {{"name", table.name}, {"rows", table.rows}};
    if (!dry_run) {
      row["bytes"] = table.bytes;
      row["sha256"] = table.digest;
    }
    tables.push_back(std::move(row));
  }
  return nlohmann::json{{"from", from},
                        {"to", to},
                        {"dry_run", dry_run},
                        {"done_before", report.done_before},
                        {"tables", std::move(tables)},
                        {"texts_changed", report.texts_changed},
                        {"kept_directories", report.kept_directories}}
      .dump();
}

}  // namespace

Result<std::string> migrate_copy(const cli::CopyWish& wish) {
  auto loaded = load_settings(process_setting_sources(wish.flags));
  if (!loaded) return std::unexpected(loaded.error());
  auto target = target_of(loaded->settings, wish.to);
  if (!target) return std::unexpected(target.error());
  const auto& state_dir = loaded->settings.state_dir;
  const std::string name = postgres_url(*target);

  boost::asio::io_context loop;
  SystemClock clock(loop.get_executor());
  Result<CopyReport> report = fail(ErrorKind::kInternal, "not asked");
  std::exception_ptr bug;
  boost::asio::co_spawn(
      loop,
      [&]() -> Task<> {
        report = co_await copy_store(loop.get_executor(), clock,
                                     {.state_dir = state_dir,
                                      .target = *target,
                                      .target_name = name,
                                      .dry_run = wish.dry_run});
      },
      [&](std::exception_ptr thrown) {
        bug = thrown;
        loop.stop();
      });
  loop.run();
  if (bug) std::rethrow_exception(bug);
  if (!report) return std::unexpected(report.error());
  return to_json(*report, state_dir / "provisioner.db", name, wish.dry_run);
}

}  // namespace provisioner
