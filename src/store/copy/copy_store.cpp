#include "store/copy/copy_store.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <memory>
#include <string_view>
#include <utility>

#include "base/text.hpp"
#include "runtime/directory_lock.hpp"
#include "runtime/random.hpp"
#include "store/copy/copy_mark.hpp"
#include "store/copy/source.hpp"
#include "store/copy/target.hpp"
#include "store/postgres/pool.hpp"
#include "store/postgres/schema.hpp"

namespace provisioner {
namespace {

using copy::Digest;
using copy::Source;
using copy::Table;
using copy::Target;

// Those that others refer to come first.
constexpr std::array<std::string_view, 17> kCopied = {
    "cluster_settings", "leader_election", "bundles",        "workspace_states",
    "config_changes",   "schedules",       "runs",           "occurrences",
    "run_attempts",     "run_logs",        "state_versions", "state_locks",
    "audit_events",     "reports",         "job_states",     "job_events",
    "templates"};
constexpr std::string_view kTokens = "api_tokens";
// An instance reports itself; what the source has of itself would be an instance that never comes.
constexpr std::array<std::string_view, 2> kLeftOut = {"instances", "schema_migrations"};
// Only there.
constexpr std::array<std::string_view, 1> kOfTarget = {"instances"};

// Under which the target knows which copy it is.
constexpr const char* kCopyKey = "copied_from_embedded";

constexpr Duration kConnect = std::chrono::seconds(30);

std::vector<std::string> copied_tables() {
  std::vector<std::string> names(kCopied.begin(), kCopied.end());
  names.emplace_back(kTokens);
  return names;
}

std::vector<std::string> tables_of_target() {
  auto names = copied_tables();
  names.insert(names.end(), kOfTarget.begin(), kOfTarget.end());
  return names;
}

Error differs(const std::string& what) {
  return {ErrorKind::kInternal,
          fmt::format("{}: this program's two schemas do not fit each other", what)};
}

// A table that this code does not know would be lost without a word.
Status check_tables(Source& source) {
  const auto copied = copied_tables();
  for (const auto& name : source.tables()) {
    if (std::ranges::find(copied, name) == copied.end() &&
        std::ranges::find(kLeftOut, name) == kLeftOut.end()) {
      return std::unexpected(differs("table " + name));
    }
  }
  return {};
}

// The source's columns with the kinds that they have in the target.
Result<Table> describe(Source& source, const std::string& name,
                       const std::vector<copy::Column>& target) {
  Table table{.name = name, .columns = {}};
  for (const auto& column : source.columns(name)) {
    const auto found = std::ranges::find(target, column, &copy::Column::name);
    if (found == target.end()) return std::unexpected(differs(name + "." + column));
    table.columns.push_back(*found);
  }
  return table;
}

Status check_source(Source& source) {
  if (auto known = check_tables(source); !known) return known;
  const auto running = source.unfinished_attempts();
  if (running.empty()) return {};
  return fail(ErrorKind::kConflict,
              fmt::format("nobody has seen the end of {}: start the daemon, let it end its runs "
                          "('provisioner cluster drain' keeps new ones from starting), stop the "
                          "daemon and copy then",
                          join(running, ", ")));
}

Result<std::optional<CopyMark>> earlier_copy(const CopyRequest& request) {
  auto mark = CopyMark::read(request.state_dir);
  if (mark && *mark && (*mark)->done) {
    return fail(
        ErrorKind::kConflict,
        fmt::format("this store was copied to {} at {}: to copy it again, delete {}",
                    (*mark)->target, (*mark)->at, CopyMark::file_in(request.state_dir).string()));
  }
  if (mark && *mark && (*mark)->target != request.target_name) {
    if (auto elsewhere = refuse_copied(request.state_dir); !elsewhere) {
      return std::unexpected(elsewhere.error());
    }
  }
  return mark;
}

std::int64_t kept_directories(const std::filesystem::path& state_dir) {
  std::error_code none;
  const std::filesystem::directory_iterator all(state_dir / "spool" / "kept", none);
  return none ? 0 : std::distance(begin(all), end(all));
}

// The name of the first table that has rows; "" where all are empty or missing.
Task<std::string> first_occupied(Target& target) {
  for (const auto& name : tables_of_target()) {
    if ((co_await target.columns(name)).empty()) continue;
    if (const auto rows = co_await target.count(name); rows > 0) {
      co_return fmt::format("{} has {} row{}", name, rows, rows == 1 ? "" : "s");
    }
  }
  co_return "";
}

Error occupied(const CopyRequest& request, const std::string& what) {
  return {ErrorKind::kConflict,
          fmt::format("{} is not empty: {}. Choose another database, or drop this one and create "
                      "it anew; a daemon must not have run on it before",
                      request.target_name, what)};
}

// Reads the source alone.
CopyReport look_at(Source& source) {
  CopyReport report;
  for (const auto& name : copied_tables()) {
    report.tables.push_back({.name = name, .rows = source.count(name), .bytes = 0, .digest = ""});
  }
  return report;
}

Task<Result<CopyReport::Table>> copy_table(Source& source, Target& target, const std::string& name,
                                           std::int64_t& texts_changed) {
  auto table = describe(source, name, co_await target.columns(name));
  if (!table) co_return std::unexpected(table.error());
  Digest read;
  {
    auto rows = source.read(*table);
    while (auto row = rows.next()) {
      const auto kept = copy::presentable(*table, *std::move(row), texts_changed);
      read.add(kept);
      co_await target.insert(*table, kept);
    }
  }
  co_await target.flush();
  Digest written = co_await target.digest(*table);
  if (const auto wrong = Digest::differing(read, written); wrong > 0) {
    co_return fail(ErrorKind::kCorrupt,
                   fmt::format("{}: of {} rows, {} read back from the database; {} differ. Nothing "
                               "was kept",
                               name, read.rows(), written.rows(), wrong));
  }
  co_return CopyReport::Table{
      .name = name, .rows = read.rows(), .bytes = read.bytes(), .digest = read.hex()};
}

Task<Status> copy_tables(Source& source, Target& target, const CopyRequest& request,
                         CopyReport& report) {
  for (const auto& name : copied_tables()) {
    std::optional<Error> failure;
    try {
      auto copied = co_await copy_table(source, target, name, report.texts_changed);
      if (!copied) co_return std::unexpected(copied.error());
      report.tables.push_back(*std::move(copied));
    } catch (const postgres::SqlError& error) {
      failure = error.error();
    }
    if (failure) {
      co_return fail(fmt::format("copying {} to {}", name, request.target_name), *failure);
    }
  }
  co_await target.number_on("runs", "seq");
  co_await target.number_on("audit_events", "seq");
  co_await target.number_on("job_events", "number");
  co_return Status();
}

// An earlier copy to this target that was cut off while it committed.
Task<bool> was_committed(Target& target, const std::optional<CopyMark>& mark) {
  if (!mark || (co_await target.columns("cluster_settings")).empty()) co_return false;
  co_return co_await target.setting(kCopyKey) == mark->id;
}

Task<Result<CopyReport>> copy_all(const std::shared_ptr<postgres::Pool>& pool, Clock& clock,
                                  Source& source, const CopyRequest& request,
                                  const std::optional<CopyMark>& earlier) {
  co_await postgres::migrate(*pool, clock.boot_now() + kConnect);
  auto lease = co_await pool->acquire(clock.boot_now() + kConnect);
  lease.throw_away();  // what is not committed ends with the connection
  Target target(*lease, clock);
  CopyReport report;
  co_await target.begin(tables_of_target());
  if (co_await was_committed(target, earlier)) {
    CopyMark done = *earlier;
    done.done = true;
    report.done_before = true;
    if (auto marked = done.write(request.state_dir); !marked) {
      co_return std::unexpected(marked.error());
    }
    co_return report;
  }
  if (const auto what = co_await first_occupied(target); !what.empty()) {
    co_return std::unexpected(occupied(request, what));
  }
  if (auto copied = co_await copy_tables(source, target, request, report); !copied) {
    co_return std::unexpected(copied.error());
  }

  SystemRandom random;
  CopyMark mark{.id = random.run_id(clock.now()).value,
                .target = request.target_name,
                .at = format_rfc3339(clock.now())};
  co_await target.set(kCopyKey, mark.id);
  // First the mark: a daemon must not start on the source while the copy may exist.
  if (auto marked = mark.write(request.state_dir); !marked)
    co_return std::unexpected(marked.error());
  std::optional<Error> unsure;
  try {
    co_await target.commit();
  } catch (const postgres::SqlError& error) {
    unsure = error.error();
  }
  if (unsure) {
    co_return fail(ErrorKind::kAmbiguous,
                   fmt::format("committing the copy: {}: whether it was kept is unknown. Run the "
                               "same command again: it finds out",
                               unsure->message));
  }
  mark.done = true;
  if (auto marked = mark.write(request.state_dir); !marked)
    co_return std::unexpected(marked.error());
  co_return report;
}

Task<Result<CopyReport>> dry_run(const std::shared_ptr<postgres::Pool>& pool, Clock& clock,
                                 Source& source, const CopyRequest& request) {
  auto lease = co_await pool->acquire(clock.boot_now() + kConnect);
  Target target(*lease, clock);
  if (const auto what = co_await first_occupied(target); !what.empty()) {
    co_return std::unexpected(occupied(request, what));
  }
  co_return look_at(source);
}

}  // namespace

Task<Result<CopyReport>> copy_store(boost::asio::any_io_executor loop, Clock& clock,
                                    CopyRequest request) {
  const auto file = request.state_dir / "provisioner.db";
  std::error_code none;
  if (!std::filesystem::exists(file, none)) {
    co_return fail(ErrorKind::kNotFound,
                   fmt::format("there is no embedded store in {}: say where it is with --state-dir",
                               request.state_dir.string()));
  }
  const auto lock = DirectoryLock::take(request.state_dir);
  if (!lock) co_return std::unexpected(lock.error());
  const auto earlier = earlier_copy(request);
  if (!earlier) co_return std::unexpected(earlier.error());

  const auto pool =
      std::make_shared<postgres::Pool>(loop, clock, request.target, "provisioner:migrate copy",
                                       std::make_shared<PostgresCounters>());
  Result<CopyReport> report = fail(ErrorKind::kInternal, "not begun");
  try {
    Source source(file);
    if (auto checked = check_source(source); !checked) co_return std::unexpected(checked.error());
    report = request.dry_run ? co_await dry_run(pool, clock, source, request)
                             : co_await copy_all(pool, clock, source, request, *earlier);
    if (report) report->kept_directories = kept_directories(request.state_dir);
  } catch (const sqlite::SqlError& error) {
    report = fail(fmt::format("reading {}", file.string()), error.error());
  } catch (const postgres::Refusal& refusal) {
    report = fail(request.target_name, refusal.error());
  } catch (const postgres::SqlError& error) {
    report = fail(request.target_name, error.error());
  }
  pool->close();
  co_return report;
}

}  // namespace provisioner
