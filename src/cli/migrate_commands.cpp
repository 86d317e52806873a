// migrate copy
#include "cli/migrate_commands.hpp"

#include <fmt/format.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <memory>
#include <nlohmann/json.hpp>
#include <vector>

#include "cli/exit_code.hpp"
#include "cli/listing.hpp"
#include "cli/terminal.hpp"

namespace provisioner::cli {
namespace {

void print_copy(const std::string& text) {
  const auto copy = nlohmann::json::parse(text);
  const std::string from = text_of(copy, "from");
  const std::string to = text_of(copy, "to");
  const bool dry_run = copy.value("dry_run", false);
  if (copy.value("done_before", false)) {
    fmt::print("An earlier copy of {} to {} had come to its end, and is what counts.\n", from, to);
    return;
  }
  std::vector<std::vector<Cell>> rows;
  for (const auto& table : copy["tables"]) {
    std::vector<Cell> row = {{text_of(table, "name")}, {text_of(table, "rows")}};
    if (!dry_run) {
      row.push_back({text_of(table, "bytes")});
      row.push_back({text_of(table, "sha256").substr(0, 16)});
    }
    rows.push_back(std::move(row));
  }
  std::vector<std::string> titles = {"TABLE", "ROWS"};
  if (!dry_run) titles.insert(titles.end(), {"BYTES", "SHA-256"});
  fmt::print("{}\n", render_table(titles, rows, output_has_colour()));
  if (const auto changed = copy.value("texts_changed", 0); changed > 0) {
    fmt::print(
        "{} texts held bytes that PostgreSQL keeps in no text (NUL, broken UTF-8): they became "
        "U+FFFD. States, logs and content are as they were.\n",
        changed);
  }
  if (const auto kept = copy.value("kept_directories", 0); kept > 0) {
    fmt::print("{} directories in spool/kept wait for a person: they stay where they are.\n", kept);
  }
  if (dry_run) {
    fmt::print("Nothing was written. {} is empty: the same without --dry-run copies {} to it.\n",
               to, from);
    return;
  }
  fmt::print(
      "Every row was read back from {} and is the same. {} is as it was; no daemon starts on it "
      "any "
      "more.\nWhat to do next: set database.host and the like, and etcd.endpoints if there is an "
      "etcd, for each instance; start this machine's daemon first, then the others, and look at "
      "'provisioner cluster status'.\n",
      to, from);
}

}  // namespace

void add_migrate_commands(CLI::App& noun, Session& session, const Programs& programs) {
  CLI::App* command = noun.add_subcommand(
      "copy", "copy the embedded store of a stopped daemon to an empty PostgreSQL");
  auto wish = std::make_shared<CopyWish>();
  command
      ->add_option("--to", wish->to,
                   "postgres://USER@HOST:PORT/DATABASE; its password is PGPASSWORD or "
                   "DATABASE_PASSWORD; default: the database of the settings")
      ->type_name("URL");
  for (const char* flag : {"config-dir", "state-dir"}) {
    command
        ->add_option_function<std::string>(
            fmt::format("--{}", flag),
            [wish, flag](const std::string& value) { wish->flags[flag] = value; },
            "as the daemon has it")
        ->type_name("DIRECTORY");
  }
  command->add_flag("--dry-run", wish->dry_run, "look at both sides, and write to neither");
  add_output_option(*command, session);
  command->callback([wish, &session, &programs] {
    const auto copied = programs.migrate_copy(*wish);
    if (!copied) {
      session.code = report(copied.error());
    } else if (!session.printed(*copied)) {
      print_copy(*copied);
    }
  });
}

}  // namespace provisioner::cli
