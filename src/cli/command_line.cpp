#include "cli/command_line.hpp"

#include <fmt/format.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <string_view>
#include <system_error>

#include "base/text.hpp"
#include "cli/exit_code.hpp"
#include "cli/migrate_commands.hpp"
#include "cli/session.hpp"
#include "config/settings.hpp"

extern char** environ;

namespace provisioner::cli {
namespace {

std::map<std::string, std::string> process_environment() {
  std::map<std::string, std::string> variables;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const auto equals = text.find('=');
    if (equals != std::string_view::npos) {
      variables.emplace(text.substr(0, equals), text.substr(equals + 1));
    }
  }
  return variables;
}

// Every setting of the table is a flag of what reads the daemon's settings.
void add_setting_flags(CLI::App& command, std::map<std::string, std::string>& flags) {
  for (const auto& setting : setting_table()) {
    if (setting.flag.empty()) continue;
    const std::string name(setting.flag);
    command
        .add_option_function<std::string>(
            "--" + name, [&flags, name](const std::string& value) { flags[name] = value; },
            fmt::format("{} [{}; {}]", setting.description, setting.variable, setting.default_text))
        ->type_name("");
  }
}

void add_serve_command(CLI::App& root, Session& session, const Programs& programs,
                       std::map<std::string, std::string>& flags) {
  CLI::App* serve = root.add_subcommand("serve", "run the daemon");
  add_setting_flags(*serve, flags);
  serve->add_flag_callback(
      "--no-supervise", [&flags] { flags["supervise"] = "off"; }, "the same as --supervise off");
  serve->callback([&] { session.code = programs.serve(flags); });
}

// Wherever they stand among the arguments.
void add_remote_options(CLI::App& root, RemoteOptions& remote) {
  const auto add = [&root](const char* name, std::string& place, const char* description,
                           const char* type) {
    root.add_option(name, place, description)->type_name(type)->group("Daemon elsewhere");
  };
  add("--server", remote.server,
      "where the daemon is, such as https://host:8080 [PROVISIONER_URL]; default its socket on "
      "this machine",
      "URL");
  add("--token-file", remote.token_file,
      "its first line is the token [PROVISIONER_TOKEN, PROVISIONER_TOKEN_FILE]", "FILE");
  add("--ca", remote.ca,
      "trust certificates of this authority instead of the system's [PROVISIONER_CA]", "FILE");
  add("--cert", remote.cert, "a certificate to show, where the daemon wants one [PROVISIONER_CERT]",
      "FILE");
  add("--key", remote.key, "its key [PROVISIONER_KEY]", "FILE");
}

// For a service manager, after the daemon's end: the daemon cannot be asked.
void add_release_command(CLI::App& cluster, Session& session, const Programs& programs,
                         std::map<std::string, std::string>& flags) {
  CLI::App* release = cluster.add_subcommand(
      "release", "free the leadership of this instance's dead daemon (systemd's ExecStopPost)");
  add_setting_flags(*release, flags);
  release->callback([&] { session.code = programs.release_leadership(flags); });
}

void add_version_command(CLI::App& root, Session& session) {
  CLI::App* command = root.add_subcommand("version", "print the version");
  add_output_option(*command, session);
  command->callback([&session] {
    if (!session.printed(fmt::format(R"({{"version":"{}"}})", version()))) {
      fmt::print("provisioner {}\n", version());
    }
  });
}

// A noun, and the program of the file-based version that took its verbs directly.
struct Noun {
  const char* name;
  const char* description;
  void (*add)(CLI::App&, Session&);
  std::string_view old_name;  // "" = none
};
constexpr Noun kNouns[] = {
    {"workspace", "deploy, destroy and show workspaces", add_workspace_commands, "workspacectl"},
    {"job", "run, kill and show jobs", add_job_commands, "jobctl"},
    {"run", "show and cancel runs", add_run_commands, ""},
    {"schedule", "preview and explain schedules", add_schedule_commands, ""},
    {"state", "tofu's states: versions, rollback, push, pull, unlock", add_state_commands, ""},
    {"cluster", "instances and leadership", add_cluster_commands, ""},
    {"template", "content from Git that workspaces share", add_template_commands, "templatectl"},
    {"token", "tokens of the API: make, list and revoke them", add_token_commands, ""},
    {"config", "show and check settings", add_config_commands, ""},
};

const Noun* find_by_old_name(std::string_view program) {
  for (const Noun& noun : kNouns) {
    if (!noun.old_name.empty() && noun.old_name == program) return &noun;
  }
  return nullptr;
}

// The old programs took `--workspace NAME` before the verb; it belongs to the verb.
std::vector<std::string> with_verb_first(std::vector<std::string> arguments) {
  std::size_t verb = 0;
  while (verb < arguments.size() && arguments[verb].starts_with("--workspace")) {
    verb += arguments[verb] == "--workspace" ? 2 : 1;
  }
  if (verb < arguments.size() && !arguments[verb].starts_with('-')) {
    std::rotate(arguments.begin(), arguments.begin() + static_cast<std::ptrdiff_t>(verb),
                arguments.begin() + static_cast<std::ptrdiff_t>(verb) + 1);
  }
  return arguments;
}

void add_version_flags(CLI::App& root) {
  const std::string name = root.get_name();
  root.set_version_flag("--version", fmt::format("{} {}", name, version()));
  root.add_flag_callback(
      "--version-full",
      [name] {
        throw CLI::CallForVersion(fmt::format("{} {}\nbuilt with {}", name, version(), __VERSION__),
                                  0);
      },
      "print the version and what it was built with, and exit");
}

// The command that the words named before they ended or went wrong.
const CLI::App& deepest(const CLI::App& root) {
  const CLI::App* app = &root;
  while (!app->get_subcommands().empty()) app = app->get_subcommands().front();
  return *app;
}

// The word that named no command, with the nearest that does; "" when something else is wrong.
std::string unknown_command(const CLI::App& root) {
  const CLI::App* app = &deepest(root);
  const auto commands = app->get_subcommands([](const CLI::App*) { return true; });
  // What a command does not know falls through to the root.
  const auto words = root.remaining(true);
  if (commands.empty() || words.empty() || words.front().starts_with('-')) return "";
  std::vector<std::string> names;
  for (const auto* command : commands) names.push_back(command->get_name());
  const std::vector<std::string_view> candidates(names.begin(), names.end());
  const auto near = nearest(words.front(), candidates);
  const bool is_root = app == &root;
  return fmt::format(
      "{} has no command \"{}\"{}", is_root ? root.get_name() : app->get_name(), words.front(),
      near.empty() ? ": it has " + join(names, ", ") : fmt::format("; did you mean {}?", near));
}

// A noun alone: what it can do says more than that something is missing.
bool lacks_a_verb(const CLI::App& root, const CLI::ParseError& error) {
  return dynamic_cast<const CLI::RequiredError*>(&error) != nullptr &&
         !deepest(root).get_subcommands([](const CLI::App*) { return true; }).empty();
}

// What a full disk swallowed, a backup with `state pull` for example, must not pass for written.
int written_out(int code) {
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return code;
  return report(fail_errno("writing the output", errno).error());
}

}  // namespace

const char* version() { return PROVISIONER_VERSION; }

int run_command_line(int argc, const char* const* argv, const Programs& programs) {
  Session session;
  session.environment = process_environment();
  std::map<std::string, std::string> serve_flags;

  const std::string program = argc > 0 ? std::filesystem::path(argv[0]).filename().string() : "";
  const Noun* old = find_by_old_name(program);
  CLI::App root("Provisioner schedules OpenTofu workspaces.",
                old == nullptr ? "provisioner" : program);
  add_version_flags(root);
  root.set_help_all_flag("--help-all", "print the help of every command");
  root.require_subcommand(1);
  root.footer(
      "Exit codes: 0 done, 1 the operation failed, 2 usage, 3 not found, 4 conflict or busy,\n"
      "5 the daemon cannot be reached.");

  root.fallthrough();
  add_remote_options(root, session.remote);

  if (old != nullptr) {
    root.description(
        fmt::format("The verbs of `provisioner {}`: {}.", old->name, old->description));
    session.yes = true;  // the old names proceed without asking, as they always did
    session.old_name = true;
    old->add(root, session);
  } else {
    add_serve_command(root, session, programs, serve_flags);
    for (const Noun& noun : kNouns) {
      CLI::App* command = root.add_subcommand(noun.name, noun.description);
      command->require_subcommand(1);
      noun.add(*command, session);
    }
    add_tofu_command(root, session);
    add_release_command(*root.get_subcommand("cluster"), session, programs, serve_flags);
    CLI::App* migrate = root.add_subcommand("migrate", "move a store elsewhere");
    migrate->require_subcommand(1);
    add_migrate_commands(*migrate, session, programs);
    add_doctor_command(root, session);
    add_completion_command(root, session);
    add_version_command(root, session);
  }

  std::vector<std::string> arguments(argv + std::min(argc, 1), argv + argc);
  if (old != nullptr) arguments = with_verb_first(std::move(arguments));
  std::ranges::reverse(arguments);  // as CLI11 takes a vector
  try {
    root.parse(std::move(arguments));
  } catch (const std::system_error& error) {  // more output than fits a buffer, cut off in between
    if (std::ferror(stdout) == 0) throw;
    return report(fail_errno("writing the output", error.code().value()).error());
  } catch (const CLI::ParseError& error) {
    const std::string unknown = error.get_exit_code() == 0 ? "" : unknown_command(root);
    if (!unknown.empty()) return report({ErrorKind::kInvalid, unknown});
    if (lacks_a_verb(root, error)) {
      fmt::print(stderr, "{}", root.help());
      return kUsage;
    }
    const int code = root.exit(error);
    return code == 0 ? kDone : kUsage;
  }
  return written_out(session.code);
}

}  // namespace provisioner::cli
