#include "config/loader.hpp"

#include <fcntl.h>
#include <fmt/format.h>

#include "config/bundle_paths.hpp"
#include "config/content_check.hpp"
#include "config/files.hpp"
#include "config/fingerprint.hpp"
#include "config/job_file.hpp"
#include "config/overlay.hpp"

namespace provisioner {
namespace {

namespace fs = std::filesystem;

Result<std::string> read_config(const fs::path& folder, const std::string& shown) {
  std::string text;
  const auto file = folder / "config.json";
  const auto read = append_file(AT_FDCWD, file.c_str(), true, kMostConfigBytes, shown, text);
  if (read) return text;
  if (read.error().kind != ErrorKind::kNotFound) return std::unexpected(read.error());
  std::error_code error;
  if (!fs::exists(folder, error)) return fail(ErrorKind::kNotFound, "the folder is gone");
  return fail(
      ErrorKind::kInvalid,
      fmt::format("{} is missing: create it, for example with {{\"deploy_schedule\": \"0 8 * * "
                  "MON-FRI\", \"destroy_schedule\": \"0 18 * * MON-FRI\"}}",
                  shown));
}

Status check_content(const WorkspaceSpec& spec, const Bundle& bundle, const ContentScan& scan) {
  if (!bundle.has_tofu_files()) {
    if (spec.commands.deploy_apply && spec.commands.destroy_destroy) return {};
    if (spec.commands.deploy_apply || spec.commands.destroy_destroy) {
      return fail(ErrorKind::kInvalid,
                  "without tofu files both custom_deploy.apply_command and "
                  "custom_destroy.destroy_command are needed");
    }
    return fail(
        ErrorKind::kInvalid,
        "there is nothing to deploy: no tofu files (*.tf, *.tf.json, *.tofu), no template and "
        "no custom commands");
  }
  if (!scan) return {};
  ContentCheck content(bundle, scan);
  if (auto done = content.follow_modules(); !done) return done;
  if (!spec.modes().empty() && !content.variables().contains("deployment_mode")) {
    return fail(ErrorKind::kInvalid,
                "mode_schedules: the content has no variable to receive the mode: add variable "
                "\"deployment_mode\" { type = string }");
  }
  return {};
}

// Secrets in the content would be stored with it and handed to every instance.
Status check_secret_files(const ConfigValues& values, std::string_view field,
                          const std::vector<fs::path>& content) {
  for (const auto& [name, value] : values) {
    if (value.source != ConfigValue::Source::kFile) continue;
    std::error_code error;
    const auto real = fs::weakly_canonical(value.text, error);
    const auto path = error ? fs::path(value.text).lexically_normal() : real;
    for (const auto& folder : content) {
      if (!is_within(path.string(), folder.string())) continue;
      return fail(
          ErrorKind::kInvalid,
          fmt::format("{}.{}: the secret file {} lies inside the workspace's content, which is "
                      "stored: move it elsewhere",
                      field, name, value.text));
    }
  }
  return {};
}

// All that is wrong with what was loaded.
Status check(const WorkspaceFolder& folder, const Bundle& bundle, const ContentScan& scan) {
  if (auto good = check_content(folder.parsed.spec, bundle, scan); !good) {
    return fail(folder.shown, good.error());
  }
  auto content = folder.included;
  content.push_back(folder.path);
  const auto& spec = folder.parsed.spec;
  std::vector<std::pair<const ConfigValues*, std::string>> values = {
      {&spec.variables, "variables"}, {&spec.environment, "environment"}};
  for (std::size_t i = 0; i < spec.jobs.size(); ++i) {
    values.emplace_back(&spec.jobs[i].environment, fmt::format("jobs[{}].environment", i));
  }
  for (const auto& [each, field] : values) {
    if (auto good = check_secret_files(*each, field, content); !good) {
      return fail(folder.shown + "/config.json", good.error());
    }
  }
  return {};
}

}  // namespace

Result<WorkspaceFolder> read_workspace_folder(const fs::path& workspaces_dir,
                                              const WorkspaceName& name) {
  const auto shown = (workspaces_dir.filename() / name.value).string();
  const auto text = read_config(workspaces_dir / name.value, shown + "/config.json");
  if (!text) {
    if (text.error().kind == ErrorKind::kNotFound) return fail(shown, text.error());
    return std::unexpected(text.error());
  }
  return read_workspace_folder_with(workspaces_dir, name, *text);
}

Result<WorkspaceFolder> read_workspace_folder_with(const fs::path& workspaces_dir,
                                                   const WorkspaceName& name,
                                                   std::string_view config) {
  const auto path = workspaces_dir / name.value;
  WorkspaceFolder folder{.shown = (workspaces_dir.filename() / name.value).string()};
  const auto file = folder.shown + "/config.json";
  auto parsed = parse_workspace(name, config, file);
  if (!parsed) return std::unexpected(parsed.error());
  folder.parsed = *std::move(parsed);
  folder.config_hash = sha256_hex(config);
  auto own = build_bundle(path, folder.parsed.spec.include);
  if (!own) return fail(folder.shown, own.error());
  folder.own = *std::move(own);
  std::error_code error;
  folder.path = fs::canonical(path, error);
  if (error) return fail_errno(folder.shown, error.value());
  for (const auto& include : folder.parsed.spec.include) {
    folder.included.push_back((folder.path / include).lexically_normal());
  }
  if (const auto& wanted = folder.parsed.spec.template_name) {
    if (!has_own_content(folder.own)) {
      folder.wanted_template = *wanted;
    } else {
      folder.parsed.warnings.push_back(fmt::format(
          "{}: template: {} is not used, because the folder has tofu files of its own: to take "
          "the template's, remove them, or give them the names of override files",
          file, *wanted));
    }
  }
  return folder;
}

Result<LoadedWorkspace> load_workspace(WorkspaceFolder folder, const ContentScan& scan,
                                       const TemplateContent* base) {
  LoadedWorkspace loaded;
  loaded.own_bundle = folder.own.hash;
  Bundle bundle = std::move(folder.own);
  if (!folder.wanted_template.empty() && base != nullptr) {
    auto both = laid_over(bundle, *base->bytes);
    if (!both) return fail(folder.shown, both.error());
    bundle = *std::move(both);
    loaded.template_bundle = base->hash;
  }
  const bool is_partial = !folder.wanted_template.empty() && base == nullptr;
  if (is_partial) {
    folder.parsed.warnings.push_back(
        fmt::format("{}/config.json: template: the files of {} are in the daemon's store, and were "
                    "not checked here",
                    folder.shown, folder.wanted_template));
  } else if (auto good = check(folder, bundle, scan); !good) {
    return std::unexpected(good.error());
  }
  ParsedWorkspace& parsed = folder.parsed;
  loaded.definition = {std::move(parsed.normalised_json), std::move(bundle.hash),
                       std::move(parsed.inputs_hash)};
  loaded.spec = std::move(parsed.spec);
  loaded.schedule_hash = std::move(parsed.schedule_hash);
  loaded.bundle = std::move(bundle.bytes);
  loaded.included = std::move(folder.included);
  loaded.warnings = std::move(parsed.warnings);
  return loaded;
}

Result<LoadedWorkspace> load_workspace(const fs::path& workspaces_dir, const WorkspaceName& name,
                                       const ContentScan& scan) {
  auto folder = read_workspace_folder(workspaces_dir, name);
  if (!folder) return std::unexpected(folder.error());
  return load_workspace(*std::move(folder), scan, nullptr);
}

Result<WorkspaceFolder> read_standalone_job(const fs::path& jobs_dir, const JobName& job) {
  const auto file = job.value + ".json";
  WorkspaceFolder read{.shown = (jobs_dir.filename() / file).string()};
  std::string text;
  const auto path = jobs_dir / file;
  if (const auto done =
          append_file(AT_FDCWD, path.c_str(), true, kMostConfigBytes, read.shown, text);
      !done) {
    return std::unexpected(done.error());
  }
  auto parsed = parse_standalone_job(job, text, read.shown);
  if (!parsed) return std::unexpected(parsed.error());
  read.parsed = *std::move(parsed);
  read.config_hash = sha256_hex(text);
  read.own = empty_bundle();
  return read;
}

LoadedWorkspace load_standalone_job(WorkspaceFolder read) {
  LoadedWorkspace loaded;
  loaded.own_bundle = read.own.hash;
  loaded.definition = {std::move(read.parsed.normalised_json), std::move(read.own.hash),
                       std::move(read.parsed.inputs_hash)};
  loaded.spec = std::move(read.parsed.spec);
  loaded.schedule_hash = std::move(read.parsed.schedule_hash);
  loaded.bundle = std::move(read.own.bytes);
  loaded.warnings = std::move(read.parsed.warnings);
  return loaded;
}

}  // namespace provisioner
