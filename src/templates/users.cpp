#include "templates/users.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace provisioner {
namespace {

std::string text(const nlohmann::json& object, const char* field) {
  const auto found = object.find(field);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

}  // namespace

std::vector<TemplateUser> users_of(const Template& row, const std::vector<Workspace>& workspaces) {
  std::vector<TemplateUser> users;
  for (const Workspace& w : workspaces) {
    if (w.template_name == row.name.value) {
      users.push_back({.workspace = w.name,
                       .is_current = w.template_bundle.empty() || w.template_bundle == row.bundle});
    }
    // Most configurations name no job of this kind.
    if (!w.current.config.contains(R"("template")")) continue;
    const auto config = nlohmann::json::parse(w.current.config, nullptr, false);
    if (!config.is_object() || !config.contains("jobs") || !config["jobs"].is_array()) continue;
    for (const auto& job : config["jobs"]) {
      if (!job.is_object() || text(job, "type") != "template") continue;
      if (text(job, "template") != row.name.value) continue;
      users.push_back({.workspace = w.name, .job = text(job, "name")});
    }
  }
  return users;
}

std::string shown(const TemplateUser& user) {
  return user.job.empty() ? user.workspace.value
                          : fmt::format("{} (job {})", user.workspace.value, user.job);
}

}  // namespace provisioner
