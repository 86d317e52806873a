#include "migration/old_installation.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <fstream>
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

// A year before 1970 is how an absent time was written.
Result<std::optional<Instant>> time_in(const json& object, const char* field,
                                       const std::string& where) {
  const std::string text = text_in(object, field);
  if (text.empty() || text.starts_with("0001-")) return std::nullopt;
  const auto at = parse_rfc3339(text);
  if (!at) return fail(fmt::format("{}: {}", where, field), at.error());
  return *at;
}

Status read_row(const json& row, const std::string& where, OldWorkspace& workspace) {
  if (!row.is_object()) {
    return fail(ErrorKind::kInvalid, fmt::format("{} is no object", where));
  }
  workspace.status = text_in(row, "status");
  if (workspace.status.empty()) workspace.status = "pending";
  workspace.mode = text_in(row, "deployment_mode");
  workspace.last_deploy_error = text_in(row, "last_deploy_error");
  workspace.last_destroy_error = text_in(row, "last_destroy_error");
  const std::pair<const char*, std::optional<Instant>*> times[] = {
      {"last_deployed", &workspace.last_deployed},
      {"last_destroyed", &workspace.last_destroyed},
      {"last_config_modified", &workspace.last_config_modified}};
  for (const auto& [field, place] : times) {
    auto at = time_in(row, field, where);
    if (!at) return std::unexpected(at.error());
    *place = *at;
  }
  return {};
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
  const fs::path scheduler = state_dir / "scheduler.json";
  const auto rows = read_table(scheduler, "workspaces");
  if (!rows) return std::unexpected(rows.error());
  for (const auto& [name, row] : rows->items()) {
    const std::string where = fmt::format("{}: {}", scheduler.string(), name);
    if (auto done = read_row(row, where, old.workspaces[name]); !done) {
      return std::unexpected(done.error());
    }
  }
  if (auto done = read_directories(state_dir / "deployments", false, old); !done) {
    return std::unexpected(done.error());
  }
  if (auto done = read_directories(state_dir, true, old); !done) {
    return std::unexpected(done.error());
  }
  return old;
}

}  // namespace provisioner::migration
