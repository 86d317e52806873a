#include "config/ignore.hpp"

#include "base/text.hpp"

namespace provisioner {
namespace {

// `*` and `?` stop at '/', `**` does not; a backslash takes the next character as it is.
bool matches_glob(std::string_view glob, std::string_view text) {
  while (!glob.empty()) {
    if (glob.starts_with("**")) {
      glob.remove_prefix(2);
      // "**/x" also matches "x".
      if (glob.starts_with('/') && matches_glob(glob.substr(1), text)) return true;
      for (std::size_t from = 0; from <= text.size(); ++from) {
        if (matches_glob(glob, text.substr(from))) return true;
      }
      return false;
    }
    if (glob.front() == '*') {
      glob.remove_prefix(1);
      for (std::size_t from = 0; from <= text.size(); ++from) {
        if (matches_glob(glob, text.substr(from))) return true;
        if (from < text.size() && text[from] == '/') return false;
      }
      return false;
    }
    if (text.empty()) return false;
    if (glob.front() == '?') {
      if (text.front() == '/') return false;
    } else {
      if (glob.front() == '\\' && glob.size() > 1) glob.remove_prefix(1);
      if (glob.front() != text.front()) return false;
    }
    glob.remove_prefix(1);
    text.remove_prefix(1);
  }
  return text.empty();
}

}  // namespace

bool is_never_content(std::string_view name, bool is_folder) {
  if (name == ".git" || name == ".terraform") return true;
  if (is_folder) return false;
  const auto is_like = [&](std::string_view glob) { return matches_glob(glob, name); };
  return is_like("*.tfstate*") || is_like("*.tfplan") ||
         // Editors: Emacs (#x#, .#x), many (x~), Vim (.x.swp, .x.swo, 4913 to try a folder), sed
         // -i.
         name.starts_with('#') || name.starts_with(".#") || name.ends_with('~') ||
         is_like(".*.sw?") || name == "4913" || name.ends_with(".tmp");
}

IgnorePatterns::IgnorePatterns(std::string_view file_text) {
  for (auto line : split(file_text, '\n')) {
    line = trim(line);
    if (line.empty() || line.front() == '#') continue;
    Pattern pattern;
    if (line.front() == '!') {
      pattern.negated = true;
      line.remove_prefix(1);
    }
    if (line.ends_with('/')) {
      pattern.folders_only = true;
      line.remove_suffix(1);
    }
    pattern.anchored = line.find('/') != std::string_view::npos;
    if (line.starts_with('/')) line.remove_prefix(1);
    if (line.empty()) continue;
    pattern.glob = line;
    patterns_.push_back(std::move(pattern));
  }
}

bool IgnorePatterns::ignores(std::string_view path, bool is_folder) const {
  const auto slash = path.rfind('/');
  const auto name = slash == std::string_view::npos ? path : path.substr(slash + 1);
  for (auto pattern = patterns_.rbegin(); pattern != patterns_.rend(); ++pattern) {
    if (pattern->folders_only && !is_folder) continue;
    if (matches_glob(pattern->glob, pattern->anchored ? path : name)) return !pattern->negated;
  }
  return false;
}

}  // namespace provisioner
