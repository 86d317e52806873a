// run list | show | logs | cancel
#include <fmt/format.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <nlohmann/json.hpp>

#include "cli/exit_code.hpp"
#include "cli/follow_run.hpp"
#include "cli/job_reference.hpp"
#include "cli/listing.hpp"
#include "cli/session.hpp"
#include "cli/terminal.hpp"
#include "http/message.hpp"

namespace provisioner::cli {
namespace {

// What went wrong, or what a queued run waits for.
std::string note_of(const nlohmann::json& run) {
  const std::string waiting = text_of(run, "waiting_for");
  if (text_of(run, "status") == "queued" && !waiting.empty()) return "waits for " + waiting;
  return first_line(text_of(run, "error"));
}

void print_runs(const std::string& json) {
  std::vector<std::vector<Cell>> rows;
  const auto answer = nlohmann::json::parse(json);
  for (const auto& run : answer["items"]) {
    const std::string status = text_of(run, "status");
    rows.push_back({{text_of(run, "id")},
                    {text_of(run, "workspace")},
                    {text_of(run, "job")},
                    {text_of(run, "operation")},
                    {text_of(run, "trigger")},
                    {status, tint_of_status(status)},
                    {text_of(run, "attempt")},
                    {ago_of(run, "created_at")},
                    {took(run)},
                    {note_of(run)}});
  }
  fmt::print("{}", render_table({"ID", "WORKSPACE", "JOB", "OPERATION", "TRIGGER", "STATUS",
                                 "ATTEMPT", "CREATED", "TOOK", "NOTE"},
                                rows, output_has_colour()));
  if (answer["next_cursor"].is_string()) {
    fmt::print(stderr, "more: --cursor {}\n", answer["next_cursor"].get<std::string>());
  }
}

void add_list(CLI::App& noun, Session& session) {
  struct Options {
    std::string workspace, job, status, cursor;
    int limit = 20;
  };
  auto* command = noun.add_subcommand("list", "list runs, newest first");
  auto options = std::make_shared<Options>();
  add_workspace_argument(*command, options->workspace);
  command->add_option("--job", options->job, "only of this job: workspace:job, or its name")
      ->type_name("JOB");
  command->add_option("--status", options->status,
                      "queued, running, succeeded, failed, timed_out, cancelled or interrupted");
  command->add_option("--limit", options->limit, "at most so many; default 20")
      ->check(CLI::Range(1, 500).description(""))
      ->type_name("N");
  command->add_option("--cursor", options->cursor, "continue a listing");
  add_output_option(*command, session);
  command->callback([options, &session] {
    Query query;
    if (!options->job.empty()) {
      const auto job = find_job(session, options->job, options->workspace);
      if (!job) {
        session.code = report(job.error());
        return;
      }
      query.add("job", job->name);
      options->workspace = job->workspace;
    }
    query.add("workspace", options->workspace);
    query.add("status", options->status);
    query.add("cursor", options->cursor);
    query.add("limit", std::to_string(options->limit));
    const auto runs = list_of(session, "/api/v1/runs" + query.text(),
                              options->job.empty() ? options->workspace : "");
    if (!runs) {
      session.code = report(runs.error());
    } else if (!session.printed(*runs)) {
      print_runs(*runs);
    }
  });
}

}  // namespace

void add_run_commands(CLI::App& noun, Session& session) {
  add_list(noun, session);

  auto* show_command = noun.add_subcommand("show", "show one run");
  auto shown = std::make_shared<std::string>();
  show_command->add_option("run", *shown, "its id")->required()->type_name("");
  add_output_option(*show_command, session);
  show_command->callback([shown, &session] {
    show(session, "/api/v1/runs/" + http::encode_component(*shown), print_fields);
  });

  auto* logs = noun.add_subcommand("logs", "print a run's log");
  auto logged = std::make_shared<std::string>();
  auto follow = std::make_shared<bool>(false);
  logs->add_option("run", *logged, "its id")->required()->type_name("");
  logs->add_flag("-f,--follow", *follow, "wait for more until the run ends");
  logs->callback([logged, follow, &session] {
    session.code = *follow ? follow_run(session, *logged) : print_log(session, *logged);
  });

  auto* cancel =
      noun.add_subcommand("cancel", "stop a run: tofu gets one interrupt and ends in order");
  auto cancelled = std::make_shared<std::string>();
  cancel->add_option("run", *cancelled, "its id")->required()->type_name("");
  add_output_option(*cancel, session);
  cancel->callback([cancelled, &session] {
    act(session, "POST", "/api/v1/runs/" + http::encode_component(*cancelled) + "/cancel", "",
        [](const auto& json) {
          fmt::print("run {} is asked to stop ({})\n", text_of(json, "id"),
                     text_of(json, "status"));
        });
  });
}

}  // namespace provisioner::cli
