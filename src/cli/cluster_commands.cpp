// cluster status | transfer | drain | events
#include <fmt/format.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <nlohmann/json.hpp>

#include "cli/listing.hpp"
#include "cli/session.hpp"
#include "cli/terminal.hpp"
#include "http/message.hpp"

namespace provisioner::cli {
namespace {

void print_cluster(const std::string& text) {
  const auto cluster = nlohmann::json::parse(text);
  fmt::print("leader: {}\nterm: {}\n", text_of(cluster, "leader"), text_of(cluster, "term"));
  if (const std::string lease = ago_of(cluster, "lease_expires_at"); !lease.empty()) {
    fmt::print("lease ends: {}, unless it is renewed\n", lease);
  }
  fmt::print("election: {}\n", text_of(cluster, "election"));
  if (const std::string problem = text_of(cluster, "election_problem"); !problem.empty()) {
    fmt::print("  does not answer: {}\n", problem);
  }
  fmt::print("store: {}\n\n", text_of(cluster, "store"));
  std::vector<std::vector<Cell>> rows;
  for (const auto& instance : cluster["instances"]) {
    const bool ready = instance.value("ready", false);
    const bool draining = instance.value("draining", false);
    rows.push_back({{text_of(instance, "id")},
                    {text_of(instance, "version")},
                    {text_of(instance, "role") + (draining ? ", draining" : "")},
                    {ready ? "yes" : "no", ready ? Tint::kGreen : Tint::kRed},
                    {text_of(instance, "running")},
                    {ago_of(instance, "started_at")},
                    {ago_of(instance, "last_seen")}});
  }
  fmt::print("{}",
             render_table({"INSTANCE", "VERSION", "ROLE", "READY", "RUNNING", "STARTED", "SEEN"},
                          rows, output_has_colour()));
  if (cluster["disagreements"].empty()) return;
  fmt::print("\nThe instances do not agree on these folders (the newest report counts):\n");
  for (const auto& d : cluster["disagreements"]) {
    fmt::print("  {} on {}: {} (reported {})\n", text_of(d, "workspace"), text_of(d, "instance"),
               text_of(d, "difference"), ago_of(d, "reported_at"));
  }
}

void print_events(const std::string& text) {
  const auto events = nlohmann::json::parse(text);
  std::vector<std::vector<Cell>> rows;
  for (const auto& event : events["items"]) {
    rows.push_back({{text_of(event, "at")},
                    {text_of(event, "action")},
                    {text_of(event, "actor")},
                    {text_of(event, "target")},
                    {text_of(event, "outcome")}});
  }
  fmt::print("{}", render_table({"AT", "EVENT", "BY", "OF", "OUTCOME"}, rows, output_has_colour()));
}

void add_transfer(CLI::App& noun, Session& session) {
  auto* transfer = noun.add_subcommand("transfer", "let another instance lead; runs go on");
  auto to = std::make_shared<std::string>();
  transfer->add_option("--to", *to, "this one; default: any other")->type_name("INSTANCE");
  add_output_option(*transfer, session);
  transfer->callback([to, &session] {
    nlohmann::json body = nlohmann::json::object();
    if (!to->empty()) body["to"] = *to;
    act(session, "POST", "/api/v1/cluster/transfer", body.dump(),
        [to](const nlohmann::json& answer) {
          fmt::print(
              "{} was asked to hand over to {}; 'provisioner cluster status' shows who leads\n",
              text_of(answer, "leader"), to->empty() ? "another instance" : *to);
        });
  });
}

void add_drain(CLI::App& noun, Session& session) {
  auto* drain = noun.add_subcommand(
      "drain", "let an instance neither lead nor start runs; what runs there goes on");
  struct Options {
    std::string instance;
    bool undo = false;
  };
  auto options = std::make_shared<Options>();
  drain->add_option("INSTANCE", options->instance, "its id, as 'cluster status' shows it")
      ->required();
  drain->add_flag("--undo", options->undo, "let it work again");
  add_output_option(*drain, session);
  drain->callback([options, &session] {
    act(session, options->undo ? "DELETE" : "POST",
        fmt::format("/api/v1/cluster/instances/{}/drain",
                    http::encode_component(options->instance)),
        "{}", [options](const nlohmann::json&) {
          fmt::print("{} {}\n", options->instance,
                     options->undo
                         ? "may lead and start runs again"
                         : "drains: 'provisioner cluster status' shows what still runs there");
        });
  });
}

void add_events(CLI::App& noun, Session& session) {
  auto* events =
      noun.add_subcommand("events", "who led when, and what people asked of the cluster");
  auto limit = std::make_shared<int>(50);
  events->add_option("--limit", *limit, "so many, the newest first")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  add_output_option(*events, session);
  events->callback([limit, &session] {
    show(session, fmt::format("/api/v1/cluster/events?limit={}", *limit), print_events);
  });
}

}  // namespace

void add_cluster_commands(CLI::App& noun, Session& session) {
  auto* status = noun.add_subcommand("status", "show instances, leader and term");
  add_output_option(*status, session);
  status->callback([&session] { show(session, "/api/v1/cluster", print_cluster); });
  add_transfer(noun, session);
  add_drain(noun, session);
  add_events(noun, session);
}

}  // namespace provisioner::cli
