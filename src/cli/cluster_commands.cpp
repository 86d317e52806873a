// cluster status
#include <fmt/format.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <nlohmann/json.hpp>

#include "cli/listing.hpp"
#include "cli/session.hpp"
#include "cli/terminal.hpp"

namespace provisioner::cli {
namespace {

void print_cluster(const std::string& text) {
  const auto cluster = nlohmann::json::parse(text);
  fmt::print("leader: {}\nterm: {}\n", text_of(cluster, "leader"), text_of(cluster, "term"));
  if (const std::string lease = ago_of(cluster, "lease_expires_at"); !lease.empty()) {
    fmt::print("lease ends: {}, unless it is renewed\n", lease);
  }
  fmt::print("election: {}\nstore: {}\n\n", text_of(cluster, "election"),
             text_of(cluster, "store"));
  std::vector<std::vector<Cell>> rows;
  for (const auto& instance : cluster["instances"]) {
    const bool ready = instance.value("ready", false);
    rows.push_back({{text_of(instance, "id")},
                    {text_of(instance, "version")},
                    {text_of(instance, "role")},
                    {ready ? "yes" : "no", ready ? Tint::kGreen : Tint::kRed},
                    {text_of(instance, "running")},
                    {ago_of(instance, "started_at")},
                    {ago_of(instance, "last_seen")}});
  }
  fmt::print("{}",
             render_table({"INSTANCE", "VERSION", "ROLE", "READY", "RUNNING", "STARTED", "SEEN"},
                          rows, output_has_colour()));
}

}  // namespace

void add_cluster_commands(CLI::App& noun, Session& session) {
  auto* status = noun.add_subcommand("status", "show instances, leader and term");
  add_output_option(*status, session);
  status->callback([&session] { show(session, "/api/v1/cluster", print_cluster); });
}

}  // namespace provisioner::cli
