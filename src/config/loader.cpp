#include "config/loader.hpp"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "config/bundle_paths.hpp"
#include "config/files.hpp"

namespace provisioner {
namespace {

namespace fs = std::filesystem;

bool is_tofu_file(std::string_view path) {
  for (const std::string_view end : {".tf", ".tofu", ".tf.json", ".tofu.json"}) {
    if (path.ends_with(end)) return true;
  }
  return false;
}

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

// What the workspace's own files and the modules that they reach say; unused folders of an included
// path may be broken.
class ContentCheck {
 public:
  ContentCheck(const Bundle& bundle, const ContentScan& scan) : bundle_(bundle), scan_(scan) {}

  Status follow_modules() {
    std::vector<std::string> folders{bundle_.folder};
    std::set<std::string> seen{bundle_.folder};
    while (!folders.empty()) {
      const auto folder = std::move(folders.back());
      folders.pop_back();
      auto modules = scan_folder(folder);
      if (!modules) return std::unexpected(modules.error());
      for (auto& module : *modules) {
        auto target = find_module(bundle_, module);
        if (!target) return std::unexpected(target.error());
        if (*target && seen.insert(**target).second) folders.push_back(std::move(**target));
      }
    }
    return {};
  }

  const std::set<std::string>& variables() const { return variables_; }

 private:
  Result<std::vector<ModuleSource>> scan_folder(const std::string& folder) {
    std::vector<ModuleSource> modules;
    for (const auto& entry : bundle_.entries) {
      if (!is_within(entry.path, folder) || !is_tofu_file(entry.path)) continue;
      const auto begin = folder.empty() ? 0 : folder.size() + 1;
      if (entry.path.find('/', begin) != std::string::npos) continue;
      const auto text = text_of(entry);
      if (!text) return std::unexpected(text.error());
      auto facts = scan_(entry.path, *text);
      if (!facts) return std::unexpected(facts.error());
      for (auto& module : facts->modules) {
        module.file = entry.path;
        modules.push_back(std::move(module));
      }
      if (folder == bundle_.folder) {
        variables_.insert(facts->variables.begin(), facts->variables.end());
      }
    }
    return modules;
  }

  // A link to another file of the bundle has that file's text. tofu cannot read one that leads
  // nowhere, and would say so only when it is time to deploy.
  Result<std::string_view> text_of(const BundleEntry& first) const {
    constexpr int kMostLinks = 8;
    const BundleEntry* entry = &first;
    for (int links = 0; !entry->link_target.empty(); ++links) {
      const auto target =
          (fs::path(entry->path).parent_path() / entry->link_target).lexically_normal().string();
      const auto found = std::ranges::find(bundle_.entries, target, &BundleEntry::path);
      const bool through_a_folder_link =
          std::ranges::any_of(bundle_.entries, [&](const BundleEntry& other) {
            return !other.link_target.empty() && target.starts_with(other.path + "/");
          });
      if (through_a_folder_link) return std::string_view();  // says nothing here, tofu reads it
      if (found == bundle_.entries.end() || links == kMostLinks) {
        return fail(ErrorKind::kInvalid,
                    fmt::format("{}: the link leads to {}, which cannot be read", first.path,
                                first.link_target));
      }
      entry = &*found;
    }
    return bundle_.content(*entry);
  }

  const Bundle& bundle_;
  const ContentScan& scan_;
  std::set<std::string> variables_;
};

Status check_content(const WorkspaceSpec& spec, const Bundle& bundle, const ContentScan& scan) {
  if (!bundle.has_tofu_files()) {
    if (spec.commands.deploy_apply && spec.commands.destroy_destroy) return {};
    if (spec.commands.deploy_apply || spec.commands.destroy_destroy) {
      return fail(ErrorKind::kInvalid,
                  "without tofu files both custom_deploy.apply_command and "
                  "custom_destroy.destroy_command are needed");
    }
    if (spec.template_name) {
      return fail(
          ErrorKind::kInvalid,
          fmt::format("template \"{}\" cannot be used: this version has no templates yet; copy "
                      "its files into the folder",
                      *spec.template_name));
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

}  // namespace

Result<LoadedWorkspace> load_workspace(const fs::path& workspaces_dir, const WorkspaceName& name,
                                       const ContentScan& scan) {
  const auto folder = workspaces_dir / name.value;
  const auto shown = (workspaces_dir.filename() / name.value).string();
  const auto file = shown + "/config.json";
  const auto text = read_config(folder, file);
  if (!text) {
    if (text.error().kind == ErrorKind::kNotFound) return fail(shown, text.error());
    return std::unexpected(text.error());
  }
  auto parsed = parse_workspace(name, *text, file);
  if (!parsed) return std::unexpected(parsed.error());
  auto bundle = build_bundle(folder, parsed->spec.include);
  if (!bundle) return fail(shown, bundle.error());
  if (const auto good = check_content(parsed->spec, *bundle, scan); !good) {
    return fail(shown, good.error());
  }

  LoadedWorkspace loaded;
  std::error_code error;
  const auto real = fs::canonical(folder, error);
  if (error) return fail_errno(shown, error.value());
  for (const auto& path : parsed->spec.include) {
    loaded.included.push_back((real / path).lexically_normal());
  }
  auto content = loaded.included;
  content.push_back(real);
  for (const auto& [values, field] : {std::pair{&parsed->spec.variables, "variables"},
                                      {&parsed->spec.environment, "environment"}}) {
    if (const auto good = check_secret_files(*values, field, content); !good) {
      return fail(file, good.error());
    }
  }
  loaded.definition = {std::move(parsed->normalised_json), std::move(bundle->hash),
                       std::move(parsed->inputs_hash)};
  loaded.spec = std::move(parsed->spec);
  loaded.schedule_hash = std::move(parsed->schedule_hash);
  loaded.bundle = std::move(bundle->bytes);
  loaded.warnings = std::move(parsed->warnings);
  return loaded;
}

}  // namespace provisioner
