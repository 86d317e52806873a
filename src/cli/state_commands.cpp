// state list | show | diff | rollback | pull | push | unlock
#include <fmt/format.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <fstream>
#include <iostream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "cli/exit_code.hpp"
#include "cli/listing.hpp"
#include "cli/session.hpp"
#include "cli/terminal.hpp"
#include "http/message.hpp"

namespace provisioner::cli {
namespace {

struct Options {
  std::string workspace;
  std::int64_t from = 0;
  std::int64_t to = 0;
  std::string file;
  bool force = false;
};

std::string path_of(const std::string& workspace, std::string_view rest = "") {
  return fmt::format("/api/v1/states/{}{}", http::encode_component(workspace), rest);
}

void print_versions(const std::string& json) {
  std::vector<std::vector<Cell>> rows;
  const auto answer = nlohmann::json::parse(json);
  for (const auto& version : answer["items"]) {
    const bool divergent = version.value("divergent", false);
    rows.push_back({{text_of(version, "number")},
                    {text_of(version, "serial")},
                    {text_of(version, "resources")},
                    {divergent ? "divergent" : "", Tint::kRed},
                    {ago_of(version, "at")},
                    {text_of(version, "written_by")},
                    {text_of(version, "lineage"), Tint::kDim}});
  }
  fmt::print("{}", render_table({"VERSION", "SERIAL", "RESOURCES", "", "WRITTEN", "BY", "LINEAGE"},
                                rows, output_has_colour()));
}

void print_body(Session& session, const std::string& target) {
  auto api = session.api();
  auto body = api ? (*api)->get(target) : Result<std::string>(std::unexpected(api.error()));
  if (!body) {
    session.code = report(body.error());
  } else {
    fmt::print("{}{}", *body, body->ends_with('\n') ? "" : "\n");
  }
}

void print_diff(Session& session, const std::string& target) {
  show(session, target, [](const std::string& lines) {
    if (trim(lines).empty()) {
      fmt::print(stderr, "no resource and no output differs\n");
    } else {
      fmt::print("{}", lines);
    }
  });
}

Result<std::string> read_input(const std::string& file) {
  if (file == "-") return std::string(std::istreambuf_iterator<char>(std::cin), {});
  std::ifstream stream(file, std::ios::binary);
  if (!stream) return fail_errno("reading " + file, errno);
  return std::string(std::istreambuf_iterator<char>(stream), {});
}

// For commands that replace or release something that a run may be using.
bool agreed(Session& session, const std::string& question) {
  if (session.yes || confirm(question)) return true;
  session.code = kUsage;
  return false;
}

void add_changing_commands(CLI::App& noun, Session& session) {
  const auto say_version = [](const nlohmann::json& version) {
    fmt::print("the state is now version {} (serial {})\n", text_of(version, "number"),
               text_of(version, "serial"));
  };

  auto* rollback =
      noun.add_subcommand("rollback", "make an older version current, under a new serial");
  auto back = std::make_shared<Options>();
  add_workspace_argument(*rollback, back->workspace)->required();
  rollback->add_option("version", back->to, "its number in state list")->required()->type_name("");
  add_yes_option(*rollback, session);
  add_output_option(*rollback, session);
  rollback->callback([back, say_version, &session] {
    if (!agreed(session,
                fmt::format("Make version {} the state of {}?", back->to, back->workspace)))
      return;
    act(session, "POST", path_of(back->workspace, "/rollback"),
        nlohmann::json({{"to", back->to}}).dump(), say_version);
  });

  auto* push =
      noun.add_subcommand("push", "replace the state with a file's (- for standard input)");
  auto pushed = std::make_shared<Options>();
  add_workspace_argument(*push, pushed->workspace)->required();
  push->add_option("file", pushed->file, "a tofu state, or - for standard input")
      ->required()
      ->type_name("");
  push->add_flag("--force", pushed->force, "even if its lineage or serial speaks against it");
  add_yes_option(*push, session);
  add_output_option(*push, session);
  push->callback([pushed, say_version, &session] {
    auto body = read_input(pushed->file);
    if (!body) {
      session.code = report(body.error());
      return;
    }
    if (!agreed(session, fmt::format("Replace the state of {}?", pushed->workspace))) return;
    act(session, "PUT", path_of(pushed->workspace, pushed->force ? "?force=true" : ""), *body,
        say_version);
  });

  auto* unlock = noun.add_subcommand("unlock", "release the state's lock, whoever holds it");
  auto unlocked = std::make_shared<Options>();
  add_workspace_argument(*unlock, unlocked->workspace)->required();
  unlock->add_flag("--force", unlocked->force, "even of a run that is active: it will fail");
  add_yes_option(*unlock, session);
  unlock->callback([unlocked, &session] {
    if (!agreed(session, fmt::format("Release the lock of {}?", unlocked->workspace))) return;
    act(session, "DELETE",
        path_of(unlocked->workspace, unlocked->force ? "/lock?force=true" : "/lock"), "",
        [&](const nlohmann::json& lock) {
          const std::string id = text_of(lock, "id");
          fmt::print("{}\n", id.empty() ? "it was not locked" : "released lock " + id);
        });
  });
}

}  // namespace

void add_state_commands(CLI::App& noun, Session& session) {
  auto* list = noun.add_subcommand("list", "list the versions of a workspace's state");
  auto listed = std::make_shared<Options>();
  add_workspace_argument(*list, listed->workspace)->required();
  add_output_option(*list, session);
  list->callback([listed, &session] { show(session, path_of(listed->workspace), print_versions); });

  auto* show_command = noun.add_subcommand("show", "print a version, sensitive values masked");
  auto shown = std::make_shared<Options>();
  add_workspace_argument(*show_command, shown->workspace)->required();
  show_command->add_option("version", shown->to, "its number; default the current one")
      ->type_name("");
  show_command->callback([shown, &session] {
    print_body(session, path_of(shown->workspace,
                                shown->to == 0 ? "/current" : fmt::format("/{}", shown->to)));
  });

  auto* pull = noun.add_subcommand("pull", "print the current state as it is, secrets included");
  auto pulled = std::make_shared<Options>();
  add_workspace_argument(*pull, pulled->workspace)->required();
  pull->callback(
      [pulled, &session] { print_body(session, path_of(pulled->workspace, "/current?raw=true")); });

  auto* diff = noun.add_subcommand("diff", "show what changed between two versions");
  auto compared = std::make_shared<Options>();
  add_workspace_argument(*diff, compared->workspace)->required();
  diff->add_option("from", compared->from, "a version's number; 0 is the empty state")
      ->required()
      ->type_name("");
  diff->add_option("to", compared->to, "default the current one")->type_name("");
  diff->callback([compared, &session] {
    Query query;
    query.add("from", std::to_string(compared->from));
    if (compared->to != 0) query.add("to", std::to_string(compared->to));
    print_diff(session, path_of(compared->workspace, "/diff" + query.text()));
  });

  add_changing_commands(noun, session);
}

}  // namespace provisioner::cli
