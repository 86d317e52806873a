// token create | list | revoke
#include <fmt/format.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "cli/exit_code.hpp"
#include "cli/listing.hpp"
#include "cli/session.hpp"
#include "cli/terminal.hpp"
#include "http/message.hpp"

namespace provisioner::cli {
namespace {

std::string workspaces_of(const nlohmann::json& token) {
  const auto& patterns = token["workspaces"];
  return patterns.is_array() ? join(patterns.get<std::vector<std::string>>(), ", ") : "all";
}

Tint tint_of(const std::string& status) {
  return status == "active" ? Tint::kGreen : status == "expired" ? Tint::kYellow : Tint::kDim;
}

void print_tokens(const std::string& json) {
  std::vector<std::vector<Cell>> rows;
  const auto answer = nlohmann::json::parse(json);
  for (const auto& token : answer["items"]) {
    const std::string status = text_of(token, "status");
    const std::string expires = ago_of(token, "expires_at");
    const std::string used = ago_of(token, "last_used_at");
    rows.push_back({{text_of(token, "name")},
                    {text_of(token, "role")},
                    {workspaces_of(token)},
                    {status, tint_of(status)},
                    {expires.empty() ? "never" : expires},
                    {used.empty() ? "never" : used},
                    {text_of(token, "created_by")},
                    {text_of(token, "id")}});
  }
  fmt::print("{}", render_table({"NAME", "ROLE", "WORKSPACES", "STATUS", "EXPIRES", "LAST USED",
                                 "CREATED BY", "ID"},
                                rows, output_has_colour()));
}

// The token alone on standard output, so that it can go straight into a file or a variable.
void print_new(const nlohmann::json& token) {
  const std::string expires = text_of(token, "expires_at");
  fmt::print(stderr, "token {}: {} of {}, {}. It is shown only this once:\n",
             text_of(token, "name"), text_of(token, "role"),
             token["workspaces"].is_array() ? workspaces_of(token) : "all workspaces",
             expires.empty() ? "without an end" : "until " + expires);
  fmt::print("{}\n", text_of(token, "token"));
}

void add_create(CLI::App& noun, Session& session) {
  struct Options {
    std::string name, role, expires;
    std::vector<std::string> workspaces;
  };
  auto* command = noun.add_subcommand("create", "make a token and print it, this once");
  auto options = std::make_shared<Options>();
  command->add_option("name", options->name, "what the list and the audit call it")
      ->required()
      ->type_name("");
  command
      ->add_option("--role", options->role,
                   "viewer (look), operator (deploy, destroy, hold), admin (states, tokens)")
      ->required()
      ->check(CLI::IsMember({"viewer", "operator", "admin"}).description(""))
      ->type_name("ROLE");
  command
      ->add_option("--workspace", options->workspaces,
                   "only for workspaces of this name or pattern, such as 'team-a-*'; repeatable")
      ->type_name("NAME")
      ->allow_extra_args(false);
  command->add_option("--expires", options->expires, "30d, a time, or never; default 90d")
      ->type_name("WHEN");
  add_output_option(*command, session);
  command->footer(
      "Examples:\n"
      "  provisioner token create ci --role operator --workspace 'shop-*' --expires 30d > token\n"
      "  provisioner --server https://host:8080 --token-file token workspace deploy shop-1");
  command->callback([options, &session] {
    nlohmann::json body = {{"role", options->role}};
    if (!options->workspaces.empty()) body["workspaces"] = join(options->workspaces, ",");
    if (!options->expires.empty()) body["expires"] = options->expires;
    act(session, "POST", "/api/v1/tokens/" + http::encode_component(options->name), body.dump(),
        print_new);
  });
}

}  // namespace

void add_token_commands(CLI::App& noun, Session& session) {
  add_create(noun, session);

  auto* list =
      noun.add_subcommand("list", "list tokens, newest first; their secrets are kept nowhere");
  add_output_option(*list, session);
  list->callback([&session] { show(session, "/api/v1/tokens", print_tokens); });

  auto* revoke = noun.add_subcommand("revoke", "refuse a token from now on");
  auto revoked = std::make_shared<std::string>();
  revoke->add_option("token", *revoked, "its name or id")->required()->type_name("");
  add_yes_option(*revoke, session);
  add_output_option(*revoke, session);
  revoke->callback([revoked, &session] {
    if (!session.yes && !confirm(fmt::format("Revoke token {}?", *revoked))) {
      session.code = kUsage;
      return;
    }
    act(session, "DELETE", "/api/v1/tokens/" + http::encode_component(*revoked), "",
        [](const auto& token) { fmt::print("token {} is revoked\n", text_of(token, "name")); });
  });
}

}  // namespace provisioner::cli
