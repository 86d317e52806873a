#include "app/migrate_import.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <cerrno>
#include <exception>
#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "app/elections.hpp"
#include "app/reporter.hpp"
#include "config/settings.hpp"
#include "migration/import_plan.hpp"
#include "migration/old_installation.hpp"
#include "runtime/clock.hpp"
#include "runtime/directory_lock.hpp"
#include "store/postgres/postgres_store.hpp"
#include "store/sqlite/sqlite_store.hpp"

namespace provisioner {
namespace {

namespace fs = std::filesystem;

// An instance that reported so lately may be alive.
constexpr Duration kAlive = std::chrono::seconds(60);

// A directory that is gone afterwards: what is tried out on an embedded store that does not exist
// yet leaves none behind.
class ScratchDirectory {
 public:
  ScratchDirectory() {
    std::string name = (fs::temp_directory_path() / "provisioner-import-XXXXXX").string();
    if (::mkdtemp(name.data()) != nullptr) path_ = name;
  }
  ~ScratchDirectory() {
    std::error_code ignored;
    if (!path_.empty()) fs::remove_all(path_, ignored);
  }
  ScratchDirectory(const ScratchDirectory&) = delete;
  ScratchDirectory& operator=(const ScratchDirectory&) = delete;

  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

Task<Status> check_nobody_serves(Store& store, Instant now) {
  const auto instances = co_await store.instances();
  if (!instances) co_return std::unexpected(instances.error());
  for (const Instance& instance : *instances) {
    if (instance.stopped || now - instance.last_seen > kAlive) continue;
    co_return fail(
        ErrorKind::kConflict,
        fmt::format(
            "instance {} was seen {} s ago: stop the daemons first", instance.id.value,
            std::chrono::duration_cast<std::chrono::seconds>(now - instance.last_seen).count()));
  }
  co_return Status();
}

// Root may import for a daemon that runs as another user: what is made in its directory is its own.
Status give_to_owner(const fs::path& state_dir) {
  struct stat directory{};
  if (::geteuid() != 0 || ::stat(state_dir.c_str(), &directory) != 0) return {};
  for (const char* name :
       {"provisioner.db", "provisioner.db-wal", "provisioner.db-shm", "provisioner.lock"}) {
    const fs::path file = state_dir / name;
    if (::lchown(file.c_str(), directory.st_uid, directory.st_gid) != 0 && errno != ENOENT) {
      return fail_errno(fmt::format("giving {} to the owner of its directory", file.string()),
                        errno);
    }
  }
  return {};
}

Task<Result<std::map<std::string, TemplateContent>>> known_templates(Store& store) {
  std::map<std::string, TemplateContent> known;
  const auto rows = co_await store.templates();
  if (!rows) co_return std::unexpected(rows.error());
  for (const Template& row : *rows) {
    auto bytes = co_await store.bundle(row.bundle);
    if (!bytes) co_return std::unexpected(bytes.error());
    known[row.name.value] = {.hash = row.bundle,
                             .bytes = std::make_shared<const std::string>(*std::move(bytes))};
  }
  co_return known;
}

struct Import {
  const cli::ImportWish& wish;
  const Settings& settings;
  const fs::path from;
  SystemClock& clock;
  boost::asio::any_io_executor loop;
};

nlohmann::ordered_json to_json(const migration::ImportPlan& plan,
                               const std::vector<ImportOutcome>& outcomes) {
  const auto or_null = [](const std::string& text) {
    return text.empty() ? nlohmann::ordered_json() : nlohmann::ordered_json(text);
  };
  auto workspaces = nlohmann::ordered_json::array();
  for (std::size_t i = 0; i < plan.entries.size(); ++i) {
    const auto& entry = plan.entries[i];
    const ImportedWorkspace& becomes = plan.items[i].workspace;
    workspaces.push_back({{"workspace", entry.workspace.value},
                          {"outcome", to_string(outcomes[i].fate)},
                          {"reason", or_null(outcomes[i].reason)},
                          {"old_status", or_null(entry.old_status)},
                          {"state", entry.witness},
                          {"status", to_string(becomes.status)},
                          {"mode", or_null(becomes.mode)},
                          {"held", !becomes.hold_reason.empty()},
                          {"notes", entry.notes}});
  }
  return workspaces;
}

Task<Result<std::string>> import_into(Store& store, const Import& import) {
  const Instant now = import.clock.now();
  if (auto alone = co_await check_nobody_serves(store, now); !alone) {
    co_return std::unexpected(alone.error());
  }
  const auto old = migration::read_old_installation(import.from);
  if (!old) co_return std::unexpected(old.error());
  auto templates = co_await known_templates(store);
  if (!templates) co_return std::unexpected(templates.error());
  const auto plan = migration::plan_import(*old, {.workspaces_dir = import.settings.workspaces_dir,
                                                  .jobs_dir = import.settings.jobs_dir(),
                                                  .reporter = reporter_of(import.settings),
                                                  .templates = *std::move(templates),
                                                  .now = now});
  if (!plan) co_return std::unexpected(plan.error());
  const auto outcomes = co_await store.import_installation(
      {.templates = plan->templates,
       .items = plan->items,
       .source = fmt::format("{} at {}", import.from.string(), format_rfc3339(now)),
       .dry_run = import.wish.dry_run},
      now);
  if (!outcomes) co_return std::unexpected(outcomes.error());
  if (!import.wish.dry_run) {
    const auto noted = co_await store.audit({.at = now,
                                             .actor = fmt::format("uid:{}", ::geteuid()),
                                             .action = "migrate.import",
                                             .target = import.from.string(),
                                             .outcome = "accepted"});
    if (!noted) co_return std::unexpected(noted.error());
  }
  auto new_templates = nlohmann::ordered_json::array();
  for (const auto& made : plan->templates) new_templates.push_back(made.row.name.value);
  co_return nlohmann::ordered_json{
      {"from", import.from.string()},          {"store", store.describe()},
      {"dry_run", import.wish.dry_run},        {"workspaces", to_json(*plan, *outcomes)},
      {"templates", std::move(new_templates)}, {"problems", plan->problems}}
      .dump();
}

Task<Result<std::string>> run(const Import& import) {
  const Settings& settings = import.settings;
  if (!settings.database.host.empty()) {
    auto lock = DirectoryLock::take(settings.state_dir);
    if (!lock) co_return std::unexpected(lock.error());
    auto postgres = postgres_settings(settings);
    if (!postgres) co_return std::unexpected(postgres.error());
    auto store = co_await open_postgres_store(import.loop, import.clock, std::move(*postgres));
    if (!store) co_return std::unexpected(store.error());
    co_return co_await import_into(**store, import);
  }
  const fs::path file = settings.state_dir / "provisioner.db";
  std::error_code none;
  std::optional<ScratchDirectory> scratch;
  if (import.wish.dry_run && !fs::exists(file, none)) scratch.emplace();
  auto store = open_sqlite_store(import.loop, scratch ? scratch->path() / "provisioner.db" : file);
  if (!store) co_return std::unexpected(store.error());
  co_return co_await import_into(**store, import);
}

}  // namespace

Result<std::string> migrate_import(const cli::ImportWish& wish) {
  auto loaded = load_settings(process_setting_sources(wish.flags));
  if (!loaded) return std::unexpected(loaded.error());
  boost::asio::io_context loop;
  SystemClock clock(loop.get_executor());
  std::error_code error;
  const fs::path from =
      fs::absolute(wish.from.empty() ? loaded->settings.state_dir : fs::path(wish.from), error);
  if (error) return fail_errno(wish.from, error.value());
  const Import import{.wish = wish,
                      .settings = loaded->settings,
                      .from = from.lexically_normal(),
                      .clock = clock,
                      .loop = loop.get_executor()};
  Result<std::string> report = fail(ErrorKind::kInternal, "not asked");
  std::exception_ptr bug;
  boost::asio::co_spawn(
      loop, [&]() -> Task<> { report = co_await run(import); },
      [&](std::exception_ptr thrown) {
        bug = thrown;
        loop.stop();
      });
  loop.run();
  if (bug) std::rethrow_exception(bug);
  if (auto given = give_to_owner(loaded->settings.state_dir); report && !given) {
    return std::unexpected(given.error());
  }
  return report;
}

}  // namespace provisioner
