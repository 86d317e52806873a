#include "cli/job_reference.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <vector>

#include "base/text.hpp"
#include "cli/listing.hpp"
#include "http/message.hpp"
#include "model/job.hpp"

namespace provisioner::cli {

std::string JobReference::path() const {
  return fmt::format("/api/v1/jobs/{}/{}", http::encode_component(workspace),
                     http::encode_component(name));
}

Result<JobReference> find_job(Session& session, const std::string& text,
                              const std::string& workspace) {
  if (const std::size_t colon = text.find(':'); colon != std::string::npos) {
    JobReference job{text.substr(0, colon), text.substr(colon + 1)};
    if (!workspace.empty() && workspace != job.workspace) {
      return fail(ErrorKind::kInvalid,
                  fmt::format("{} is no job of workspace {}", text, workspace));
    }
    return job;
  }
  if (!workspace.empty()) return JobReference{workspace, text};
  const auto list = all_jobs(session, "");
  if (!list) return std::unexpected(list.error());
  std::vector<std::string> found;
  JobReference job;
  const auto answer = nlohmann::json::parse(*list);
  for (const auto& row : answer["items"]) {
    if (text_of(row, "name") != text) continue;
    job = {text_of(row, "workspace"), text};
    found.push_back(fmt::format("{}:{}", job.workspace, text));
  }
  if (found.empty()) return fail(ErrorKind::kNotFound, fmt::format("there is no job {}", text));
  if (found.size() > 1) {
    return fail(ErrorKind::kInvalid, fmt::format("several jobs are called {}: say which, {}", text,
                                                 join(found, " or ")));
  }
  return job;
}

Result<std::string> all_jobs(Session& session, const std::string& workspace) {
  nlohmann::ordered_json all = {{"items", nlohmann::json::array()}, {"next_cursor", nullptr}};
  std::string cursor;
  do {
    Query query;
    query.add("workspace", workspace);
    query.add("cursor", cursor);
    const bool may_be_unknown = cursor.empty() && workspace != kStandalone;
    const auto page =
        list_of(session, "/api/v1/jobs" + query.text(), may_be_unknown ? workspace : "");
    if (!page) return std::unexpected(page.error());
    const auto answer = nlohmann::ordered_json::parse(*page);
    for (const auto& row : answer["items"]) all["items"].push_back(row);
    cursor = answer["next_cursor"].is_string() ? answer["next_cursor"].get<std::string>() : "";
  } while (!cursor.empty());
  return all.dump();
}

}  // namespace provisioner::cli
