// job list | status | show | run | kill | logs
#include <fmt/format.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "cli/exit_code.hpp"
#include "cli/follow_run.hpp"
#include "cli/job_reference.hpp"
#include "cli/listing.hpp"
#include "cli/operate.hpp"
#include "cli/session.hpp"
#include "cli/terminal.hpp"

namespace provisioner::cli {
namespace {

using nlohmann::json;

struct Target {
  std::string job;
  std::string workspace;
};

void add_workspace_option(CLI::App& command, std::string& place) {
  command.add_option("--workspace", place, "of which workspace; _standalone_ = of none")
      ->type_name("WORKSPACE");
}

CLI::Option* add_target(CLI::App& command, Target& target) {
  add_workspace_option(command, target.workspace);
  return command
      .add_option("job", target.job, "workspace:job, or its name where no other job has it")
      ->type_name("");
}

// Calls `then` with the job, or says what is wrong.
template <typename Then>
void with_job(Session& session, const Target& target, Then then) {
  const auto job = find_job(session, target.job, target.workspace);
  if (!job) {
    session.code = report(job.error());
  } else {
    then(*job);
  }
}

// A job whose status is its last run's has that one's status for a colour.
Tint tint_of(const std::string& status) {
  if (status == "success") return tint_of_status("succeeded");
  return tint_of_status(status == "timeout" ? "timed_out" : status);
}

std::string schedule_of(const json& job) {
  std::vector<std::string> texts;
  for (const auto& text : job["schedule"]) texts.push_back(text.get<std::string>());
  return join(texts, ", ");
}

void print_list(const json& items) {
  std::vector<std::vector<Cell>> rows;
  for (const auto& job : items) {
    rows.push_back({{text_of(job, "workspace")},
                    {text_of(job, "name")},
                    {text_of(job, "type")},
                    {job["enabled"].get<bool>() ? "yes" : "no"},
                    {schedule_of(job)},
                    {ago_of(job, "next_run")},
                    {text_of(job, "description")}});
  }
  fmt::print("{}", render_table({"WORKSPACE", "JOB", "TYPE", "ENABLED", "SCHEDULE", "NEXT RUN",
                                 "DESCRIPTION"},
                                rows, output_has_colour()));
}

void print_status(const json& items) {
  std::vector<std::vector<Cell>> rows;
  for (const auto& job : items) {
    const std::string status = text_of(job, "status");
    rows.push_back({{text_of(job, "workspace")},
                    {text_of(job, "name")},
                    {status, tint_of(status)},
                    {ago_of(job, "last_run")},
                    {text_of(job, "run_count")},
                    {text_of(job, "failure_count")},
                    {ago_of(job, "next_run")},
                    {first_line(text_of(job, "last_error"))}});
  }
  fmt::print("{}", render_table({"WORKSPACE", "JOB", "STATUS", "LAST RUN", "RUNS", "FAILED",
                                 "NEXT RUN", "NOTE"},
                                rows, output_has_colour()));
}

void show_all(Session& session, const std::string& workspace, void (*print)(const json&)) {
  const auto list = all_jobs(session, workspace);
  if (!list) {
    session.code = report(list.error());
  } else if (!session.printed(*list)) {
    print(json::parse(*list)["items"]);
  }
}

void show_one(Session& session, const Target& target) {
  with_job(session, target,
           [&](const JobReference& job) { show(session, job.path(), print_fields); });
}

void add_looks(CLI::App& noun, Session& session) {
  auto* list = noun.add_subcommand("list", "list jobs and when they run");
  auto workspace = std::make_shared<std::string>();
  add_workspace_option(*list, *workspace);
  add_output_option(*list, session);
  list->callback([workspace, &session] { show_all(session, *workspace, print_list); });

  auto* status = noun.add_subcommand("status", "show how jobs fared, or one of them");
  auto asked = std::make_shared<Target>();
  add_target(*status, *asked);
  add_output_option(*status, session);
  status->callback([asked, &session] {
    if (asked->job.empty()) {
      show_all(session, asked->workspace, print_status);
    } else {
      show_one(session, *asked);
    }
  });

  auto* one = noun.add_subcommand("show", "show a job");
  auto shown = std::make_shared<Target>();
  add_target(*one, *shown)->required();
  add_output_option(*one, session);
  one->callback([shown, &session] { show_one(session, *shown); });
}

void add_run(CLI::App& noun, Session& session) {
  struct Options : Target {
    bool queue = false, detach = false;
  };
  auto* command = noun.add_subcommand("run", "run a job now and follow it");
  auto options = std::make_shared<Options>();
  add_target(*command, *options)->required();
  command->add_flag("--queue", options->queue, "if it is at work, run behind that");
  command->add_flag("--detach", options->detach, "print the run's id and do not wait");
  add_output_option(*command, session);
  command->footer(
      "Examples:\n"
      "  provisioner job run shop:backup\n"
      "  provisioner job run backup --workspace shop --detach");
  command->callback([options, &session] {
    with_job(session, *options, [&](const JobReference& job) {
      start_run(session, job.path() + "/run", json({{"queue", options->queue}}).dump(),
                options->detach);
    });
  });
}

void add_kill(CLI::App& noun, Session& session) {
  auto* command = noun.add_subcommand("kill", "stop a job's active run, and drop its queued ones");
  auto target = std::make_shared<Target>();
  add_target(*command, *target)->required();
  add_output_option(*command, session);
  command->callback([target, &session] {
    with_job(session, *target, [&](const JobReference& job) {
      act(session, "POST", job.path() + "/kill", "", [](const json& answer) {
        for (const auto& run : answer["items"]) {
          fmt::print("run {} is asked to stop ({})\n", text_of(run, "id"), text_of(run, "status"));
        }
      });
    });
  });
}

Result<std::string> newest_run(Session& session, const JobReference& job) {
  auto api = session.api();
  if (!api) return std::unexpected(api.error());
  Query query;
  query.add("workspace", job.workspace);
  query.add("job", job.name);
  query.add("limit", "1");
  // A job that nobody knows has no runs, too.
  if (const auto known = (*api)->get(job.path()); !known) return std::unexpected(known.error());
  const auto runs = (*api)->get("/api/v1/runs" + query.text());
  if (!runs) return std::unexpected(runs.error());
  const auto answer = json::parse(*runs);
  if (answer["items"].empty()) {
    return fail(ErrorKind::kNotFound, fmt::format("job {} has no runs yet", job.name));
  }
  return text_of(answer["items"][0], "id");
}

void add_logs(CLI::App& noun, Session& session) {
  auto* command = noun.add_subcommand("logs", "print the log of a job's newest run");
  auto target = std::make_shared<Target>();
  auto follow = std::make_shared<bool>(false);
  add_target(*command, *target)->required();
  command->add_flag("-f,--follow", *follow, "wait for more until the run ends");
  command->callback([target, follow, &session] {
    with_job(session, *target, [&](const JobReference& job) {
      const auto run = newest_run(session, job);
      if (!run) {
        session.code = report(run.error());
      } else {
        session.code = *follow ? follow_run(session, *run) : print_log(session, *run);
      }
    });
  });
}

}  // namespace

void add_job_commands(CLI::App& noun, Session& session) {
  add_looks(noun, session);
  add_run(noun, session);
  add_kill(noun, session);
  add_logs(noun, session);
}

}  // namespace provisioner::cli
