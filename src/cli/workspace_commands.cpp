// workspace list | show | status | plan | deploy | destroy | confirm | mode | logs | outputs |
// hold | release | enable | disable | extend; the others stand in files of their own
#include <fmt/format.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "cli/exit_code.hpp"
#include "cli/follow_run.hpp"
#include "cli/history_command.hpp"
#include "cli/listing.hpp"
#include "cli/operate.hpp"
#include "cli/remove_command.hpp"
#include "cli/session.hpp"
#include "cli/terminal.hpp"
#include "cli/validate_command.hpp"
#include "cli/workspace_file_commands.hpp"
#include "http/message.hpp"

namespace provisioner::cli {
namespace {

std::string flags_of(const nlohmann::json& workspace) {
  std::string flags;
  const auto add = [&](bool set, std::string_view name) {
    if (set) flags += fmt::format("{}{}", flags.empty() ? "" : ",", name);
  };
  add(!workspace.value("enabled", true), "disabled");
  add(workspace.value("held", false), "held");
  add(workspace.value("detached", false), "detached");
  return flags;
}

void print_workspaces(const std::string& json, bool detailed = false) {
  std::vector<std::vector<Cell>> rows;
  const auto answer = nlohmann::json::parse(json);
  for (const auto& workspace : answer["items"]) {
    const std::string status = text_of(workspace, "status");
    const auto next = workspace.value("next", nlohmann::json::object());
    const bool has_next = next.is_object();
    rows.push_back({{text_of(workspace, "name")},
                    {status, tint_of_status(status)},
                    {text_of(workspace, "mode")},
                    {flags_of(workspace), Tint::kYellow},
                    {ago_of(workspace, "last_deployed")},
                    {ago_of(workspace, "last_destroyed")},
                    {has_next ? text_of(next, "action") : ""},
                    {has_next ? ago_of(next, "at") : ""},
                    {first_line(text_of(workspace, "last_error")), Tint::kRed}});
    if (!detailed) continue;
    rows.back().push_back({text_of(workspace, "template")});
    rows.back().push_back({join(workspace.value("modes", std::vector<std::string>()), ",")});
    rows.back().push_back({first_line(text_of(workspace, "description"))});
  }
  std::vector<std::string> head = {"NAME",      "STATUS", "MODE", "FLAGS", "DEPLOYED",
                                   "DESTROYED", "NEXT",   "AT",   "ERROR"};
  if (detailed) head.insert(head.end(), {"TEMPLATE", "MODES", "DESCRIPTION"});
  fmt::print("{}", render_table(head, rows, output_has_colour()));
}

void add_operation(CLI::App& noun, Session& session, const char* verb, const char* description) {
  auto* command = noun.add_subcommand(verb, description);
  auto options = std::make_shared<OperationOptions>();
  add_workspace_argument(*command, options->workspace)->required();
  const std::string_view name = verb;
  if (name == "deploy" || name == "plan" || name == "mode") {
    auto* mode = command->add_option("mode", options->mode, "of its mode_schedules");
    mode->type_name("")->required(name == "mode");
  }
  if (name == "deploy") {
    command->add_flag("--upgrade", options->upgrade,
                      "renew the provider lock file (init -upgrade)");
  }
  command->add_flag("--queue", options->queue, "wait behind a run that is active");
  command->add_flag("-d,--detach", options->detach, "print the run's id and return at once");
  if (name == "destroy") add_yes_option(*command, session);
  add_output_option(*command, session);
  command->callback([options, &session, name] { operate(session, *options, name); });
}

// The log of the workspace's newest run.
void print_logs(Session& session, const std::string& workspace, bool follow) {
  const auto runs = list_of(
      session, "/api/v1/runs?limit=1&workspace=" + http::encode_component(workspace), workspace);
  if (!runs) {
    session.code = report(runs.error());
    return;
  }
  const auto items = nlohmann::json::parse(*runs)["items"];
  if (items.empty()) {
    session.code =
        report({ErrorKind::kNotFound, fmt::format("workspace {} has no run yet", workspace)});
    return;
  }
  const std::string id = items[0]["id"];
  if (follow) {
    session.code = follow_run(session, id);
    return;
  }
  auto api = session.api();
  auto text = api ? (*api)->get("/api/v1/runs/" + http::encode_component(id) + "/log")
                  : Result<std::string>(std::unexpected(api.error()));
  if (!text) {
    session.code = report(text.error());
  } else {
    fmt::print("{}", *text);
  }
}

void print_outputs(const std::string& json) {
  const auto outputs = nlohmann::ordered_json::parse(json);
  for (const auto& [name, output] : outputs.items()) {
    fmt::print("{} = {}\n", name,
               output.value("sensitive", false) ? "(sensitive)" : output["value"].dump());
  }
}

void add_reading_commands(CLI::App& noun, Session& session) {
  auto* list = noun.add_subcommand("list", "list workspaces");
  auto detailed = std::make_shared<bool>(false);
  list->add_flag("--detailed", *detailed, "also template, modes and description");
  add_output_option(*list, session);
  list->callback([detailed, &session] {
    show(session, "/api/v1/workspaces",
         [&](const std::string& json) { print_workspaces(json, *detailed); });
  });

  for (const char* verb : {"show", "status"}) {
    auto* command =
        noun.add_subcommand(verb, std::string_view(verb) == "show" ? "show one workspace"
                                                                   : "the same as show, or list");
    auto name = std::make_shared<std::string>();
    auto* option = add_workspace_argument(*command, *name);
    if (std::string_view(verb) == "show") option->required();
    add_output_option(*command, session);
    command->callback([name, &session] {
      if (name->empty()) {
        show(session, "/api/v1/workspaces",
             [](const std::string& json) { print_workspaces(json); });
      } else {
        show(session, workspace_path(*name), print_fields);
      }
    });
  }

  auto* logs = noun.add_subcommand("logs", "print the log of the newest run");
  auto logged = std::make_shared<std::string>();
  auto follow = std::make_shared<bool>(false);
  add_workspace_argument(*logs, *logged)->required();
  logs->add_flag("-f,--follow", *follow, "wait for more until the run ends");
  logs->callback([logged, follow, &session] { print_logs(session, *logged, *follow); });

  auto* outputs = noun.add_subcommand("outputs", "print tofu's outputs");
  auto of = std::make_shared<std::string>();
  add_workspace_argument(*outputs, *of)->required();
  add_output_option(*outputs, session);
  outputs->callback(
      [of, &session] { show(session, workspace_path(*of, "/outputs"), print_outputs); });
}

void add_switch(CLI::App& noun, Session& session, const char* verb, const char* description) {
  auto* command = noun.add_subcommand(verb, description);
  auto workspace = std::make_shared<std::string>();
  add_workspace_argument(*command, *workspace)->required();
  add_output_option(*command, session);
  command->callback([workspace, verb, &session] {
    act(session, "POST", workspace_path(*workspace, fmt::format("/{}", verb)), "{}",
        [verb](const nlohmann::json& answer) {
          fmt::print("workspace {} is {}d\n", text_of(answer, "name"), verb);
        });
  });
}

void add_holding_commands(CLI::App& noun, Session& session) {
  struct Options {
    std::string workspace, until, reason, by;
    bool converge = false;
  };
  const auto say_status = [](const nlohmann::json& workspace) {
    fmt::print("workspace {}: {}{}\n", text_of(workspace, "name"), text_of(workspace, "status"),
               workspace.value("held", false) ? ", held" : "");
  };

  auto* hold = noun.add_subcommand("hold", "suspend schedule, ttl, change and retry");
  auto held = std::make_shared<Options>();
  add_workspace_argument(*hold, held->workspace)->required();
  hold->add_option("--until", held->until, "release by itself then: 2026-12-24T18:00:00Z, or 2h")
      ->type_name("TIME");
  hold->add_option("--reason", held->reason, "shown beside the hold")->type_name("TEXT");
  add_output_option(*hold, session);
  hold->callback([held, say_status, &session] {
    nlohmann::json body = {{"reason", held->reason}};
    if (!held->until.empty()) body["until"] = held->until;
    act(session, "POST", workspace_path(held->workspace, "/hold"), body.dump(), say_status);
  });

  auto* release = noun.add_subcommand("release", "end a hold; by itself it starts nothing");
  auto released = std::make_shared<Options>();
  add_workspace_argument(*release, released->workspace)->required();
  release->add_flag("--converge", released->converge,
                    "act on what the schedule said last, if the workspace is not that already");
  add_output_option(*release, session);
  release->callback([released, say_status, &session] {
    act(session, "POST", workspace_path(released->workspace, "/release"),
        released->converge ? R"({"converge":true})" : "{}", say_status);
  });

  auto* extend = noun.add_subcommand("extend", "move the ttl of a deployed workspace");
  auto extended = std::make_shared<Options>();
  add_workspace_argument(*extend, extended->workspace)->required();
  extend->add_option("by", extended->by, "how much longer: 2h, 1h30m, 7d")
      ->required()
      ->type_name("");
  add_output_option(*extend, session);
  extend->callback([extended, &session] {
    act(session, "POST", workspace_path(extended->workspace, "/extend"),
        nlohmann::json({{"by", extended->by}}).dump(), [](const nlohmann::json& workspace) {
          fmt::print("workspace {} expires at {}\n", text_of(workspace, "name"),
                     text_of(workspace, "ttl_expires_at"));
        });
  });
}

}  // namespace

void add_workspace_commands(CLI::App& noun, Session& session) {
  add_reading_commands(noun, session);
  add_history_command(noun, session);
  add_operation(noun, session, "plan", "show what a deploy would change");
  add_operation(noun, session, "deploy", "deploy, and follow the run");
  add_operation(noun, session, "destroy", "destroy, and follow the run");
  add_operation(noun, session, "confirm", "agree to a change that deletes or replaces something");
  add_operation(noun, session, "mode", "change the mode of what is deployed, and follow the run");
  add_holding_commands(noun, session);
  add_switch(noun, session, "enable", "let the schedule count again, from now on");
  add_switch(noun, session, "disable",
             "let schedule, ttl, change and retry rest; what is deployed stays");
  add_workspace_file_commands(noun, session);
  add_remove_command(noun, session);
  add_validate_command(noun, session);
}

}  // namespace provisioner::cli
