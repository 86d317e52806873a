#include "cli/history_command.hpp"

#include <fmt/format.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <nlohmann/json.hpp>

#include "cli/exit_code.hpp"
#include "cli/listing.hpp"
#include "cli/terminal.hpp"

namespace provisioner::cli {
namespace {

Tint tint_of_outcome(std::string_view outcome) {
  if (outcome == "fired") return Tint::kGreen;
  if (outcome == "no_change" || outcome == "superseded") return Tint::kDim;
  return Tint::kYellow;
}

void print_ledger(const std::string& json) {
  std::vector<std::vector<Cell>> rows;
  const auto answer = nlohmann::json::parse(json);
  for (const auto& row : answer["items"]) {
    const std::string outcome = text_of(row, "outcome");
    const std::string mode = text_of(row, "mode");
    rows.push_back({{text_of(row, "local_time")},
                    {text_of(row, "count")},
                    {text_of(row, "schedule")},
                    {text_of(row, "action") + (mode.empty() ? "" : " " + mode)},
                    {outcome, tint_of_outcome(outcome)},
                    {text_of(row, "run")},
                    {first_line(text_of(row, "reason"))}});
  }
  fmt::print("{}",
             render_table({"LOCAL TIME", "TIMES", "SCHEDULE", "ACTION", "OUTCOME", "RUN", "REASON"},
                          rows, output_has_colour()));
  if (answer["next_cursor"].is_string()) {
    fmt::print(stderr, "more: --cursor {}\n", answer["next_cursor"].get<std::string>());
  }
}

struct HistoryOptions {
  std::string workspace, from, to, cursor;
  int limit = 20;
};

Result<std::string> read_ledger(Session& session, const HistoryOptions& options) {
  Query query;
  query.add("workspace", options.workspace);
  query.add("from", options.from);
  query.add("to", options.to);
  query.add("cursor", options.cursor);
  query.add("limit", std::to_string(options.limit));
  return list_of(session, "/api/v1/occurrences" + query.text(), options.workspace);
}

}  // namespace

void add_history_command(CLI::App& noun, Session& session) {
  auto* command = noun.add_subcommand(
      "history", "what became of each instant of the schedule, newest first, and why");
  auto options = std::make_shared<HistoryOptions>();
  add_workspace_argument(*command, options->workspace)->required();
  command
      ->add_option("--from", options->from, "not before this instant, such as 2026-03-29T00:00:00Z")
      ->type_name("TIME");
  command->add_option("--to", options->to, "not after this instant")->type_name("TIME");
  command->add_option("--limit", options->limit, "at most so many rows; default 20")
      ->check(CLI::Range(1, 500).description(""))
      ->type_name("N");
  command->add_option("--cursor", options->cursor, "continue a listing");
  add_output_option(*command, session);
  command->callback([options, &session] {
    const auto ledger = read_ledger(session, *options);
    if (!ledger) {
      session.code = report(ledger.error());
    } else if (!session.printed(*ledger)) {
      print_ledger(*ledger);
    }
  });
}

}  // namespace provisioner::cli
