#include "config/content_check.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "config/bundle_paths.hpp"

namespace provisioner {

namespace fs = std::filesystem;

bool is_tofu_file(std::string_view path) {
  for (const std::string_view end : {".tf", ".tofu", ".tf.json", ".tofu.json"}) {
    if (path.ends_with(end)) return true;
  }
  return false;
}

Status ContentCheck::follow_modules() {
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

Result<std::vector<ModuleSource>> ContentCheck::scan_folder(const std::string& folder) {
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
Result<std::string_view> ContentCheck::text_of(const BundleEntry& first) const {
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
      return fail(ErrorKind::kInvalid, fmt::format("{}: the link leads to {}, which cannot be read",
                                                   first.path, first.link_target));
    }
    entry = &*found;
  }
  return bundle_.content(*entry);
}

}  // namespace provisioner
