#include "migration/old_installation.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <fstream>
#include <functional>
#include <initializer_list>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string_view>

#include "tofu/state_body.hpp"

namespace provisioner::migration {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

Result<std::string> text_of(const fs::path& file) {
  errno = 0;
  std::ifstream in(file, std::ios::binary);
  if (!in) return fail_errno(fmt::format("reading {}", file.string()), errno);
  std::string text(std::istreambuf_iterator<char>(in), {});
  if (in.bad()) return fail_errno(fmt::format("reading {}", file.string()), errno);
  return text;
}

// The object `field` of the file; empty when there is no such file.
Result<json> read_table(const fs::path& file, const char* field) {
  std::error_code none;
  if (!fs::exists(file, none)) return json::object();
  const auto text = text_of(file);
  if (!text) return std::unexpected(text.error());
  const json document = json::parse(*text, nullptr, false);
  if (document.is_discarded() || !document.is_object()) {
    return fail(ErrorKind::kInvalid,
                fmt::format("{} is no JSON object: the file-based version may have been stopped "
                            "while it wrote it. Mend it, or put a copy in its place",
                            file.string()));
  }
  const auto table = document.find(field);
  if (table == document.end() || table->is_null()) return json::object();
  if (!table->is_object()) {
    return fail(ErrorKind::kInvalid, fmt::format("{}: \"{}\" is no object", file.string(), field));
  }
  return *table;
}

std::string text_in(const json& object, const char* field) {
  const auto found = object.find(field);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

std::int64_t number_in(const json& object, const char* field) {
  const auto found = object.find(field);
  return found != object.end() && found->is_number_integer() ? found->get<std::int64_t>() : 0;
}

// A year before 1970 is how an absent time was written.
Result<std::optional<Instant>> time_in(const json& object, const char* field,
                                       const std::string& where) {
  const std::string text = text_in(object, field);
  if (text.empty() || text.starts_with("0001-")) return std::nullopt;
  const auto at = parse_rfc3339(text);
  if (!at) return fail(fmt::format("{}: {}", where, field), at.error());
  return *at;
}

// Fills what `places` name.
using Times = std::initializer_list<std::pair<const char*, std::optional<Instant>*>>;
Status read_times(const json& row, const std::string& where, Times places) {
  for (const auto& [field, place] : places) {
    auto at = time_in(row, field, where);
    if (!at) return std::unexpected(at.error());
    *place = *at;
  }
  return {};
}

// Of each row of a table, which is an object.
Status for_each_row(const fs::path& file, const char* field,
                    const std::function<Status(const std::string& key, const json& row,
                                               const std::string& where)>& read) {
  const auto rows = read_table(file, field);
  if (!rows) return std::unexpected(rows.error());
  for (const auto& [key, row] : rows->items()) {
    const std::string where = fmt::format("{}: {}", file.string(), key);
    if (!row.is_object()) {
      return fail(ErrorKind::kInvalid, fmt::format("{} is no object", where));
    }
    if (auto done = read(key, row, where); !done) return done;
  }
  return {};
}

Status read_row(const json& row, const std::string& where, OldWorkspace& workspace) {
  workspace.status = text_in(row, "status");
  if (workspace.status.empty()) workspace.status = "pending";
  workspace.mode = text_in(row, "deployment_mode");
  workspace.last_deploy_error = text_in(row, "last_deploy_error");
  workspace.last_destroy_error = text_in(row, "last_destroy_error");
  return read_times(row, where,
                    {{"last_deployed", &workspace.last_deployed},
                     {"last_destroyed", &workspace.last_destroyed},
                     {"last_config_modified", &workspace.last_config_modified}});
}

// `key` is "<workspace>:<job>"; both have fields of their own, too.
Result<OldJob> read_job(const std::string& key, const json& row, const std::string& where) {
  const auto colon = key.find(':');
  OldJob job{.workspace = text_in(row, "workspace_id"), .name = text_in(row, "name")};
  if (job.workspace.empty()) job.workspace = key.substr(0, colon);
  if (job.name.empty() && colon != std::string::npos) job.name = key.substr(colon + 1);
  job.status = text_in(row, "status");
  job.last_error = text_in(row, "last_error");
  if (row.contains("last_exit_code")) job.last_exit_code = number_in(row, "last_exit_code");
  job.run_count = number_in(row, "run_count");
  job.success_count = number_in(row, "success_count");
  job.failure_count = number_in(row, "failure_count");
  auto done = read_times(row, where,
                         {{"last_run", &job.last_run},
                          {"last_success", &job.last_success},
                          {"last_failure", &job.last_failure}});
  if (!done) return std::unexpected(done.error());
  return job;
}

Result<OldTemplate> read_template(const fs::path& templates, const std::string& key,
                                  const json& row, const std::string& where) {
  OldTemplate made{.name = key,
                   .url = text_in(row, "source_url"),
                   .path = text_in(row, "source_path"),
                   .ref = text_in(row, "source_ref"),
                   .description = text_in(row, "description")};
  auto done =
      read_times(row, where, {{"created_at", &made.created_at}, {"updated_at", &made.updated_at}});
  if (!done) return std::unexpected(done.error());
  std::error_code none;
  if (fs::is_directory(templates / key, none)) made.directory = templates / key;
  return made;
}

OldState read_state(const fs::path& file) {
  OldState state{.file = file};
  auto body = text_of(file);
  if (!body) {
    state.problem = body.error().message;
    return state;
  }
  auto meta = tofu::parse_state(*body);
  if (!meta) {
    state.problem = meta.error().message;
    return state;
  }
  state.body = std::move(*body);
  state.meta = std::move(*meta);
  return state;
}

Status read_directory(const fs::path& directory, OldWorkspace& workspace) {
  workspace.directory = directory;
  std::error_code error;
  for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename();
    if (name == "terraform.tfstate") {
      workspace.state = read_state(it->path());
    } else if (name == ".terraform.lock.hcl") {
      auto text = text_of(it->path());
      if (!text) return std::unexpected(text.error());
      workspace.lock_file = std::move(*text);
    } else if (name.ends_with(".tfvars") || name.ends_with(".tfvars.json")) {
      workspace.variable_files.push_back(it->path());
    }
  }
  if (error) return fail_errno(fmt::format("reading {}", directory.string()), error.value());
  std::ranges::sort(workspace.variable_files);
  return {};
}

// Each folder of `above` is a workspace's; `only_states` passes over those without a state.
Status read_directories(const fs::path& above, bool only_states, OldInstallation& old) {
  // Ours, and theirs that are no workspace's.
  constexpr std::array<std::string_view, 6> kOthers = {"deployments", "templates", "jobs",
                                                       "work",        "spool",     "tofu"};
  std::error_code error;
  for (fs::directory_iterator it(above, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename();
    std::error_code unreadable;
    if (!it->is_directory(unreadable) || name.starts_with('.')) continue;
    if (only_states && (std::ranges::find(kOthers, name) != kOthers.end() ||
                        !fs::exists(it->path() / "terraform.tfstate", unreadable))) {
      continue;
    }
    OldWorkspace& workspace = old.workspaces[name];
    if (workspace.state) continue;  // the newer place counts
    if (auto done = read_directory(it->path(), workspace); !done) return done;
  }
  if (error && error != std::errc::no_such_file_or_directory) {
    return fail_errno(fmt::format("reading {}", above.string()), error.value());
  }
  return {};
}

}  // namespace

Result<OldInstallation> read_old_installation(const fs::path& state_dir) {
  std::error_code none;
  if (!fs::exists(state_dir / "scheduler.json", none) &&
      !fs::exists(state_dir / "deployments", none)) {
    return fail(ErrorKind::kNotFound,
                fmt::format("{} holds neither scheduler.json nor deployments/: it is no state "
                            "directory of the file-based version",
                            state_dir.string()));
  }
  OldInstallation old;
  auto done = for_each_row(state_dir / "scheduler.json", "workspaces",
                           [&](const std::string& name, const json& row, const std::string& where) {
                             return read_row(row, where, old.workspaces[name]);
                           });
  if (!done) return std::unexpected(done.error());
  done = for_each_row(
      state_dir / "jobs.json", "jobs",
      [&](const std::string& key, const json& row, const std::string& where) -> Status {
        auto job = read_job(key, row, where);
        if (!job) return std::unexpected(job.error());
        old.jobs.push_back(std::move(*job));
        return {};
      });
  if (!done) return std::unexpected(done.error());
  const fs::path templates = state_dir / "templates";
  done = for_each_row(
      templates / "registry.json", "templates",
      [&](const std::string& key, const json& row, const std::string& where) -> Status {
        auto made = read_template(templates, key, row, where);
        if (!made) return std::unexpected(made.error());
        old.templates.push_back(std::move(*made));
        return {};
      });
  if (!done) return std::unexpected(done.error());
  done = read_directories(state_dir / "deployments", false, old);
  if (done) done = read_directories(state_dir, true, old);
  if (!done) return std::unexpected(done.error());
  return old;
}

}  // namespace provisioner::migration
