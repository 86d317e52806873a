// completion bash | zsh | fish: scripts generated from the commands themselves.
#include <fmt/format.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include "cli/exit_code.hpp"
#include "cli/session.hpp"

namespace provisioner::cli {
namespace {

// "workspace deploy" -> its flags and verbs, for every command below `app`.
void collect(const CLI::App& app, const std::string& path,
             std::map<std::string, std::string>& words) {
  std::string list;
  const auto add = [&list](const std::string& word) { list += (list.empty() ? "" : " ") + word; };
  for (const auto* child : app.get_subcommands([](const CLI::App*) { return true; })) {
    add(child->get_name());
    collect(*child, path.empty() ? child->get_name() : path + " " + child->get_name(), words);
  }
  for (const auto* option : app.get_options()) {
    for (const auto& name : option->get_lnames()) add("--" + name);
  }
  words[path] = list;
}

std::string cases(const std::map<std::string, std::string>& words) {
  std::string text;
  for (const auto& [path, list] : words) {
    text += fmt::format("    \"{}\") words=\"{}\" ;;\n", path, list);
  }
  return text;
}

std::string bash_script(const std::map<std::string, std::string>& words) {
  return "# bash completion of provisioner: source <(provisioner completion bash)\n"
         "_provisioner() {\n"
         "  local current=${COMP_WORDS[COMP_CWORD]} path=\"\" words=\"\" i\n"
         "  for ((i = 1; i < COMP_CWORD && i < 3; i++)); do\n"
         "    [[ ${COMP_WORDS[i]} == -* ]] || path+=\"${path:+ }${COMP_WORDS[i]}\"\n"
         "  done\n"
         "  case \"$path\" in\n" +
         cases(words) +
         "  esac\n"
         "  if [[ $path == \"workspace \"* && $current != -* ]]; then\n"
         "    words+=\" $(provisioner workspace list --output json 2>/dev/null |"
         " sed -nE 's/^ *\"name\": \"(.*)\",?$/\\1/p')\"\n"
         "  fi\n"
         "  COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n"
         "}\n"
         "complete -F _provisioner provisioner\n";
}

std::string zsh_script(const std::map<std::string, std::string>& words) {
  return "#compdef provisioner\n"
         "# zsh completion of provisioner: source <(provisioner completion zsh)\n"
         "autoload -U +X bashcompinit && bashcompinit\n" +
         bash_script(words);
}

std::string fish_script(const std::map<std::string, std::string>& words) {
  std::string text =
      "# fish completion of provisioner: provisioner completion fish | source\n"
      "complete -c provisioner -f\n";
  for (const auto& [path, list] : words) {
    const auto space = path.find(' ');
    std::string condition = "__fish_use_subcommand";
    if (!path.empty()) condition = "__fish_seen_subcommand_from " + path.substr(0, space);
    if (space != std::string::npos) {
      condition += "; and __fish_seen_subcommand_from " + path.substr(space + 1);
    }
    text += fmt::format("complete -c provisioner -n '{}' -a '{}'\n", condition, list);
  }
  return text;
}

}  // namespace

void add_completion_command(CLI::App& root, Session& session) {
  auto* command = root.add_subcommand("completion", "print the completion script of a shell");
  auto shell = std::make_shared<std::string>();
  command->add_option("shell", *shell, "bash, zsh or fish")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
  command->callback([shell, &root, &session] {
    std::map<std::string, std::string> words;
    collect(root, "", words);
    fmt::print("{}", *shell == "bash"  ? bash_script(words)
                     : *shell == "zsh" ? zsh_script(words)
                                       : fish_script(words));
    session.code = kDone;
  });
}

}  // namespace provisioner::cli
