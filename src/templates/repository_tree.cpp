#include "templates/repository_tree.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <set>

#include "base/text.hpp"
#include "config/bundle.hpp"
#include "tofu/hcl_scanner.hpp"

namespace provisioner {
namespace {

std::unexpected<Error> invalid(std::string message) {
  return fail(ErrorKind::kInvalid, std::move(message));
}

bool is_below(std::string_view path, std::string_view folder) {
  return folder.empty() ||
         (path.size() > folder.size() && path.starts_with(folder) && path[folder.size()] == '/');
}

std::string_view folder_of(std::string_view path) {
  const auto slash = path.rfind('/');
  return slash == std::string_view::npos ? std::string_view() : path.substr(0, slash);
}

std::string_view name_of(std::string_view path) { return path.substr(path.rfind('/') + 1); }

// "; tofu files are in web, net": what to say instead of a folder without any.
std::string where_tofu_files_are(const std::vector<TreeEntry>& entries) {
  constexpr std::size_t kMost = 8;
  std::set<std::string> folders;
  for (const TreeEntry& entry : entries) {
    if (entry.is_folder() || !tofu::is_content_file(name_of(entry.path))) continue;
    const auto folder = folder_of(entry.path);
    folders.insert(folder.empty() ? "the top of the repository" : std::string(folder));
  }
  if (folders.empty()) return "; the repository has none";
  std::vector<std::string> some(folders.begin(), folders.end());
  const bool all = some.size() <= kMost;
  some.resize(std::min(some.size(), kMost));
  return fmt::format("; they are in {}{}", join(some, ", "), all ? "" : " and elsewhere");
}

}  // namespace

Result<std::vector<TreeEntry>> parse_tree(std::string_view printed) {
  const auto unreadable = [] { return fail(ErrorKind::kCorrupt, "git ls-tree: unknown format"); };
  std::vector<TreeEntry> entries;
  while (!printed.empty()) {
    const auto end = printed.find('\0');
    if (end == std::string_view::npos) return unreadable();
    const auto line = printed.substr(0, end);
    printed.remove_prefix(end + 1);
    const auto tab = line.find('\t');
    if (tab == std::string_view::npos) return unreadable();
    std::vector<std::string_view> words;
    for (const auto word : split(line.substr(0, tab), ' ')) {
      if (!word.empty()) words.push_back(word);
    }
    if (words.size() != 4) return unreadable();
    TreeEntry entry{.mode = std::string(words[0]),
                    .id = std::string(words[2]),
                    .path = std::string(line.substr(tab + 1))};
    if (words[3] != "-") {
      const auto [at, error] =
          std::from_chars(words[3].data(), words[3].data() + words[3].size(), entry.size);
      if (error != std::errc()) return unreadable();
    }
    entries.push_back(std::move(entry));
  }
  return entries;
}

Status check_tree(const std::vector<TreeEntry>& entries, const std::string& path) {
  const std::string shown = path.empty() ? "the repository" : path;
  if (!path.empty()) {
    const auto found = std::ranges::find(entries, path, &TreeEntry::path);
    if (found == entries.end()) {
      const bool in_submodule = std::ranges::any_of(entries, [&](const TreeEntry& entry) {
        return entry.is_submodule() && is_below(path, entry.path);
      });
      if (in_submodule) {
        return invalid(
            fmt::format("{} is in a submodule, which is not fetched: name the "
                        "submodule's own repository as the source",
                        path));
      }
      return invalid(
          fmt::format("the repository has no folder {}{}", path, where_tofu_files_are(entries)));
    }
    if (found->is_submodule()) {
      return invalid(
          fmt::format("{} is a submodule, which is not fetched: name its own repository "
                      "as the source",
                      path));
    }
    if (found->is_link()) return invalid(fmt::format("{} is a link, not a folder", path));
    if (!found->is_folder()) return invalid(fmt::format("{} is a file, not a folder", path));
  }
  std::size_t size = 0;
  bool has_tofu_files = false;
  for (const TreeEntry& entry : entries) {
    if (!is_below(entry.path, path)) continue;
    const bool names_submodules = name_of(entry.path) == ".gitmodules";
    if (entry.is_submodule() || names_submodules) {
      return invalid(
          fmt::format("{} {}: submodules are not fetched, so the content would be "
                      "incomplete",
                      entry.path, names_submodules ? "names submodules" : "is a submodule"));
    }
    size += entry.size;
    has_tofu_files |= !entry.is_folder() && folder_of(entry.path) == path &&
                      tofu::is_content_file(name_of(entry.path));
  }
  if (size > kMostBundleBytes) {
    return invalid(fmt::format("{} is larger than 64 MB ({:.1f} MB)", shown,
                               static_cast<double>(size) / 1048576.0));
  }
  if (!has_tofu_files) {
    return invalid(fmt::format("{} has no tofu files (*.tf, *.tf.json, *.tofu){}", shown,
                               where_tofu_files_are(entries)));
  }
  return {};
}

std::string folder_id(const std::vector<TreeEntry>& entries, const std::string& path) {
  const auto found = std::ranges::find(entries, path, &TreeEntry::path);
  return found == entries.end() || !found->is_folder() ? "" : found->id;
}

}  // namespace provisioner
