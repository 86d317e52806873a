#include "config/folders.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "config/ignore.hpp"
#include "model/job.hpp"

namespace provisioner {
namespace {

namespace fs = std::filesystem;

// The nearest name that would do: "my shop" -> "my-shop".
std::string renamed(std::string_view folder) {
  std::string name;
  for (const char c : folder) {
    const std::string one(1, c);
    // A letter in front makes every allowed character allowed.
    const bool good = parse_workspace_name("a" + one).has_value();
    if (good && (!name.empty() || parse_workspace_name(one))) {
      name += c;
    } else if (!good && !name.empty() && name.back() != '-') {
      name += '-';
    }
  }
  name.resize(std::min<std::size_t>(name.size(), 63));
  while (name.ends_with('-')) name.pop_back();
  return name;
}

}  // namespace

Result<FolderScan> scan_workspaces(const fs::path& workspaces_dir) {
  std::error_code error;
  fs::directory_iterator entries(workspaces_dir, error);
  if (error) return fail_errno(fmt::format("reading {}", workspaces_dir.string()), error.value());
  const auto label = workspaces_dir.filename().string();
  FolderScan scan;
  for (; entries != fs::directory_iterator(); entries.increment(error)) {
    const auto folder = entries->path().filename().string();
    if (folder.starts_with('.')) continue;
    const auto problem = [&](std::string text) {
      scan.problems.push_back({folder, fmt::format("{}/{}: {}", label, folder, text)});
    };
    std::error_code unreadable;
    const auto type = entries->status(unreadable).type();
    if (type != fs::file_type::directory) {
      const bool is_link = entries->is_symlink(unreadable);
      if (is_link && type == fs::file_type::not_found) {
        problem("is a link to nothing: mend or remove it");
      } else if (folder.ends_with(".json") || folder.ends_with(".tf") ||
                 folder.ends_with(".tofu")) {
        const auto stem = folder.substr(0, folder.find('.'));
        problem(fmt::format("is a file, and a workspace is a folder: move it to {}/{}/{}", label,
                            stem, folder.ends_with(".json") ? "config.json" : folder));
      }
      continue;
    }
    if (auto name = parse_workspace_name(folder)) {
      scan.workspaces.push_back(std::move(*name));
    } else {
      const auto better = renamed(folder);
      problem(better.empty() ? name.error().message
                             : fmt::format("{}, for example {}", name.error().message, better));
    }
  }
  // The iterator became the end because of the error.
  if (error) return fail_errno(fmt::format("reading {}", workspaces_dir.string()), error.value());
  std::ranges::sort(scan.workspaces);
  std::ranges::sort(scan.problems, {}, &FolderProblem::folder);
  return scan;
}

Result<FolderScan> scan_standalone_jobs(const fs::path& jobs_dir) {
  std::error_code error;
  fs::directory_iterator entries(jobs_dir, error);
  if (error) return fail_errno(fmt::format("reading {}", jobs_dir.string()), error.value());
  const auto label = jobs_dir.filename().string();
  FolderScan scan;
  for (; entries != fs::directory_iterator(); entries.increment(error)) {
    const auto file = entries->path().filename().string();
    std::error_code unreadable;
    const bool is_folder = entries->is_directory(unreadable);
    if (file.starts_with('.') || is_never_content(file, is_folder)) continue;
    const auto problem = [&](std::string_view text) {
      scan.problems.push_back({file, fmt::format("{}/{}: {}", label, file, text)});
    };
    if (is_folder) {
      problem("is a folder, and a standalone job is a file: write it to " + label + "/" + file +
              ".json");
      continue;
    }
    if (!file.ends_with(".json")) continue;
    if (const auto name = parse_job_name(file.substr(0, file.size() - 5))) {
      scan.workspaces.push_back(home_of(*name));
    } else {
      problem(name.error().message);
    }
  }
  if (error) return fail_errno(fmt::format("reading {}", jobs_dir.string()), error.value());
  std::ranges::sort(scan.workspaces);
  std::ranges::sort(scan.problems, {}, &FolderProblem::folder);
  return scan;
}

}  // namespace provisioner
