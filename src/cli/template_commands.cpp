// template add | list | show | update | validate | remove
#include <fmt/format.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/ids.hpp"
#include "base/text.hpp"
#include "cli/exit_code.hpp"
#include "cli/listing.hpp"
#include "cli/session.hpp"
#include "cli/terminal.hpp"
#include "http/message.hpp"

namespace provisioner::cli {
namespace {

using nlohmann::json;

// The daemon gives a fetch up by itself, after at most an hour (templates.fetch_timeout).
constexpr Duration kPatience = std::chrono::minutes(65);
constexpr const char* kTemplates = "/api/v1/templates";

std::string target_of(const std::string& name, std::string_view verb = "") {
  return fmt::format("{}/{}{}", kTemplates, http::encode_component(name), verb);
}

CLI::Option* add_name_argument(CLI::App& command, std::string& place) {
  return command.add_option("name", place, "the template's name")
      ->type_name("")
      ->check(CLI::Validator(
          [](const std::string& text) {
            const auto name = parse_template_name(text);
            return name ? std::string() : name.error().message;
          },
          ""));
}

std::string users_in(const json& row) {
  std::vector<std::string> names;
  for (const auto& user : row["used_by"]) {
    const std::string job = text_of(user, "job");
    names.push_back(job.empty() ? text_of(user, "workspace")
                                : fmt::format("{} (job {})", text_of(user, "workspace"), job));
  }
  return join(names, ", ");
}

std::string short_commit(const json& row) { return text_of(row, "commit").substr(0, 12); }

void print_list(const json& items, bool detailed) {
  std::vector<std::vector<Cell>> rows;
  for (const auto& row : items) {
    std::vector<Cell> cells = {{text_of(row, "name")},
                               {text_of(row, "source_url")},
                               {text_of(row, "source_path")},
                               {text_of(row, "source_ref")},
                               {short_commit(row)},
                               {ago_of(row, "updated_at")},
                               {std::to_string(row["used_by"].size())}};
    if (detailed) {
      cells.back() = {users_in(row)};
      cells.push_back({text_of(row, "content_hash").substr(0, 12)});
      cells.push_back({text_of(row, "description")});
    }
    rows.push_back(std::move(cells));
  }
  std::vector<std::string> titles = {"NAME",   "SOURCE",  "PATH",   "REF",
                                     "COMMIT", "UPDATED", "USED BY"};
  if (detailed) titles.insert(titles.end(), {"CONTENT", "DESCRIPTION"});
  fmt::print("{}", render_table(titles, rows, output_has_colour()));
}

// Sends a command whose answer waits for a fetch.
Result<std::string> ask(Session& session, const std::string& method, const std::string& target,
                        const std::string& body = "") {
  auto api = session.api();
  if (!api) return std::unexpected(api.error());
  return (*api)->send(method, target, body, kPatience);
}

Result<std::vector<std::string>> all_names(Session& session) {
  auto answer = ask(session, "GET", kTemplates);
  if (!answer) return std::unexpected(answer.error());
  std::vector<std::string> names;
  const auto list = json::parse(*answer);
  for (const auto& row : list["items"]) names.push_back(text_of(row, "name"));
  return names;
}

void say_updated(const json& row) {
  if (!row["content_changed"].get<bool>()) {
    fmt::print("template {} has the content of {} already ({})\n", text_of(row, "name"),
               row["source_ref"].is_null() ? "its source" : text_of(row, "source_ref"),
               short_commit(row));
    return;
  }
  const std::string users = users_in(row);
  fmt::print("template {} is updated to {}{}\n", text_of(row, "name"), short_commit(row),
             users.empty() ? "" : "; it is used by " + users);
}

bool say_verdict(const json& verdict) {
  const bool colour = output_has_colour();
  const std::string name = text_of(verdict, "name");
  if (!verdict["valid"].get<bool>()) {
    fmt::print("{} {}: {}\n", tinted("error", Tint::kRed, colour), name,
               text_of(verdict, "problem"));
    return false;
  }
  fmt::print("{} {}{}\n", tinted("valid", Tint::kGreen, colour), name,
             verdict["newer_content"].get<bool>()
                 ? fmt::format(" (its source has newer content, {}: update takes it)",
                               short_commit(verdict))
                 : "");
  return true;
}

// One after the other; what is wrong with one does not keep the others from their turn. The exit
// code is that of the first that failed. `say` prints an answer, and says whether it is good.
void for_each(Session& session, const std::vector<std::string>& names, std::string_view verb,
              const std::function<bool(const json&)>& say) {
  auto answers = nlohmann::ordered_json::array();
  for (const std::string& name : names) {
    const auto answer = ask(session, "POST", target_of(name, verb));
    if (!answer) {
      const int code = report(answer.error());
      if (session.code == kDone) session.code = code;
      continue;
    }
    answers.push_back(nlohmann::ordered_json::parse(*answer));
    if (session.output == OutputFormat::kTable) {
      if (!say(json::parse(*answer)) && session.code == kDone) session.code = kFailed;
    } else if (answers.back().contains("valid") && !answers.back()["valid"].get<bool>() &&
               session.code == kDone) {
      session.code = kFailed;
    }
  }
  session.printed(answers.dump());
}

struct Target {
  std::string name;
  bool all = false;
};
// Absent: said what is wrong.
std::optional<std::vector<std::string>> names_of(Session& session, const Target& target) {
  if (target.name.empty() == !target.all) {
    session.code =
        report({ErrorKind::kInvalid, target.all ? "name a template or say --all, not both"
                                                : "name a template, or say --all"});
    return std::nullopt;
  }
  if (!target.all) return std::vector{target.name};
  auto names = all_names(session);
  if (!names) {
    session.code = report(names.error());
    return std::nullopt;
  }
  if (names->empty() && session.output == OutputFormat::kTable) {
    fmt::print("there are no templates\n");
  }
  return *std::move(names);
}

struct SourceOptions {
  std::string name, url;
  std::optional<std::string> path, ref, description;

  void add_to(CLI::App& command) {
    command.add_option("--path", path, "a folder of the repository; default its top")
        ->type_name("PATH");
    command.add_option("--ref", ref, "branch, tag or commit; default the repository's HEAD")
        ->type_name("REF");
    command.add_option("--description", description, "for people")->type_name("TEXT");
  }
  json body() const {
    json fields = json::object();
    if (!url.empty()) fields["url"] = url;
    if (path) fields["path"] = *path;
    if (ref) fields["ref"] = *ref;
    if (description) fields["description"] = *description;
    return fields;
  }
};

void add_add(CLI::App& noun, Session& session) {
  auto* command = noun.add_subcommand("add", "fetch a template from Git and keep it");
  auto options = std::make_shared<SourceOptions>();
  add_name_argument(*command, options->name)->required();
  command->add_option("url", options->url, "https://, ssh:// (or user@host:path) or file://")
      ->required()
      ->type_name("");
  options->add_to(*command);
  add_output_option(*command, session);
  command->footer(
      "Examples:\n"
      "  provisioner template add web https://example.org/infra.git --path web --ref v1.0\n"
      "  provisioner template add net git@example.org:infra.git --path net");
  command->callback([options, &session] {
    const auto answer = ask(session, "POST", target_of(options->name), options->body().dump());
    if (!answer) {
      session.code = report(answer.error());
    } else if (!session.printed(*answer)) {
      const auto row = json::parse(*answer);
      fmt::print("template {} is added, from commit {}\n", text_of(row, "name"), short_commit(row));
    }
  });
}

void add_update(CLI::App& noun, Session& session) {
  auto* command =
      noun.add_subcommand("update", "fetch what the ref names now; workspaces follow by on_change");
  auto options = std::make_shared<SourceOptions>();
  auto all = std::make_shared<bool>(false);
  add_name_argument(*command, options->name);
  command->add_flag("--all", *all, "every template");
  command->add_option("--url", options->url, "another source from now on")->type_name("URL");
  options->add_to(*command);
  add_output_option(*command, session);
  command->callback([options, all, &session] {
    const json changes = options->body();
    if (*all && !changes.empty()) {
      session.code = report({ErrorKind::kInvalid, "a source is changed for one template only"});
      return;
    }
    const auto names = names_of(session, {options->name, *all});
    if (!names) return;
    if (*all || changes.empty()) {
      for_each(session, *names, "/update", [](const json& row) { return say_updated(row), true; });
      return;
    }
    const auto answer = ask(session, "PATCH", target_of(options->name), changes.dump());
    if (!answer) {
      session.code = report(answer.error());
    } else if (!session.printed(*answer)) {
      say_updated(json::parse(*answer));
    }
  });
}

void add_validate(CLI::App& noun, Session& session) {
  auto* command = noun.add_subcommand(
      "validate", "fetch and check what the source has now, and keep nothing of it");
  auto target = std::make_shared<Target>();
  add_name_argument(*command, target->name);
  command->add_flag("--all", target->all, "every template");
  add_output_option(*command, session);
  command->callback([target, &session] {
    if (const auto names = names_of(session, *target)) {
      for_each(session, *names, "/validate", say_verdict);
    }
  });
}

void add_remove(CLI::App& noun, Session& session) {
  auto* command = noun.add_subcommand("remove", "forget a template that nobody uses");
  auto name = std::make_shared<std::string>();
  auto force = std::make_shared<bool>(false);
  add_name_argument(*command, *name)->required();
  command->add_flag("--force", *force, "also one in use: its users keep the content they have");
  add_yes_option(*command, session);
  add_output_option(*command, session);
  command->callback([name, force, &session] {
    if (!session.yes && !confirm(fmt::format("Remove template {}?", *name))) {
      session.code = kUsage;
      return;
    }
    act(session, "DELETE", target_of(*name) + (*force ? "?force=true" : ""), "",
        [](const json& row) {
          const std::string users = users_in(row);
          fmt::print("template {} is removed{}\n", text_of(row, "name"),
                     users.empty() ? "" : "; these keep the content they have: " + users);
        });
  });
}

}  // namespace

void add_template_commands(CLI::App& noun, Session& session) {
  add_add(noun, session);

  auto* list = noun.add_subcommand("list", "list templates by name");
  auto detailed = std::make_shared<bool>(false);
  list->add_flag("--detailed", *detailed, "with who uses them, content and description");
  add_output_option(*list, session);
  list->callback([detailed, &session] {
    show(session, kTemplates, [detailed](const std::string& text) {
      print_list(json::parse(text)["items"], *detailed);
    });
  });

  auto* one = noun.add_subcommand("show", "show a template and who uses it");
  auto name = std::make_shared<std::string>();
  add_name_argument(*one, *name)->required();
  add_output_option(*one, session);
  one->callback([name, &session] { show(session, target_of(*name), print_fields); });

  add_update(noun, session);
  add_validate(noun, session);
  add_remove(noun, session);
}

}  // namespace provisioner::cli
