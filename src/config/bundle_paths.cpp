#include "config/bundle_paths.hpp"

#include <algorithm>
#include <vector>

#include "base/text.hpp"

namespace provisioner {

bool is_within(std::string_view path, std::string_view folder) {
  if (folder.empty() || folder == "/") return true;
  return path.starts_with(folder) && (path.size() == folder.size() || path[folder.size()] == '/');
}

bool is_plain_path(std::string_view path) {
  return path.find('\0') == std::string_view::npos &&
         std::ranges::all_of(split(path, '/'), [](std::string_view part) {
           return !part.empty() && part != "." && part != "..";
         });
}

std::optional<std::string> resolve_link(std::string_view path, std::string_view target) {
  if (target.empty() || target.front() == '/' || target.find('\0') != std::string_view::npos) {
    return std::nullopt;
  }
  auto parts = split(path, '/');
  parts.pop_back();
  bool descends = false;
  for (const auto part : split(target, '/')) {
    if (part.empty() || part == ".") continue;
    if (part == "..") {
      if (descends || parts.empty()) return std::nullopt;
      parts.pop_back();
    } else {
      descends = true;
      parts.push_back(part);
    }
  }
  std::string resolved;
  for (const auto part : parts) {
    if (!resolved.empty()) resolved += '/';
    resolved += part;
  }
  return resolved;
}

}  // namespace provisioner
