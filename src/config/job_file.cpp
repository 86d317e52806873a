#include "config/job_file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "config/job_fields.hpp"
#include "config/json_document.hpp"
#include "config/workspace_fields.hpp"

namespace provisioner {

using nlohmann::json;

Result<ParsedWorkspace> parse_standalone_job(const JobName& job, std::string_view text,
                                             std::string_view file_label) {
  if (auto good = check_config_size(text, file_label); !good) return std::unexpected(good.error());
  const auto file = parse_json_object(text);
  if (!file) return fail(file_label, file.error());

  FileProblems problems(file_label);
  std::vector<std::string_view> known(job_fields().begin(), job_fields().end());
  const auto own_fields = known.size();
  known.insert(known.end(), {"timezone", "dst"});
  check_known_fields(*file, "", known, problems);

  json document = json::object();
  json& inner = document["jobs"].emplace_back(json::object());
  for (const auto& [field, value] : file->items()) {
    const auto found = std::ranges::find(known, field) - known.begin();
    if (static_cast<std::size_t>(found) == known.size() || value.is_null()) continue;
    (static_cast<std::size_t>(found) < own_fields ? inner : document)[field] = value;
  }
  if (!inner.contains("name")) inner["name"] = job.value;

  WorkspaceSpec spec;
  spec.name = home_of(job);
  read_zone_and_dst(document, spec, problems);
  read_jobs(document, spec, problems, JobPlace::kFileOfItsOwn);
  if (spec.jobs.size() == 1 && spec.jobs[0].name != job) {
    problems.error("name", fmt::format("{} differs from the file's name \"{}\": rename one of "
                                       "them, or remove the field",
                                       quote(spec.jobs[0].name.value), job.value));
  }
  if (problems.has_errors()) {
    return fail(ErrorKind::kInvalid, join(problems.errors(), "\n"));
  }
  auto parsed = parse_workspace(spec.name, document.dump(), file_label);
  if (parsed) parsed->warnings = std::move(problems.warnings());
  return parsed;
}

}  // namespace provisioner
