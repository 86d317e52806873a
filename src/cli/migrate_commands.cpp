// migrate copy | import
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

// `flags` outlives the command.
void add_directory_flags(CLI::App& command, std::map<std::string, std::string>& flags) {
  for (const char* flag : {"config-dir", "state-dir"}) {
    command
        .add_option_function<std::string>(
            fmt::format("--{}", flag),
            [&flags, flag](const std::string& value) { flags[flag] = value; },
            "as the daemon has it")
        ->type_name("DIRECTORY");
  }
}

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

void print_import(const std::string& text) {
  const auto import = nlohmann::json::parse(text);
  const bool colour = output_has_colour();
  std::vector<std::vector<Cell>> rows;
  for (const auto& workspace : import["workspaces"]) {
    const std::string status = text_of(workspace, "status");
    rows.push_back({{text_of(workspace, "workspace")},
                    {text_of(workspace, "old_status")},
                    {text_of(workspace, "state")},
                    {status, tint_of_status(status)},
                    {workspace.value("held", false) ? "held" : "", Tint::kYellow},
                    {text_of(workspace, "outcome")}});
  }
  fmt::print("{}",
             render_table({"WORKSPACE", "WAS", "STATE", "IS NOW", "", "IMPORT"}, rows, colour));
  std::string notes;
  for (const auto& workspace : import["workspaces"]) {
    const std::string name = text_of(workspace, "workspace");
    for (const auto& note : workspace["notes"]) {
      notes += fmt::format("{}: {}\n", name, note.get<std::string>());
    }
    if (const auto reason = text_of(workspace, "reason"); !reason.empty()) {
      notes += fmt::format("{}: it stays as it is: {}\n", name, reason);
    }
  }
  for (const auto& name : import["templates"]) {
    notes += fmt::format("template {} is imported\n", name.get<std::string>());
  }
  for (const auto& problem : import["problems"]) notes += problem.get<std::string>() + "\n";
  if (!notes.empty()) fmt::print("\n{}", notes);
  fmt::print("\n{}\n",
             import.value("dry_run", false)
                 ? "Nothing was written: the same without --dry-run imports it."
                 : "The old files are as they were. 'provisioner workspace release NAME' ends a "
                   "hold when its reason is gone; start the daemon now.");
}

void add_import_command(CLI::App& noun, Session& session, const Programs& programs) {
  CLI::App* command = noun.add_subcommand(
      "import", "take over an installation of the file-based version; both daemons are stopped");
  auto wish = std::make_shared<ImportWish>();
  command
      ->add_option("--from", wish->from,
                   "its state directory; default that of this version's settings")
      ->type_name("DIRECTORY");
  add_directory_flags(*command, wish->flags);
  command->add_flag("--dry-run", wish->dry_run, "say what would become of it, and write nothing");
  add_output_option(*command, session);
  command->callback([wish, &session, &programs] {
    const auto imported = programs.migrate_import(*wish);
    if (!imported) {
      session.code = report(imported.error());
    } else if (!session.printed(*imported)) {
      print_import(*imported);
    }
  });
}

}  // namespace

void add_migrate_commands(CLI::App& noun, Session& session, const Programs& programs) {
  add_import_command(noun, session, programs);
  CLI::App* command = noun.add_subcommand(
      "copy", "copy the embedded store of a stopped daemon to an empty PostgreSQL");
  auto wish = std::make_shared<CopyWish>();
  command
      ->add_option("--to", wish->to,
                   "postgres://USER@HOST:PORT/DATABASE; its password is PGPASSWORD or "
                   "DATABASE_PASSWORD; default: the database of the settings")
      ->type_name("URL");
  add_directory_flags(*command, wish->flags);
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
